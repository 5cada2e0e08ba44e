#include "analysis/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/digest.h"

namespace saccade {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

// KL(reference || answer) = sum_t p_t (log p_t - log q_t), p of the reference.
double divergence(std::span<const float> reference, std::span<const float> answer, double answer_lse) {
  const double reference_lse = log_sum_exp(reference);
  double kl = 0.0;
  for (size_t t = 0; t < reference.size(); ++t) {
    const double log_p = reference[t] - reference_lse;
    kl += std::exp(log_p) * (log_p - (answer[t] - answer_lse));
  }
  return std::max(kl, 0.0);
}

}  // namespace

KeptAnswer keep_answer(const HostTensor& logits, const std::vector<int32_t>& ids, const HostTensor* reference,
                       bool spread) {
  const std::span<const float> values = logits.values();
  KeptAnswer kept;
  for (const int32_t id : ids) kept.logits.push_back(values[static_cast<size_t>(id)]);
  kept.log_sum_exp = log_sum_exp(values);
  kept.top_id = static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
  if (reference != nullptr && reference->size() == logits.size())
    kept.kl = divergence(reference->values(), values, kept.log_sum_exp);
  if (!spread) return kept;
  double mean = 0.0;  // of the logits, under their own probabilities
  for (const float logit : values) mean += std::exp(logit - kept.log_sum_exp) * logit;
  kept.entropy = std::max(kept.log_sum_exp - mean, 0.0);
  for (const float logit : kept.logits)
    kept.ranks.push_back(static_cast<int32_t>(
        std::count_if(values.begin(), values.end(), [&](float other) { return other > logit; })));
  return kept;
}

std::string name_of(const AnswerWanted& wanted) {
  Digest digest;
  digest.add("saccade-answer-1").add(wanted.request.digest());
  for (const int32_t id : wanted.ids) digest.add(int64_t{id});
  if (wanted.reference) digest.add(std::as_bytes(wanted.reference->values()));
  if (wanted.spread) digest.add("spread");
  return digest.hex();
}

std::string name_of(const GenerationWanted& wanted) {
  const SamplingOptions& options = wanted.options;
  Digest digest;
  digest.add("saccade-generation-1").add(wanted.request.digest());
  digest.add(int64_t{options.max_tokens}).add(int64_t{options.top_k});
  digest.add(fmt::format("{} {}", options.temperature, options.top_p));
  digest.add(static_cast<int64_t>(options.seed)).add(int64_t{options.stop_at_eos});
  digest.add(int64_t{options.keep_heads}).add(static_cast<int64_t>(options.stop_ids.size()));
  for (const int32_t id : options.stop_ids) digest.add(int64_t{id});
  for (const PositionRange& range : options.watched.ranges()) digest.add(range.begin).add(range.end);
  if (const RunRequest* negative = options.contrast.negative.get())
    digest.add("contrast")
        .add(negative->digest())
        .add(fmt::format("{} {}", options.contrast.alpha, options.contrast.plausibility));
  return digest.hex();
}

}  // namespace saccade
