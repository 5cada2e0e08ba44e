// Masks that are chosen from a look at the head: FlexPrefill's budgets, SeerAttention's pooled gate, and
// DuoAttention's mixture of full and streaming attention.
//
// FlexPrefill, with blocks of B and coverage gamma. Vertical-slash heads: the c_v best columns and c_s best
// diagonals of the last B rows, where c is the number of largest entries whose cumulative sum stays <= gamma,
// plus 1, rounded up to floor(c / B) + 1 blocks and clamped to [least, n]. Query-aware heads: both at the
// least, and blocks of the pooled map softmax(mean Q . mean K) while their cumulative sum is <= gamma times
// the number of block rows. The first block of keys and the diagonal blocks are always kept.
//   Source: Lai et al. 2025 (arXiv 2502.20766), section 3 and the authors' code.
// SeerAttention: a block is kept where its score passes a threshold, or the best
//   k = floor((1 - sqrt(1 - share)) blocks) of a block row. Source: Gao et al. 2024 (arXiv 2410.13276).
// DuoAttention: out = alpha full + (1 - alpha) streaming; the objective of gates is the mean over positions
//   and dimensions of (full - mixed)^2 plus 0.05 mean |alpha|. Source: Xiao et al. 2024 (arXiv 2410.10819).
#pragma once

#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct FlexRule {
  int64_t block = 128, least = 512;
  double coverage = 0.9, threshold = 0.1;
};
struct FlexMask {
  KeyMask mask;  // causal
  bool query_aware = false;
  double distance = 0.0;  // sqrt of the Jensen-Shannon divergence of the pooled and the true block weights
};
// q, k: [position, d_head]; weights: the head's causal map [query, key].
[[nodiscard]] FlexMask flex_mask(const Matrix& q, const Matrix& k, const Matrix& weights, double scale,
                                 const FlexRule& rule);

// Blocks kept per block row for a share of non-zero blocks: floor((1 - sqrt(1 - share)) blocks), at least 1.
[[nodiscard]] int64_t seer_blocks(double share, int64_t blocks);
// The best `keep` blocks of each causal block row by the largest weight in the block, its row normalised to
// sum 1; the diagonal always. [block, block]
[[nodiscard]] KeyMask seer_block_mask(const Matrix& weights, int64_t side, int64_t keep);

[[nodiscard]] std::vector<double> gated_output(std::span<const double> full,
                                               std::span<const double> streaming, double alpha);
// full, mixed: [position, d]; gates: of all KV heads.
[[nodiscard]] double gate_objective(const Matrix& full, const Matrix& mixed, std::span<const double> gates,
                                    double penalty = 0.05);

}  // namespace saccade::mechanisms
