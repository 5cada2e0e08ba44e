// Which patches of a picture that was padded to a grid of tiles show the picture. Thread: any.
#pragma once

#include "core/image/grid_resample.h"
#include "core/image/placed_image.h"

namespace saccade {

struct GridWindow {
  int32_t row = 0, column = 0, height = 0, width = 0;  // in patches
};

// The patches of all tiles of a picture side by side. What is left at a tile's right and lower border and is
// no whole patch is none here either.
[[nodiscard]] GridSize tiled_grid(const PreparedImage& image, const PatchSpec& patches);
// As LLaVA-NeXT takes the padding away again: along one axis, by whole patches, as many at either end.
[[nodiscard]] GridWindow shown_window(const PreparedImage& image, const GridSize& grid);

}  // namespace saccade
