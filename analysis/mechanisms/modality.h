// Masks for sequences that hold a picture of height x width patches from position `begin` on.
//
//   MMA (AKI)  picture rows also see the text that comes later; text rows stay causal.
//              Source: Wang et al. 2025 (arXiv 2503.02597).
//   EE-MLLM    picture rows see what stands before the picture and themselves, no other patch; text
//   unchanged.
//              Source: Ma et al. 2024 (arXiv 2408.11795); that each patch keeps itself is our reading.
//   CCA        rings as in core/run/position_layout.h, which also has their positions. Among patches a query
//              sees those of its own ring and of all rings further out. Source: Xing et al. 2024 (arXiv
//              2410.15926) and the authors' code.
#pragma once

#include "analysis/mechanisms/grid_masks.h"

namespace saccade::mechanisms {

struct PlacedGrid {
  int64_t begin = 0;  // position of the first patch
  Grid grid;
  [[nodiscard]] int64_t end() const { return begin + grid.size(); }
};

// n: tokens of the whole sequence. two_way: patches see all patches.
[[nodiscard]] KeyMask mutual_mask(int64_t n, const PlacedGrid& picture, bool two_way);
[[nodiscard]] KeyMask no_patch_to_patch_mask(int64_t n, const PlacedGrid& picture);
[[nodiscard]] KeyMask concentric_mask(int64_t n, const PlacedGrid& picture);

}  // namespace saccade::mechanisms
