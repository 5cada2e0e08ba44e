#include "core/model/tile_grid.h"

#include <cmath>

namespace saccade {
namespace {

// Seven decimals are enough to tell a whole number from one that rounding made a little smaller.
int32_t whole(double value) { return static_cast<int32_t>(std::nearbyint(value * 1e7) / 1e7); }

}  // namespace

GridSize tiled_grid(const PreparedImage& image, const PatchSpec& patches) {
  return {image.geometry.height / image.tile_height * (image.tile_height / patches.height),
          image.geometry.width / image.tile_width * (image.tile_width / patches.width)};
}

GridWindow shown_window(const PreparedImage& image, const GridSize& grid) {
  const double width = image.geometry.original_width, height = image.geometry.original_height;
  GridWindow shown{0, 0, grid.height, grid.width};
  if (width / height > static_cast<double>(grid.width) / grid.height) {
    shown.row = (grid.height - whole(height * (grid.width / width))) / 2;
    shown.height -= 2 * shown.row;
  } else {
    shown.column = (grid.width - whole(width * (grid.height / height))) / 2;
    shown.width -= 2 * shown.column;
  }
  return shown;
}

}  // namespace saccade
