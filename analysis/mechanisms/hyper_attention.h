// HyperAttention: queries and keys are sorted by a locality-sensitive hash, attend inside blocks of the
// sorted order, and besides see a few keys drawn at random that stand for all others.
//
// A query's weights are exp(s_ij) for keys of its block, and exp(s_ij) (n - b) / samples for each of the
// drawn keys that are not in it, normalised together (which is combining the two partial softmaxes by their
// log-sum-exp). Causal maps are halved again and again: the two halves of the diagonal are causal themselves,
// what lies below is not; what is at most `exact_below` tokens long is computed exactly.
// Hash: the signs of `bits` random projections, ordered so that neighbouring buckets differ in one sign
// (Gray code). Source: Han et al. 2023 (arXiv 2310.05869); constants of the authors' code: 7 bits, blocks of
// 256, 256 samples, plain attention below 4096 tokens.
#pragma once

#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct HyperAttention {
  int bits = 7;
  int64_t block = 256, samples = 256, exact_below = 4096;
  uint64_t seed = 1;
  bool causal = true;
};

// Place of each row's bucket in the Gray order: rows with equal signs have equal numbers. [row]
[[nodiscard]] std::vector<int64_t> hash_buckets(const Matrix& rows, const Matrix& projections);
// [query, key]: rows sum to 1. q, k: [position, d_head] of one head.
[[nodiscard]] Matrix hyper_attention_map(const Matrix& q, const Matrix& k, double scale,
                                         const HyperAttention& options);

}  // namespace saccade::mechanisms
