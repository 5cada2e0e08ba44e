#include "core/image/smart_resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace saccade {

Result<ImageSize> SmartResize::size_of(const ImageSize& from) const {
  constexpr double longest = 200.0;
  const double height = from.height, width = from.width;
  if (std::max(height, width) / std::min(height, width) > longest)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} x {} pixels: this model reads pictures at most {} times as long as wide; "
                    "cut a part out",
                    from.width, from.height, longest));
  // Operations in the order in which Transformers has them, so that a side on an edge falls to the same side.
  const auto both = [&](auto side) { return std::pair(side(height) * factor, side(width) * factor); };
  auto [h, w] = both([&](double length) { return std::nearbyint(length / factor); });
  if (h * w > static_cast<double>(most_pixels)) {
    const double beta = std::sqrt(height * width / static_cast<double>(most_pixels));
    std::tie(h, w) = both([&](double length) { return std::max(1.0, std::floor(length / beta / factor)); });
  } else if (h * w < static_cast<double>(least_pixels)) {
    const double beta = std::sqrt(static_cast<double>(least_pixels) / (height * width));
    std::tie(h, w) = both([&](double length) { return std::ceil(length * beta / factor); });
  }
  if (h > 65536.0 || w > 65536.0)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} x {} pixels would become {} x {}: too large", from.width, from.height, w, h));
  return ImageSize{static_cast<int32_t>(h), static_cast<int32_t>(w)};
}

}  // namespace saccade
