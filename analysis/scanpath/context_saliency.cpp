#include "analysis/scanpath/context_saliency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr int64_t reach = 3;  // patches of 7 x 7
constexpr size_t patch_size = 49;

// To 0 to 1; a flat map to 0.
void stretch(std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const double low = *least, range = *most - *least;
  for (double& value : values) value = range > 0.0 ? (value - low) / range : 0.0;
}

// The 7 x 7 values about every place, the border repeated. [place, 49]
std::vector<float> patches_of(const SaliencyMap& map) {
  std::vector<float> patches;
  patches.reserve(map.values.size() * patch_size);
  for (int64_t y = 0; y < map.size.height; ++y)
    for (int64_t x = 0; x < map.size.width; ++x)
      for (int64_t dy = -reach; dy <= reach; ++dy)
        for (int64_t dx = -reach; dx <= reach; ++dx)
          patches.push_back(static_cast<float>(map.at(std::clamp<int64_t>(x + dx, 0, map.size.width - 1),
                                                      std::clamp<int64_t>(y + dy, 0, map.size.height - 1))));
  return patches;
}

Result<SaliencyMap> at_one_scale(const SaliencyMap& map, int64_t nearest, const JobContext& job) {
  const std::vector<float> patches = patches_of(map);
  const size_t count = map.values.size();
  const double longer = static_cast<double>(std::max(map.size.width, map.size.height));
  const size_t used = std::min(static_cast<size_t>(nearest), count - 1);
  SaliencyMap made(map.size);
  std::vector<std::pair<double, double>> others;  // how unlike, d
  for (size_t i = 0; i < count; ++i) {
    if (i % 64 == 0) SACCADE_CHECK(job.check());
    others.clear();
    for (size_t k = 0; k < count; ++k) {
      if (k == i) continue;
      float square = 0.0F;
      for (size_t c = 0; c < patch_size; ++c) {
        const float difference = patches[i * patch_size + c] - patches[k * patch_size + c];
        square += difference * difference;
      }
      const double value = std::sqrt(static_cast<double>(square) / static_cast<double>(patch_size));
      const auto [xi, yi, xk, yk] =
          std::tuple{static_cast<int64_t>(i) % map.size.width, static_cast<int64_t>(i) / map.size.width,
                     static_cast<int64_t>(k) % map.size.width, static_cast<int64_t>(k) / map.size.width};
      const double place = std::hypot(static_cast<double>(xi - xk), static_cast<double>(yi - yk)) / longer;
      others.emplace_back(value, value / (1.0 + 3.0 * place));
    }
    if (used == 0) continue;
    std::nth_element(others.begin(), others.begin() + static_cast<ptrdiff_t>(used - 1), others.end());
    double sum = 0.0;
    for (size_t k = 0; k < used; ++k) sum += others[k].second;
    made.values[i] = 1.0 - std::exp(-sum / static_cast<double>(used));
  }
  return made;
}

// Places near a focus keep what they have; those farther away lose it.
void pull(SaliencyMap& map, double foci) {
  std::vector<Pixel> at;
  for (int64_t y = 0; y < map.size.height; ++y)
    for (int64_t x = 0; x < map.size.width; ++x)
      if (map.at(x, y) > foci) at.push_back({x, y});
  if (at.empty()) return;
  std::vector<double> distances;
  double most = 0.0;
  for (int64_t y = 0; y < map.size.height; ++y)
    for (int64_t x = 0; x < map.size.width; ++x) {
      double least = INFINITY;
      for (const Pixel& focus : at)
        least =
            std::min(least, std::hypot(static_cast<double>(x - focus.x), static_cast<double>(y - focus.y)));
      distances.push_back(least);
      most = std::max(most, least);
    }
  for (size_t i = 0; i < distances.size(); ++i)
    if (most > 0.0) map.values[i] *= 1.0 - distances[i] / most;
}

}  // namespace

Result<SaliencyMap> context_saliency(const SaliencyMap& map, const ContextSaliencyOptions& options,
                                     const JobContext& job) {
  SACCADE_CHECK(check_map(map, map.size));
  if (static_cast<int64_t>(map.values.size()) > options.longest)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("context-aware saliency of {} pixels; at most {}: make the map smaller",
                                  to_string(map.size), options.longest));
  SaliencyMap whole = map;
  stretch(whole.values);
  SaliencyMap sum(map.size);
  for (const double scale : options.scales) {
    const PictureSize size{std::max<int64_t>(1, std::lround(scale * static_cast<double>(map.size.width))),
                           std::max<int64_t>(1, std::lround(scale * static_cast<double>(map.size.height)))};
    SACCADE_TRY(const SaliencyMap small, stretched(whole, size));
    SACCADE_TRY(const SaliencyMap salient, at_one_scale(small, options.nearest, job));
    SACCADE_TRY(const SaliencyMap large, stretched(salient, map.size));
    for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += large.values[i];
  }
  stretch(sum.values);
  pull(sum, options.foci);
  return sum;
}

std::vector<std::vector<int64_t>> areas_above(const SaliencyMap& map, double least) {
  std::vector<std::vector<int64_t>> areas;
  std::vector<bool> seen(map.values.size(), false);
  for (int64_t first = 0; first < static_cast<int64_t>(map.values.size()); ++first) {
    std::vector<int64_t> area, waiting{first};
    while (!waiting.empty()) {
      const int64_t place = waiting.back();
      waiting.pop_back();
      const auto at = static_cast<size_t>(place);
      if (seen[at] || map.values[at] < least) continue;
      seen[at] = true;
      area.push_back(place);
      const int64_t x = place % map.size.width, y = place / map.size.width;
      if (x > 0) waiting.push_back(place - 1);
      if (x + 1 < map.size.width) waiting.push_back(place + 1);
      if (y > 0) waiting.push_back(place - map.size.width);
      if (y + 1 < map.size.height) waiting.push_back(place + map.size.width);
    }
    if (area.empty()) continue;
    std::sort(area.begin(), area.end());
    areas.push_back(std::move(area));
  }
  std::stable_sort(areas.begin(), areas.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return areas;
}

}  // namespace saccade
