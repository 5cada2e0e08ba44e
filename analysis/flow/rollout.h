// Attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928, section 3): B_l = rows of A_l + I made to sum
// to 1, R = B_L ... B_1. Row t of R is how much each input token counts for what leaves at t, if information
// is mixed as attention says. Thread: any; `threads` are used inside. Sums are float64 for single targets.
#pragma once

#include "analysis/flow/fused_maps.h"
#include "core/base/host_tensor.h"

namespace saccade {

struct RolloutOptions {
  double residual = 0.5;  // share of I in B, before the rows are made to sum to 1; 0 = attention alone
  int threads = 1;
};

// start: shares of the tokens that leave the last layer, [token], summing to 1 (one 1: a single target).
// [layer + 1, token]: where they stand at the entry of each layer; row 0 are the input tokens, the last row
// is `start`. Every row sums to 1. einsum "i,ij->j" layer by layer from the top: O(L n^2), no map is held.
[[nodiscard]] Result<std::vector<std::vector<double>>> rollout_from(const FusedMaps& maps,
                                                                    const std::vector<double>& start,
                                                                    const RolloutOptions& options,
                                                                    const JobContext& job);

// R itself, [query, key]: O(L n^3). Holds two matrices. Error: more than rollout_most_tokens.
constexpr int64_t rollout_most_tokens = 4096;
[[nodiscard]] Result<HostTensor> rollout_map(const FusedMaps& maps, const RolloutOptions& options,
                                             const JobContext& job);

// out += a g. a: [rows, n], g: [n, n], out: [rows, n]. Zeros of `a` cost nothing. einsum "ik,kj->ij"
void add_product(std::span<const float> a, std::span<const float> g, int64_t n, std::span<float> out);

}  // namespace saccade
