#include "analysis/methods/retrieval_score.h"

#include <algorithm>
#include <set>

namespace saccade {

bool hits(const DecodedAnswer& answer, size_t step, size_t head) {
  const int32_t key = answer.steps[step].max_key[head];
  return key >= answer.span.begin && key < answer.span.end &&
         answer.prompt[static_cast<size_t>(key)] == answer.produced[step];
}

CopyScores copy_scores(const DecodedAnswer& answer, size_t heads) {
  CopyScores scores{std::vector<double>(heads), std::vector<double>(heads)};
  const auto length = static_cast<double>(answer.span.end - answer.span.begin);
  for (size_t head = 0; head < heads && length > 0.0; ++head) {
    std::set<int32_t> keys;
    int64_t count = 0;
    for (size_t step = 0; step < answer.steps.size(); ++step) {
      if (!hits(answer, step, head)) continue;
      ++count;
      keys.insert(answer.steps[step].max_key[head]);
    }
    scores.count[head] = static_cast<double>(count) / length;
    scores.set[head] = static_cast<double>(keys.size()) / length;
  }
  return scores;
}

std::vector<double> semantic_scores(const DecodedAnswer& answer, size_t heads) {
  std::vector<double> scores(heads);
  const auto in_span = answer.prompt.subspan(static_cast<size_t>(answer.span.begin),
                                             static_cast<size_t>(answer.span.end - answer.span.begin));
  for (size_t step = 0; step < answer.steps.size(); ++step) {
    if (std::find(in_span.begin(), in_span.end(), answer.produced[step]) == in_span.end()) continue;
    for (size_t head = 0; head < heads; ++head) scores[head] += answer.steps[step].key_mass[head];
  }
  return scores;
}

}  // namespace saccade
