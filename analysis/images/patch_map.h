// PatchMap: one number per patch of a picture, and the picture with such a map laid over it. The window, the
// figures and the animations all draw through this, so that a patch's colour lies exactly on the patch
// (core/image/placed_image.h says where that is; what the processor cut off has no colour). Thread: any.
#pragma once

#include <optional>
#include <vector>

#include "analysis/colour.h"
#include "core/image/picture.h"
#include "core/image/placed_image.h"

namespace saccade {

struct PatchMap {
  ImageRegion region;
  std::vector<float> values;  // [grid_height, grid_width], row-major

  [[nodiscard]] bool empty() const { return values.empty(); }
  [[nodiscard]] double sum() const;      // in double
  [[nodiscard]] float largest() const;   // of the finite ones; 0 without any
  [[nodiscard]] float furthest() const;  // the largest distance from 0
};

// The rectangle of the whole grid, in pixels of the original picture.
[[nodiscard]] PatchRect grid_rect(const ImageRegion& region);
// The patch that holds a point of the original picture; nothing where there is none.
[[nodiscard]] std::optional<int64_t> patch_at(const ImageRegion& region, double x, double y);

// The map with `factor` x `factor` values per patch, bilinear between the patches' middles and constant
// beyond the outer ones: [grid_height * factor, grid_width * factor]. factor 1 gives the values themselves.
[[nodiscard]] std::vector<float> smoothed(const PatchMap& map, int factor);

struct OverlayOptions {
  ColourScale scale;
  double alpha = 0.6;           // of the colours; 0 shows the picture alone
  bool smooth = false;          // bilinear; false: every patch one colour
  int64_t longest_side = 1200;  // of what is made; a larger picture is made smaller, a smaller one larger
};
// The picture with the colours over it. `picture` may be null (a dump holds none): grey then. An empty map
// gives the picture alone.
[[nodiscard]] Picture overlaid(const Picture* picture, const PatchMap& map, const OverlayOptions& options);

}  // namespace saccade
