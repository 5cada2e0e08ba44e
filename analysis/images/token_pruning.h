// HiPrune: which tokens of a picture a model could do with, chosen by where the encoder's attention lies.
//
// Importance of token j in a layer = mean over heads and all query rows of A[:, j] (columns of CLS and
// registers left out). Anchors: the round(alpha N' / 5) most important at the object layer, in the middle of
// the encoder. Buffers: each anchor's neighbours left, right, above, below (index +-1 and +-width, clamped to
// the picture; `strict` forbids the step over the end of a row). Registers: the most important of the rest at
// the output layer, until there are N'. Source: Liu et al. 2025 (arXiv 2508.00553) and the authors' code:
// alpha 0.1, object layer 9 of 24, N' 192, 128 or 64 of 576.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace saccade {

enum class TokenRole { dropped, anchor, buffer, registers };
[[nodiscard]] const char* to_string(TokenRole role);

struct PruneRule {
  int64_t budget = 64;  // N'
  double alpha = 0.1;
  bool strict = false;
};

[[nodiscard]] int64_t anchor_count(const PruneRule& rule);
// Roles of all height x width tokens, [token]; min(budget, tokens) of them are not dropped. Ties go to the
// lower index. object, output: importance at the two layers, [token].
[[nodiscard]] std::vector<TokenRole> prune_tokens(std::span<const double> object,
                                                  std::span<const double> output, int64_t height,
                                                  int64_t width, const PruneRule& rule);
// Mean distance, in patches, between the most important tokens (a share of them, at least two): how spread
// out a layer looks. NaN for a single token.
[[nodiscard]] double dispersion(std::span<const double> importance, int64_t width, double share = 0.1);

}  // namespace saccade
