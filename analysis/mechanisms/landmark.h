// Landmark attention: a block of tokens is reached through its landmark.
//
// For a query in the current block: G* = {landmarks of the earlier blocks} and {tokens of the current block
// up to the query}, with one softmax p*; each earlier block has a softmax of its own over its tokens. A
// token's weight is softmax_block(j) p*(landmark of its block), or p*(j) in the current block; landmarks get
// nothing. Weights sum to 1. Source: Mohtashami and Jaggi 2023 (arXiv 2305.16300) and the authors' code.
// Models that have no landmark tokens are simulated with the mean of a block's keys as its landmark (own).
#pragma once

#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct LandmarkRow {
  std::vector<double> weights;  // [token]
  std::vector<double> blocks;   // [earlier block]: p* of its landmark
};
// scores: of the tokens up to the query, in order, landmarks left out; block_size tokens per block, of which
// the last may be incomplete and is the current one. landmarks: scores of the earlier blocks' landmarks.
// A full last block is the current one, too: blocks before it are those of landmarks.size().
[[nodiscard]] LandmarkRow landmark_row(std::span<const double> scores, std::span<const double> landmarks,
                                       int64_t block_size);
// [query, key] with mean keys as landmarks, causal; block_size tokens each.
[[nodiscard]] Matrix landmark_map(const Matrix& q, const Matrix& k, double scale, int64_t block_size);

}  // namespace saccade::mechanisms
