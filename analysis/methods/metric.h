// Metrics of an answer: what a sweep or a patch is measured by. Read at the last position.
#pragma once

#include <string>

#include "analysis/experiment.h"
#include "analysis/prompts/prompt_set.h"

namespace saccade {

enum class Metric {
  logit_difference,  // mean logit of the right answers minus mean logit of the wrong; logits
  probability,       // of all right answers together
  loss,              // -ln of that, nats
  kl,                // KL(reference || answer), nats
  accuracy,     // 1 where a right answer is more probable than every wrong one, else 0; without wrong ones
                // exact_match
  exact_match,  // 1 where the most probable token of the vocabulary is a right answer, else 0
};

// "logit-difference", "probability", "loss", "kl", "accuracy", "exact-match"; an unknown name is an error
// that lists them.
[[nodiscard]] Result<Metric> parse_metric(const std::string& name);
[[nodiscard]] const char* unit_of(Metric metric);
[[nodiscard]] const char* label_of(Metric metric);

// Whose logits an answer must keep for any metric of this pair: right, then wrong.
[[nodiscard]] std::vector<int32_t> ids_of(const PromptPair& pair);
// answer: kept with ids_of(pair). Logit difference without wrong answers: the mean log probability of the
// right.
[[nodiscard]] double value_of(Metric metric, const KeptAnswer& answer, const PromptPair& pair);
// The same of a whole row of logits [n_vocab]. reference: for kl, may be null otherwise.
[[nodiscard]] double value_of(Metric metric, const HostTensor& logits, const PromptPair& pair,
                              const HostTensor* reference);

// The same as terms of a scalar that gradients can be taken of, at the last position. Only for
// logit_difference, probability and loss; empty for the others, which have no slope or need another run.
[[nodiscard]] std::vector<ScalarTerm> scalar_of(Metric metric, const PromptPair& pair);

// How far a patch moves a metric from `from` to `to`: 0 = not at all, 1 = all the way; values outside are
// possible. NaN where the two differ by less than 0.1: such a pair of prompts does not discriminate.
[[nodiscard]] double normalised_effect(double patched, double from, double to);
constexpr double least_metric_difference = 0.1;

}  // namespace saccade
