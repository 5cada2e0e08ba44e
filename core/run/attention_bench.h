// Times of the attention kernels beside the machine's own limits and LibTorch's attention, for `bench
// attention`. Peers are timed in turn with ours, in one process. Seconds are the best of several; with one
// thread they are processor time, so that a busy machine can be measured too.
#pragma once

#include <vector>

#include "kernels/attention.h"

namespace saccade {

// Causal, 12 heads of 64, random inputs. A figure of 0 was not measured.
struct AttentionBench {
  int64_t n_token = 0;
  double plain_seconds = 0.0;       // output only
  double statistics_seconds = 0.0;  // every row and column statistic
  double bf16_seconds = 0.0;        // output only, bfloat16 inputs
  double gemm_seconds = 0.0;        // as many operations as one large float32 GEMM does them
  double fused_seconds = 0.0;       // LibTorch's scaled_dot_product_attention; from version 2.0 on
  double eager_seconds = 0.0;       // LibTorch with every map written down; up to 4096 tokens
  int64_t bytes = 0;  // memory the pass with statistics took beside its inputs, results included
  int64_t eager_bytes = 0;
};

// One query row at the end of a context, all statistics; a cache that does not fit the processor's.
struct DecodeBench {
  int64_t n_key = 0, n_head = 0, n_kv_head = 0;
  double seconds = 0.0;
  double memory_seconds = 0.0;  // reading its keys and values once at the machine's memory-copy rate
};

struct AttentionBenches {
  std::vector<AttentionBench> forward;
  std::vector<DecodeBench> decode;
};

// threads 0 = all cores.
Result<AttentionBenches> measure_attention(const KernelSet& kernels, int threads,
                                           const std::vector<int64_t>& lengths);

}  // namespace saccade
