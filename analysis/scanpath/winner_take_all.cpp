#include "analysis/scanpath/winner_take_all.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

Result<void> check(const WinnerTakeAllOptions& options) {
  const auto share = [](double value) { return value >= 0.0 && value <= 1.0; };
  if (options.fixations < 1 || options.fixations > 10'000 || !(options.radius >= 0.0) ||
      !share(options.keeps) || !share(options.recovery) || !share(options.least) ||
      !(options.dwell_ms >= 0.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("winner-take-all with {} fixations, radius {}, keeps {}, recovery {}, least {}; "
                    "expected 1 to 10000, at least 0, and shares of 0 to 1",
                    options.fixations, options.radius, options.keeps, options.recovery, options.least));
  return {};
}

void inhibit(SaliencyMap& factor, Pixel at, double radius, double keeps) {
  const auto reach = static_cast<int64_t>(std::ceil(radius));
  for (int64_t y = std::max<int64_t>(0, at.y - reach); y <= std::min(factor.size.height - 1, at.y + reach);
       ++y)
    for (int64_t x = std::max<int64_t>(0, at.x - reach); x <= std::min(factor.size.width - 1, at.x + reach);
         ++x)
      if (static_cast<double>((x - at.x) * (x - at.x) + (y - at.y) * (y - at.y)) <= radius * radius)
        factor.at(x, y) *= keeps;
}

}  // namespace

Result<WinnerPath> winner_take_all(const SaliencyMap& map, const WinnerTakeAllOptions& options) {
  SACCADE_CHECK(check_map(map, map.size));
  SACCADE_CHECK(check(options));
  const double radius = options.radius > 0.0
                            ? options.radius
                            : static_cast<double>(std::min(map.size.width, map.size.height)) / 6.0;
  const double least = *std::min_element(map.values.begin(), map.values.end());
  SaliencyMap factor(map.size, 1.0);  // what inhibition leaves of each pixel
  WinnerPath walked;
  walked.path.size = map.size;
  double first = 0.0;
  for (int64_t step = 0; step < options.fixations; ++step) {
    size_t best = 0;
    const auto value = [&](size_t i) { return (map.values[i] - least) * factor.values[i]; };
    for (size_t i = 1; i < map.values.size(); ++i)
      if (value(i) > value(best)) best = i;
    Pixel pixel{static_cast<int64_t>(best) % map.size.width, static_cast<int64_t>(best) / map.size.width};
    double height = value(best);
    if (step == 0) first = height;
    if (step == 0 && options.begin_at_centre) {
      pixel = {map.size.width / 2, map.size.height / 2};
      height = value(static_cast<size_t>(pixel.y * map.size.width + pixel.x));
    } else if (step > 0 && !(height > options.least * first)) {
      break;  // nothing is left to look at
    }
    walked.steps.push_back({pixel, height});
    walked.path.fixations.push_back({static_cast<double>(pixel.x) + 0.5,
                                     static_cast<double>(pixel.y) + 0.5,
                                     options.dwell_ms,
                                     static_cast<double>(step) * options.dwell_ms,
                                     {}});
    for (double& share : factor.values) share += options.recovery * (1.0 - share);
    inhibit(factor, pixel, radius, options.keeps);
  }
  return walked;
}

}  // namespace saccade
