#include "analysis/methods/hallucination_score.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

namespace saccade::hallucination {
namespace {

double ratio(double part, double whole) {
  return whole > 0.0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

constexpr std::array all_measures{
    Measure{"chair_s", "CHAIR_S", true, true,
            [](std::span<const double> s) { return ratio(s[false_captions], s[captions]); }},
    Measure{"chair_i", "CHAIR_I", true, true,
            [](std::span<const double> s) { return ratio(s[false_mentions], s[mentions]); }},
    Measure{"mentions", "Objects named per caption", false, true,
            [](std::span<const double> s) { return ratio(s[mentions], s[captions]); }},
    Measure{"accuracy", "Accuracy", false, false,
            [](std::span<const double> s) { return ratio(s[right], s[questions]); }},
    Measure{"precision", "Precision of yes", false, false,
            [](std::span<const double> s) { return ratio(s[yes_right], s[yes_said]); }},
    Measure{"recall", "Recall of yes", false, false,
            [](std::span<const double> s) { return ratio(s[yes_right], s[yes_true]); }},
    Measure{"f1", "F1 of yes", false, false,
            [](std::span<const double> s) { return ratio(2.0 * s[yes_right], s[yes_said] + s[yes_true]); }},
    Measure{"yes_ratio", "Share of yes", false, false,
            [](std::span<const double> s) { return ratio(s[yes_said], s[questions]); }},
    Measure{"unclear", "Neither yes nor no", true, false,
            [](std::span<const double> s) { return ratio(s[unclear], s[questions]); }},
};

}  // namespace

std::optional<bool> says_yes(const std::string& answer) {
  std::string word;
  for (size_t i = 0; i <= answer.size(); ++i) {
    const auto c =
        i < answer.size() ? static_cast<unsigned char>(answer[i]) : static_cast<unsigned char>(' ');
    if (c < 0x80 && std::isalpha(c) != 0) {
      word += static_cast<char>(std::tolower(c));
      continue;
    }
    if (word == "yes") return true;
    if (word == "no" || word == "not") return false;
    word.clear();
  }
  return std::nullopt;
}

Counts count_caption(const std::string& caption, const ObjectPicture& picture,
                     const std::map<std::string, std::vector<std::string>>& vocabulary) {
  Counts counts(n_count, 0.0);
  counts[captions] = 1.0;
  for (const std::string& object : mentions_in(caption, vocabulary)) {
    counts[mentions] += 1.0;
    if (!picture.objects.contains(object)) counts[false_mentions] += 1.0;
  }
  if (counts[false_mentions] > 0.0) counts[false_captions] = 1.0;
  return counts;
}

Counts count_answer(const std::string& answer, const ObjectQuestion& question) {
  Counts counts(n_count, 0.0);
  const std::optional<bool> said = says_yes(answer);
  counts[questions] = 1.0;
  counts[yes_true] = question.yes ? 1.0 : 0.0;
  counts[unclear] = said ? 0.0 : 1.0;
  counts[yes_said] = said.value_or(false) ? 1.0 : 0.0;
  counts[right] = said && *said == question.yes ? 1.0 : 0.0;
  counts[yes_right] = said.value_or(false) && question.yes ? 1.0 : 0.0;
  return counts;
}

void add(Counts& sums, const Counts& counts) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts[i];
}

std::span<const Measure> measures() { return all_measures; }

}  // namespace saccade::hallucination
