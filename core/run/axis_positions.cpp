#include "core/run/axis_positions.h"

#include <algorithm>

namespace saccade {
namespace {

// The grid of the whole picture, of which the region may hold a part.
struct Grid {
  int64_t height = 0, width = 0;
};
Grid whole_grid(const ImageRegion& region) {
  return {region.geometry.height / region.patch_height, region.geometry.width / region.patch_width};
}

}  // namespace

int64_t AxisPositions::places_needed(int64_t begin, int64_t end) const {
  int64_t needed = 0;
  for (int64_t position = begin; position < end; ++position) {
    const AxisPosition place = at(position);
    needed = std::max(needed, *std::max_element(place.begin(), place.end()) + 1);
  }
  return needed;
}

AxisPositions AxisPositions::taken(const std::vector<int32_t>& positions) const {
  std::vector<AxisPosition> places;
  places.reserve(positions.size());
  for (const int32_t position : positions) places.push_back(at(position));
  return {std::move(places), next_};
}

std::optional<AxisPositions> axis_positions(const ModelSpec& spec, const std::vector<PlacedImage>& images) {
  if (spec.rotary.sections.empty()) return std::nullopt;
  std::vector<AxisPosition> places;
  int64_t next = 0;
  for (const PlacedImage& placed : images) {
    const ImageRegion& region = placed.region;
    while (static_cast<int64_t>(places.size()) < region.first_patch()) {
      places.push_back({next, next, next});
      ++next;
    }
    const Grid grid = whole_grid(region);
    for (int64_t i = 0; i < region.end() - region.first_patch(); ++i) {
      const int64_t patch = placed.kept.empty() ? i : placed.kept[static_cast<size_t>(i)];
      places.push_back({next, next + patch / grid.width, next + patch % grid.width});
    }
    next += std::max(grid.height, grid.width);
  }
  return AxisPositions(std::move(places), next);
}

Result<std::optional<AxisPositions>> axis_positions(const ModelSpec& spec,
                                                    const std::vector<ImageRegion>& images) {
  std::vector<PlacedImage> placed;
  for (const ImageRegion& region : images) {
    const Grid grid = whole_grid(region);
    if (!spec.rotary.sections.empty() &&
        (grid.height != region.grid_height || grid.width != region.grid_width))
      return make_error(ErrorCode::unsupported,
                        "the other run kept only some patches of its picture, and does not say which: their "
                        "places cannot be made again; record it with --capture z");
    placed.push_back({region, nullptr});
  }
  return axis_positions(spec, placed);
}

}  // namespace saccade
