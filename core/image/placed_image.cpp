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
