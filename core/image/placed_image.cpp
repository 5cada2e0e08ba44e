#include "core/image/placed_image.h"

#include <algorithm>

namespace saccade {

PatchRect rect_of(const ImageRegion& region, int64_t patch) {
  const ImageGeometry& g = region.geometry;
  const auto column = patch % region.grid_width, row = patch / region.grid_width;
  const double left = static_cast<double>(column) * region.patch_width,
               top = static_cast<double>(row) * region.patch_height;
  return {(left - g.offset_x) / g.scale_x, (top - g.offset_y) / g.scale_y, region.patch_width / g.scale_x,
          region.patch_height / g.scale_y};
}

std::optional<int64_t> ImageRegion::patch_at(int64_t position) const {
  if (position < first_patch() || position >= end()) return std::nullopt;
  const int64_t at = position - first_patch(), stride = int64_t{grid_width} + row_extra;
  if (at % stride >= grid_width) return std::nullopt;
  return at / stride * grid_width + at % stride;
}

std::vector<float> over_patches(const ImageRegion& region, std::span<const float> values, int64_t width) {
  std::vector<float> made;
  made.reserve(static_cast<size_t>(region.patches() * width));
  for (int64_t row = 0; row < region.grid_height; ++row) {
    const auto of_row = values.subspan(static_cast<size_t>(region.position(row * region.grid_width) * width),
                                       static_cast<size_t>(region.grid_width * width));
    made.insert(made.end(), of_row.begin(), of_row.end());
  }
  return made;
}

const char* to_string(TokenRegion region) {
  switch (region) {
    case TokenRegion::sys:
      return "sys";
    case TokenRegion::img:
      return "img";
    case TokenRegion::txt:
      return "txt";
    case TokenRegion::gen:
      return "gen";
  }
  return "";
}

std::vector<TokenRegion> regions_of(int64_t n_token, const std::vector<ImageRegion>& images,
                                    int64_t generated_from) {
  std::vector<TokenRegion> regions(static_cast<size_t>(n_token), TokenRegion::txt);
  const auto fill = [&](int64_t begin, int64_t end, TokenRegion region) {
    begin = std::clamp<int64_t>(begin, 0, n_token);
    end = std::clamp<int64_t>(end, begin, n_token);
    std::fill(regions.begin() + begin, regions.begin() + end, region);
  };
  int64_t first = n_token;
  for (const ImageRegion& image : images) first = std::min(first, image.first_patch());
  if (!images.empty()) fill(0, first, TokenRegion::sys);
  for (const ImageRegion& image : images) fill(image.first_patch(), image.end(), TokenRegion::img);
  if (generated_from >= 0) fill(generated_from, n_token, TokenRegion::gen);
  return regions;
}

}  // namespace saccade
