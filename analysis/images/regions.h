// Named regions of a picture, and how much of each of a model's patches they cover. Pixels are the original
// picture's, edges counted from 0: a box goes from the left edge of pixel `left` to that of pixel `right`.
// Thread: any.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/image/picture.h"
#include "core/image/placed_image.h"
#include "kernels/base/result.h"

namespace saccade {

struct PictureBox {
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;
};

// One name; its boxes may be several, and may overlap (what they share counts once).
struct PictureRegion {
  std::string name;
  std::vector<PictureBox> boxes;
  Picture mask;  // in the place of boxes, the size of the picture: pixels of `colour` belong to the region
  uint32_t colour = 0;  // 0xRRGGBB
};

// "name:left,top,right,bottom" between semicolons; a name may come again. Errors show the text.
[[nodiscard]] Result<std::vector<PictureRegion>> parse_regions(const std::string& text);
// A JSON file, [{"name": "cat", "box": [l, t, r, b]}, ...] or {"cat": [[l, t, r, b], ...], ...}; a CSV file
// with the columns name, left, top, right, bottom; or a picture: every colour but black is a region, named by
// its colour (#ff0000), the only one "mask". Errors name the file and what was expected.
[[nodiscard]] Result<std::vector<PictureRegion>> read_regions(const std::filesystem::path& path);

// The share of every patch of the grid that the region covers, [patch], row by row. Errors: a mask of another
// size than the picture, a region that covers nothing of it (with the picture's size).
[[nodiscard]] Result<std::vector<double>> coverage_of(const PictureRegion& region, const ImageRegion& image);

}  // namespace saccade
