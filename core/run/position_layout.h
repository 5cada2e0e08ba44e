// Rotary positions that are not the places of the tokens (edits `reposition` and `shift`), and the layouts of
// a picture's patches.
//
//   concentric (CCA)  ring(y, x) = min(y, x, height - 1 - y, width - 1 - x), 0 outermost. A patch stands at
//                     the picture's first position + ring, and what follows goes on height / 2 behind the
//                     first one (rounded up, so that the middle of an odd picture has a position of its own).
//                     Source: Xing et al. 2024 (arXiv 2410.15926) and the authors' code.
//   reversed, columns, shuffled   the same positions, given to the patches from the last to the first, column
//                     by column, or as drawn with a seed.
//
// Who sees whom stays with the order of the tokens: positions alone are moved. Pure; thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/run/edit.h"

namespace saccade {

// Position of every token of a prompt, and how far what comes after it (decoding) is moved. Empty: each token
// stands where it is.
struct TokenPositions {
  std::vector<int64_t> of_token;  // [token]
  int64_t after = 0;              // token i behind them stands at i + after
  [[nodiscard]] bool moved() const { return !of_token.empty(); }
  [[nodiscard]] int64_t at(int64_t token) const {
    return token < static_cast<int64_t>(of_token.size()) ? of_token[static_cast<size_t>(token)]
                                                         : token + after;
  }
  bool operator==(const TokenPositions&) const = default;
};

// Of a grid of height x width patches, row by row.
[[nodiscard]] int64_t ring_of(int64_t height, int64_t width, int64_t patch);
// Which patch stands at each place, [place]: a permutation. Not for concentric, which has fewer places. The
// same for a seed everywhere.
[[nodiscard]] std::vector<int64_t> patch_order(int64_t height, int64_t width, PositionLayout layout,
                                               int64_t seed = 1);

[[nodiscard]] bool moves_positions(EditVerb verb);
// Positions in a layer under the edits, in list order; those of other verbs are passed over. Regions by name
// may stand in them. Errors name the edit: a layout of what is no whole picture (concentric, columns), of
// decoded tokens, or positions below 0.
[[nodiscard]] Result<TokenPositions> positions_under(std::span<const Edit> edits, int32_t layer,
                                                     const TokenPlaces& places);

}  // namespace saccade
