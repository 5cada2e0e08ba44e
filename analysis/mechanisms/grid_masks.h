// Masks of a picture's patches that are fixed by where the patches lie. Grid height x width, patches
// row-major.
//
//   axial    the same row, or the same column
//   block    floor(y / P) and floor(x / P) equal (MaxViT's block, Swin's window)
//   grid     y mod (height / G) and x mod (width / G) equal: G x G keys spread over the picture (MaxViT)
//   shifted  block after a cyclic shift by P / 2, neighbours that only the wrap made masked (Swin)
//   halo     what the query's block sees when it is extended by h on every side
// Sources: Ho et al. 2019 (arXiv 1912.12180), Tu et al. 2022 (MaxViT, arXiv 2204.01697), Liu et al. 2021
// (Swin, arXiv 2103.14030), Vaswani et al. 2021 (HaloNet, arXiv 2103.12731).
#pragma once

#include "analysis/mechanisms/key_mask.h"
#include "kernels/base/result.h"

namespace saccade::mechanisms {

struct Grid {
  int64_t height = 0, width = 0;
  [[nodiscard]] int64_t size() const { return height * width; }
  bool operator==(const Grid&) const = default;
};

enum class GridAxis { row, column };
// causal: only what comes no later in raster order.
[[nodiscard]] KeyMask axial_mask(Grid grid, GridAxis axis, bool causal = false);
// Blocks at the right and lower border may be smaller. side >= 1.
[[nodiscard]] KeyMask block_mask(Grid grid, int64_t side);
[[nodiscard]] KeyMask shifted_block_mask(Grid grid, int64_t side);
[[nodiscard]] KeyMask halo_mask(Grid grid, int64_t side, int64_t halo);
// Error: a side of the picture is no multiple of `side`.
[[nodiscard]] Result<KeyMask> spread_mask(Grid grid, int64_t side);
// Chebyshev distance at most `radius`.
[[nodiscard]] KeyMask radius_mask(Grid grid, int64_t radius);
// The largest divisor of both sides that is at most `wanted`.
[[nodiscard]] int64_t side_for(Grid grid, int64_t wanted);

}  // namespace saccade::mechanisms
