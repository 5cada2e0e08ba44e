// The oracle: the formulas of kernels/attention.h and kernels/map_edits.h in double precision, one obvious
// loop each. Slow on purpose; tests compare every kernel set against it. Thread: any.
#pragma once

#include "kernels/attention.h"

namespace saccade::reference {

struct AttentionResult {        // axes as in AttentionOutput, float64
  std::vector<double> z;        // [query, head, d_head]
  std::vector<double> pattern;  // [head, query, key]
  std::vector<double> lse, entropy, max_weight, sink_mass, local_mass, mean_distance, value_mass;
  std::vector<int32_t> max_key;
  std::vector<double> received, received_max;
  std::vector<std::vector<double>> key_masses;  // one per set, [head, query]
  std::vector<double> block_max, block_mass, received_blocks;
};

// `wanted` says what the statistics are of (sinks, local width, key sets, block size); its pointers are not
// used.
[[nodiscard]] AttentionResult attention(const AttentionInput& input, const AttentionOutput& wanted);
[[nodiscard]] inline AttentionResult attention(const AttentionInput& input, int64_t sink_keys,
                                               int64_t local_width) {
  AttentionOutput wanted;
  wanted.sink_keys = sink_keys;
  wanted.local_width = local_width;
  return attention(input, wanted);
}

// One row's scores, edited: [key], -inf where the row does not see the key.
[[nodiscard]] std::vector<double> scores_of_row(const AttentionInput& input, int64_t head, int64_t row);
// One row's weight edits in order. scores and weights: [key].
void edit_weights(const std::vector<WeightEdit>& edits, int64_t query, const std::vector<double>& scores,
                  std::vector<double>& weights);

}  // namespace saccade::reference
