#include "analysis/images/patch_map.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr Rgb no_picture{196, 196, 196};

// What a pixel of the made picture covers of the original, averaged over at most 4 x 4 places of it.
Rgb average(const Picture& picture, double x, double y, double width, double height) {
  const auto places = [](double size) { return std::clamp(static_cast<int>(std::ceil(size)), 1, 4); };
  const int nx = places(width), ny = places(height);
  double sum[3] = {0.0, 0.0, 0.0};
  for (int j = 0; j < ny; ++j)
    for (int i = 0; i < nx; ++i) {
      const auto column = std::clamp<int64_t>(static_cast<int64_t>(x + width * (i + 0.5) / nx), 0,
                                              int64_t{picture.width} - 1);
      const auto row = std::clamp<int64_t>(static_cast<int64_t>(y + height * (j + 0.5) / ny), 0,
                                           int64_t{picture.height} - 1);
      const uint8_t* pixel = picture.rgb.data() + (row * picture.width + column) * 3;
      for (int c = 0; c < 3; ++c) sum[c] += pixel[c];
    }
  const auto mean = [&](int c) { return static_cast<uint8_t>(std::lround(sum[c] / (nx * ny))); };
  return {mean(0), mean(1), mean(2)};
}

uint8_t mixed(uint8_t below, uint8_t above, double alpha) {
  return static_cast<uint8_t>(std::lround((1.0 - alpha) * below + alpha * above));
}

}  // namespace

double PatchMap::sum() const {
  double sum = 0.0;
  for (const float value : values) sum += std::isfinite(value) ? value : 0.0;
  return sum;
}

float PatchMap::largest() const {
  float largest = 0.0f;
  for (const float value : values)
    if (std::isfinite(value)) largest = std::max(largest, value);
  return largest;
}

float PatchMap::furthest() const {
  float furthest = 0.0f;
  for (const float value : values)
    if (std::isfinite(value)) furthest = std::max(furthest, std::abs(value));
  return furthest;
}

PatchRect grid_rect(const ImageRegion& region) {
  const PatchRect first = rect_of(region, 0);
  return {first.x, first.y, first.width * region.grid_width, first.height * region.grid_height};
}

std::optional<int64_t> patch_at(const ImageRegion& region, double x, double y) {
  const PatchRect grid = grid_rect(region);
  const double column = (x - grid.x) / grid.width * region.grid_width,
               row = (y - grid.y) / grid.height * region.grid_height;
  if (!(column >= 0.0 && row >= 0.0 && column < region.grid_width && row < region.grid_height))
    return std::nullopt;
  return static_cast<int64_t>(row) * region.grid_width + static_cast<int64_t>(column);
}

std::vector<float> smoothed(const PatchMap& map, int factor) {
  if (factor <= 1) return map.values;
  const int64_t rows = map.region.grid_height, columns = map.region.grid_width;
  std::vector<float> made(static_cast<size_t>(rows * columns * factor * factor));
  // For each place along an axis: the two patches about it and how far it is between them.
  struct Between {
    int64_t low, high;
    double share;
  };
  const auto along = [factor](int64_t cells) {
    std::vector<Between> places;
    for (int64_t i = 0; i < cells * factor; ++i) {
      const double at =
          std::clamp((static_cast<double>(i) + 0.5) / factor - 0.5, 0.0, static_cast<double>(cells - 1));
      const auto low = static_cast<int64_t>(at);
      places.push_back({low, std::min(low + 1, cells - 1), at - static_cast<double>(low)});
    }
    return places;
  };
  const auto down = along(rows), across = along(columns);
  const auto value = [&](int64_t row, int64_t column) {
    return double{map.values[static_cast<size_t>(row * columns + column)]};
  };
  auto out = made.begin();
  for (const Between& y : down)
    for (const Between& x : across)
      *out++ = static_cast<float>(
          (1.0 - y.share) * ((1.0 - x.share) * value(y.low, x.low) + x.share * value(y.low, x.high)) +
          y.share * ((1.0 - x.share) * value(y.high, x.low) + x.share * value(y.high, x.high)));
  return made;
}

Picture overlaid(const Picture* picture, const PatchMap& map, const OverlayOptions& options) {
  const double original_width = picture ? picture->width : map.region.geometry.original_width,
               original_height = picture ? picture->height : map.region.geometry.original_height;
  const double zoom = static_cast<double>(std::max<int64_t>(options.longest_side, 1)) /
                      std::max(original_width, original_height);
  Picture made;
  made.width = std::max(1, static_cast<int32_t>(std::lround(original_width * zoom)));
  made.height = std::max(1, static_cast<int32_t>(std::lround(original_height * zoom)));
  made.name = picture ? picture->name : map.region.name;
  made.rgb.resize(static_cast<size_t>(made.width) * static_cast<size_t>(made.height) * 3);
  const int factor = options.smooth ? 8 : 1;
  const std::vector<float> values = map.empty() ? std::vector<float>() : smoothed(map, factor);
  const PatchRect grid = map.empty() ? PatchRect() : grid_rect(map.region);
  const int64_t rows = int64_t{map.region.grid_height} * factor,
                columns = int64_t{map.region.grid_width} * factor;
  const double step_x = original_width / made.width, step_y = original_height / made.height;
  uint8_t* out = made.rgb.data();
  for (int32_t py = 0; py < made.height; ++py)
    for (int32_t px = 0; px < made.width; ++px, out += 3) {
      const double x = px * step_x, y = py * step_y;
      Rgb rgb = picture ? average(*picture, x, y, step_x, step_y) : no_picture;
      const double column = (x + 0.5 * step_x - grid.x) / grid.width * static_cast<double>(columns),
                   row = (y + 0.5 * step_y - grid.y) / grid.height * static_cast<double>(rows);
      if (!values.empty() && column >= 0.0 && row >= 0.0 && column < static_cast<double>(columns) &&
          row < static_cast<double>(rows)) {
        const float value =
            values[static_cast<size_t>(static_cast<int64_t>(row) * columns + static_cast<int64_t>(column))];
        if (std::isfinite(value)) {
          const Rgb above = options.scale.colour(value);
          rgb = {mixed(rgb.r, above.r, options.alpha), mixed(rgb.g, above.g, options.alpha),
                 mixed(rgb.b, above.b, options.alpha)};
        }
      }
      out[0] = rgb.r;
      out[1] = rgb.g;
      out[2] = rgb.b;
    }
  return made;
}

}  // namespace saccade
