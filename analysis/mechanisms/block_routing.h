// Routing by content: each query keeps the blocks of keys whose mean key it likes best.
//
//   score(query i, block b) = q_i . mean_{j in b} k_j
//   BiFormer  blocks are the regions of a grid; the mean query of a region chooses for all its queries.
//             Source: Zhu et al. 2023 (arXiv 2303.08810). Trained models add a convolution of v: left out.
//   MoBA      blocks are `side` keys in a row; a query's own block is always kept, causal inside, and later
//             blocks are left out. Source: Lu et al. 2025 (arXiv 2502.13189).
//   VMoBA     blocks of other shapes; the best (query, block) pairs of a head wherever they are ("global");
//   or
//             as many blocks as reach a share tau of the softmax over the scores ("threshold").
//             Source: Wu et al. 2025 (arXiv 2506.23858).
// q and k of one head, [position, d_head], as they are given (after rotation where they come from a capture).
#pragma once

#include <vector>

#include "analysis/mechanisms/grid_masks.h"
#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

enum class BlockChoice { top, global, threshold };

struct BlockRouting {
  BlockChoice choice = BlockChoice::top;
  int64_t keep = 3;     // top: blocks per query; global: as many on average. The own block is one of them
  double share = 0.25;  // threshold: of the softmax
  bool causal = true;
};

// Which block each of n positions is in: 0, 1, 2, ... without gaps.
[[nodiscard]] std::vector<int64_t> blocks_in_a_row(int64_t n, int64_t side);
[[nodiscard]] std::vector<int64_t> blocks_of_grid(Grid grid, int64_t height, int64_t width);

// [block, d]: means of the rows of each block.
[[nodiscard]] Matrix block_means(const Matrix& rows, const std::vector<int64_t>& block_of);
// Ascending indices of the k best of one row of scores.
[[nodiscard]] std::vector<int64_t> best_blocks(std::span<const double> scores, int64_t k);

// Causal routing needs blocks in a row: blocks that end after the query are not open to it, but its own is.
[[nodiscard]] KeyMask route_blocks(const Matrix& q, const Matrix& k, const std::vector<int64_t>& block_of,
                                   const BlockRouting& routing);

struct RegionRouting {
  Matrix scores;                             // [region, region]
  std::vector<std::vector<int64_t>> chosen;  // [region], ascending
  KeyMask mask;                              // [patch, patch]
};
// regions x regions of the grid's patches; `keep` of them per region.
[[nodiscard]] RegionRouting route_regions(const Matrix& q, const Matrix& k, Grid grid, int64_t regions,
                                          int64_t keep);

}  // namespace saccade::mechanisms
