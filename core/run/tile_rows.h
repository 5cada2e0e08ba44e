// What stands between a vision tower and its projector, or between a picture and its tower, where pictures
// are cut into tiles. Private to core/run. Thread: any.
#pragma once

#include "core/image/grid_resample.h"
#include "core/image/placed_image.h"

namespace saccade {

[[nodiscard]] inline GridSize patch_grid(const PatchSpec& patches, const PreparedImage& image) {
  return {image.geometry.height / patches.height, image.geometry.width / patches.width};
}

// Pixel shuffle (Shi et al. 2016, arXiv 1609.05158, backwards; Idefics3, arXiv 2408.12637): side x side
// neighbours of a grid become one row, [grid / side^2, side^2 * d], row by row of the square. The grid's
// sides are multiples of `side`.
[[nodiscard]] HostTensor merged(const HostTensor& rows, const GridSize& grid, int32_t side);

}  // namespace saccade
