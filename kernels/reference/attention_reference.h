// The oracle: the formulas of kernels/attention.h and kernels/map_edits.h, one obvious loop each. Slow on
// purpose; tests compare every kernel set against it. Thread: any.
//
// Real = double is the oracle. Real = float is the naive float32 version, whose error against the oracle is
// the yardstick for that of the kernels.
#pragma once

#include "kernels/attention.h"

namespace saccade::reference {

template <class Real>
struct BasicResult {          // axes as in AttentionOutput
  std::vector<Real> z;        // [query, head, d_head]
  std::vector<Real> pattern;  // [head, query, key]
  std::vector<Real> lse, entropy, max_weight, sink_mass, local_mass, mean_distance, value_mass;
  std::vector<int32_t> max_key;
  std::vector<Real> received, received_max;
  std::vector<std::vector<Real>> key_masses;  // one per set, [head, query]
  std::vector<Real> block_max, block_mass, received_blocks;
};
using AttentionResult = BasicResult<double>;

// `wanted` says what the statistics are of (sinks, local width, key sets, block size); its pointers are not
// used.
template <class Real = double>
[[nodiscard]] BasicResult<Real> attention(const AttentionInput& input, const AttentionOutput& wanted);
extern template BasicResult<double> attention<double>(const AttentionInput&, const AttentionOutput&);
extern template BasicResult<float> attention<float>(const AttentionInput&, const AttentionOutput&);
[[nodiscard]] inline AttentionResult attention(const AttentionInput& input, int64_t sink_keys,
                                               int64_t local_width) {
  AttentionOutput wanted;
  wanted.sink_keys = sink_keys;
  wanted.local_width = local_width;
  return attention<double>(input, wanted);
}

// One row's scores, edited: [key], -inf where the row does not see the key.
template <class Real>
[[nodiscard]] std::vector<Real> scores_of_row(const AttentionInput& input, int64_t head, int64_t row);
extern template std::vector<double> scores_of_row<double>(const AttentionInput&, int64_t, int64_t);
extern template std::vector<float> scores_of_row<float>(const AttentionInput&, int64_t, int64_t);

// One row's weight edits in order. scores and weights: [key].
template <class Real>
void edit_weights(const std::vector<WeightEdit>& edits, int64_t query, const std::vector<Real>& scores,
                  std::vector<Real>& weights);
extern template void edit_weights<double>(const std::vector<WeightEdit>&, int64_t, const std::vector<double>&,
                                          std::vector<double>&);
extern template void edit_weights<float>(const std::vector<WeightEdit>&, int64_t, const std::vector<float>&,
                                         std::vector<float>&);

}  // namespace saccade::reference
