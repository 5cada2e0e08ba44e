// The oracle: the formulas of kernels/attention.h in double precision, one obvious loop each.
// Slow on purpose; tests compare every kernel set against it. Thread: any.
#pragma once

#include "kernels/attention.h"

namespace saccade::reference {

struct AttentionResult {        // axes as in AttentionOutput, float64
  std::vector<double> z;        // [query, head, d_head]
  std::vector<double> pattern;  // [head, query, key]
  std::vector<double> lse, entropy, max_weight, sink_mass, local_mass, mean_distance;
  std::vector<int32_t> max_key;
  std::vector<double> received, received_max;
};

[[nodiscard]] AttentionResult attention(const AttentionInput& input, int64_t sink_keys, int64_t local_width);

}  // namespace saccade::reference
