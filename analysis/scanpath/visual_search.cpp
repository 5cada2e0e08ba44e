#include "analysis/scanpath/visual_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

bool touches(const Fixation& fixation, double side, const ObjectBox& box) {
  const double half = 0.5 * side;
  return fixation.x + half >= box.left && fixation.x - half < box.right && fixation.y + half >= box.top &&
         fixation.y - half < box.bottom;
}

void forbid(SaliencyMap& allowed, const Fixation& fixation, double side) {
  const auto clip = [](double at, int64_t extent) {
    return static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(extent)));
  };
  const double half = 0.5 * side;
  for (int64_t y = clip(fixation.y - half, allowed.size.height);
       y < clip(std::ceil(fixation.y + half), allowed.size.height); ++y)
    for (int64_t x = clip(fixation.x - half, allowed.size.width);
         x < clip(std::ceil(fixation.x + half), allowed.size.width); ++x)
      allowed.at(x, y) = 0.0;
}

Result<void> check_features(const HostTensor& features) {
  const auto& shape = features.shape();
  if (shape.size() != 3 || shape[0] < 1 || shape[1] < 1 || shape[2] < 1)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("features of shape [{}]; expected [row, column, feature]", fmt::join(shape, ", ")));
  return {};
}

}  // namespace

Result<SaliencyMap> combined_search_map(const std::vector<SaliencyMap>& layers, PictureSize size) {
  double weights = 0.0;
  for (const SaliencyMap& layer : layers) {
    SACCADE_CHECK(check_map(layer, layer.size));
    weights += std::max(0.0, *std::max_element(layer.values.begin(), layer.values.end()));
  }
  if (!(weights > 0.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("none of {} maps is above 0 anywhere: nothing resembles the target", layers.size()));
  SaliencyMap sum(size);
  for (const SaliencyMap& layer : layers) {
    const auto [least, most] = std::minmax_element(layer.values.begin(), layer.values.end());
    if (!(*most > *least)) continue;
    const double low = *least, range = *most - *least, weight = std::max(0.0, *most) / weights;
    SACCADE_TRY(const SaliencyMap large, stretched(layer, size));
    for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += weight * (large.values[i] - low) / range;
  }
  return sum;
}

Result<SaliencyMap> sharpened(const SaliencyMap& map, double near_sigma, double far_sigma) {
  SACCADE_CHECK(check_map(map, map.size));
  if (!(near_sigma > 0.0 && far_sigma > near_sigma && far_sigma <= 1000.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("Gaussians of {} and {} pixels; expected the first above 0 and below the second",
                    near_sigma, far_sigma));
  SaliencyMap out = map;
  for (int pass = 0; pass < 3; ++pass) {
    SACCADE_TRY(const SaliencyMap near, blurred(out, near_sigma));
    SACCADE_TRY(const SaliencyMap far, blurred(out, far_sigma));
    for (size_t i = 0; i < out.values.size(); ++i) out.values[i] += near.values[i] - far.values[i];
  }
  const double least = *std::min_element(out.values.begin(), out.values.end());
  for (double& value : out.values) value -= least;
  return out;
}

Result<SearchPath> visual_search(PictureSize picture, const ObjectBox& target,
                                 const VisualSearchOptions& options,
                                 const std::function<Result<SaliencyMap>(const Fixation&)>& map_at) {
  if (options.fixations < 1 || options.fixations > 10'000 || !(options.inhibition > 0.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a search of {} fixations and a square of {} pixels; expected 1 to 10000 and above 0",
                    options.fixations, options.inhibition));
  if (!(target.right > target.left && target.bottom > target.top))
    return make_error(ErrorCode::invalid_argument, fmt::format("the target '{}' has no area", target.name));
  SaliencyMap allowed(picture, 1.0);
  SACCADE_CHECK(check_map(allowed, picture));
  SearchPath search;
  search.path.size = picture;
  Fixation here{0.5 * static_cast<double>(picture.width),
                0.5 * static_cast<double>(picture.height),
                options.dwell_ms,
                0.0,
                {}};
  while (true) {
    search.path.fixations.push_back(here);
    search.fixations = static_cast<int64_t>(search.path.fixations.size());
    search.found = touches(here, options.inhibition, target);
    if (search.found || search.fixations == options.fixations) return search;
    forbid(allowed, here, options.inhibition);
    SACCADE_TRY(SaliencyMap seen, map_at(here));
    SACCADE_CHECK(check_map(seen, picture));
    if (options.near_sigma > 0.0) {
      SACCADE_TRY(seen, sharpened(seen, options.near_sigma, options.far_sigma));
    }
    std::ptrdiff_t best = -1;
    for (size_t i = 0; i < seen.values.size(); ++i)
      if (allowed.values[i] > 0.0 && (best < 0 || seen.values[i] > seen.values[static_cast<size_t>(best)]))
        best = static_cast<std::ptrdiff_t>(i);
    if (best < 0) return search;  // everything has been looked at
    const int64_t column = best % picture.width, row = best / picture.width;
    here.x = static_cast<double>(column) + 0.5;
    here.y = static_cast<double>(row) + 0.5;
    here.start = static_cast<double>(search.fixations) * options.dwell_ms;
  }
}

Result<HostTensor> eccentric_features(const HostTensor& features, double row, double column, double slope) {
  SACCADE_CHECK(check_features(features));
  if (!(slope >= 0.0 && slope <= 10.0) || !std::isfinite(row) || !std::isfinite(column))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("sight from ({}, {}) with slope {}", row, column, slope));
  const int64_t rows = features.shape()[0], columns = features.shape()[1], width = features.shape()[2];
  // Sums over all patches above and to the left, so that any window costs the same.
  std::vector<double> sums(static_cast<size_t>((rows + 1) * (columns + 1) * width), 0.0);
  const auto sum_at = [&](int64_t i, int64_t j, int64_t k) -> double& {
    return sums[static_cast<size_t>((i * (columns + 1) + j) * width + k)];
  };
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t k = 0; k < width; ++k)
        sum_at(i + 1, j + 1, k) = features.data()[(i * columns + j) * width + k] + sum_at(i, j + 1, k) +
                                  sum_at(i + 1, j, k) - sum_at(i, j, k);
  HostTensor seen(features.shape(), false);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      const auto reach = static_cast<int64_t>(
          std::lround(slope * std::hypot(static_cast<double>(i) - row, static_cast<double>(j) - column)));
      const int64_t top = std::max<int64_t>(0, i - reach), bottom = std::min(rows, i + reach + 1);
      const int64_t left = std::max<int64_t>(0, j - reach), right = std::min(columns, j + reach + 1);
      const auto patches = static_cast<double>((bottom - top) * (right - left));
      for (int64_t k = 0; k < width; ++k)
        seen.mutable_values()[static_cast<size_t>((i * columns + j) * width + k)] =
            static_cast<float>((sum_at(bottom, right, k) - sum_at(top, right, k) - sum_at(bottom, left, k) +
                                sum_at(top, left, k)) /
                               patches);
    }
  return seen;
}

Result<SaliencyMap> match_map(const HostTensor& features, const std::vector<float>& target) {
  SACCADE_CHECK(check_features(features));
  const int64_t width = features.shape()[2];
  if (static_cast<int64_t>(target.size()) != width)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a target of {} features against patches of {}", target.size(), width));
  SaliencyMap map({features.shape()[1], features.shape()[0]});
  double target_square = 0.0;
  for (const float value : target) target_square += static_cast<double>(value) * value;
  for (size_t i = 0; i < map.values.size(); ++i) {
    double product = 0.0, square = 0.0;
    for (size_t k = 0; k < target.size(); ++k) {
      const double value = features.data()[i * target.size() + k];
      product += value * target[k];
      square += value * value;
    }
    map.values[i] = square * target_square > 0.0 ? product / std::sqrt(square * target_square) : 0.0;
  }
  return map;
}

}  // namespace saccade
