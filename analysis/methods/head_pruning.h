// What is lost when one head writes nothing: three measures of importance (own, after the questions of Li et
// al. 2023, arXiv 2303.13731), one answer per head.
//   drop         p - p_h of the class (or next token); for answers that are features: none
//   divergence   JS(p, p_h), nats; of vocabularies above 4,096 KL(p || p_h) in its place
//   turn         1 - cos of the features, or of the final residual where the answer is read (asked for apart:
//                one run per head)
#pragma once

#include "analysis/method.h"

namespace saccade::pruning {

// importance, class, turn
[[nodiscard]] std::vector<ParameterInfo> parameters();
[[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input);
// Fields [layer, head], the table and sentences; nothing where importance=off. Heads without an outcome are
// NaN and make the result partial.
[[nodiscard]] Result<void> add_results(const MethodInput& input, AnalysisResult& result);

// Natural logarithm; both sum to 1. 0 to ln 2.
[[nodiscard]] double jensen_shannon(std::span<const double> p, std::span<const double> q);
[[nodiscard]] std::vector<double> softmax(std::span<const float> logits);

}  // namespace saccade::pruning
