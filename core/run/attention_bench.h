// Times of the attention kernels beside the machine's own matrix-product rate, for `bench attention`.
#pragma once

#include <vector>

#include "kernels/attention.h"

namespace saccade {

struct AttentionBench {
  int64_t n_token = 0;
  double plain_seconds = 0.0;       // output only
  double statistics_seconds = 0.0;  // every row and column statistic
  double gemm_seconds = 0.0;        // as many operations as one large float32 GEMM does them
};

// Causal, 12 heads of 64, random inputs; best of several. threads 0 = all cores.
Result<std::vector<AttentionBench>> measure_attention(const KernelSet& kernels, int threads,
                                                      const std::vector<int64_t>& lengths);

}  // namespace saccade
