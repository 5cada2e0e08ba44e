#include "analysis/scanpath/saliency_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace saccade {
namespace {

constexpr double truncate_at = 4.0;  // standard deviations

Result<void> check_size(PictureSize size) {
  constexpr int64_t most = 65'536;
  if (!size.known() || size.width > most || size.height > most ||
      size.width * size.height > (int64_t{1} << 28))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a picture of {} pixels; expected 1 x 1 to 2^28 pixels", to_string(size)));
  return {};
}

std::vector<double> gaussian(double sigma) {
  const auto radius = static_cast<int64_t>(std::floor(truncate_at * sigma + 0.5));
  std::vector<double> weights;
  double sum = 0.0;
  for (int64_t k = -radius; k <= radius; ++k) {
    weights.push_back(std::exp(-0.5 * static_cast<double>(k * k) / (sigma * sigma)));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

// One axis of the Gaussian about `at` on [0, n), what falls outside reflected: ... 1 0 | 0 1 2 ... n-1 | n-1
// ...
struct Profile {
  int64_t begin = 0;
  std::vector<double> weights;
};

Profile profile_of(int64_t at, int64_t n, const std::vector<double>& kernel) {
  const auto radius = static_cast<int64_t>(kernel.size() / 2);
  Profile profile;
  profile.begin = std::max<int64_t>(0, at - radius);
  // What is reflected lands nearer to the border than the kernel reaches, or everywhere if it is wide.
  const bool wraps = radius >= n;
  if (wraps) profile.begin = 0;
  const int64_t end = wraps ? n : std::min(n, at + radius + 1);
  profile.weights.assign(static_cast<size_t>(end - profile.begin), 0.0);
  for (int64_t k = -radius; k <= radius; ++k) {
    int64_t position = (at + k) % (2 * n);
    if (position < 0) position += 2 * n;
    if (position >= n) position = 2 * n - 1 - position;
    profile.weights[static_cast<size_t>(position - profile.begin)] += kernel[static_cast<size_t>(k + radius)];
  }
  return profile;
}

cv::Mat view_of(const SaliencyMap& map) {
  // OpenCV reads it only; its matrices have no const view.
  return {static_cast<int>(map.size.height), static_cast<int>(map.size.width), CV_64F,
          const_cast<double*>(map.values.data())};  // NOLINT
}

// What OpenCV throws goes no further than here.
template <class Work>
Result<void> with_opencv(const Work& work) {
  try {
    work();
  } catch (const cv::Exception& failed) {
    return make_error(ErrorCode::internal, fmt::format("OpenCV could not filter a map: {}", failed.what()));
  }
  return {};
}

void collect(std::span<const Fixation> fixations, FixatedPixels& fixated) {
  for (const Fixation& fixation : fixations) {
    if (fixated.size.holds(fixation.x, fixation.y))
      fixated.pixels.push_back({static_cast<int64_t>(fixation.x), static_cast<int64_t>(fixation.y)});
    else
      ++fixated.outside;
  }
}

}  // namespace

Result<FixatedPixels> fixated_pixels(std::span<const Fixation> fixations, PictureSize size) {
  SACCADE_CHECK(check_size(size));
  FixatedPixels fixated{size, {}, 0};
  collect(fixations, fixated);
  return fixated;
}

Result<FixatedPixels> fixated_pixels(std::span<const Scanpath* const> paths, PictureSize size) {
  SACCADE_CHECK(check_size(size));
  FixatedPixels fixated{size, {}, 0};
  for (const Scanpath* path : paths) {
    if (path->size.known() && path->size != size)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{} is on a picture of {} pixels, not of {}; rescale it first",
                                    describe(*path), to_string(path->size), to_string(size)));
    collect(path->fixations, fixated);
  }
  return fixated;
}

Result<void> check_map(const SaliencyMap& map, PictureSize picture) {
  SACCADE_CHECK(check_size(map.size));
  if (map.size != picture)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a map of {} for a picture of {} pixels; stretch it first",
                                  to_string(map.size), to_string(picture)));
  if (map.values.size() != static_cast<size_t>(map.size.width * map.size.height))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a map of {} with {} values", to_string(map.size), map.values.size()));
  const auto found = std::find_if_not(map.values.begin(), map.values.end(),
                                      [](double value) { return std::isfinite(value); });
  if (found != map.values.end()) {
    const int64_t at = found - map.values.begin();
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the map says {} at x {}, y {}; its values must be finite", *found,
                                  at % map.size.width, at / map.size.width));
  }
  return {};
}

Result<void> add_fixations(SaliencyMap& map, const FixatedPixels& fixated, const FixationMapOptions& options,
                           double weight) {
  if (!(options.sigma > 0.0 && options.sigma <= 10'000.0))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a Gaussian of {} pixels; expected above 0, at most 10000", options.sigma));
  if (fixated.size != map.size)
    return make_error(ErrorCode::invalid_argument, fmt::format("fixations on {} pixels for a map of {}",
                                                               to_string(fixated.size), to_string(map.size)));
  const std::vector<double> kernel = gaussian(options.sigma);
  std::vector<Pixel> pixels = fixated.pixels;
  if (options.once_per_pixel) {
    std::sort(pixels.begin(), pixels.end());
    pixels.erase(std::unique(pixels.begin(), pixels.end()), pixels.end());
  }
  for (const Pixel& pixel : pixels) {
    const Profile across = profile_of(pixel.x, map.size.width, kernel);
    const Profile down = profile_of(pixel.y, map.size.height, kernel);
    for (size_t dy = 0; dy < down.weights.size(); ++dy) {
      const double scale = weight * down.weights[dy];
      double* row = &map.at(across.begin, down.begin + static_cast<int64_t>(dy));
      for (size_t dx = 0; dx < across.weights.size(); ++dx) row[dx] += scale * across.weights[dx];
    }
  }
  return {};
}

Result<SaliencyMap> fixation_map(const FixatedPixels& fixated, const FixationMapOptions& options) {
  SACCADE_CHECK(check_size(fixated.size));
  SaliencyMap map(fixated.size);
  SACCADE_CHECK(add_fixations(map, fixated, options));
  return map;
}

Result<SaliencyMap> centre_map(PictureSize size, double spread) {
  SACCADE_CHECK(check_size(size));
  if (!(spread > 0.0 && spread <= 100.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a centre bias that spreads over {} of the picture; expected above 0", spread));
  SaliencyMap map(size);
  const auto width = static_cast<double>(size.width), height = static_cast<double>(size.height);
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.width; ++x) {
      const double u = (static_cast<double>(x) + 0.5 - 0.5 * width) / (spread * width);
      const double v = (static_cast<double>(y) + 0.5 - 0.5 * height) / (spread * height);
      map.at(x, y) = std::exp(-0.5 * (u * u + v * v));
    }
  return map;
}

Result<SaliencyMap> stretched(const SaliencyMap& map, PictureSize to) {
  SACCADE_CHECK(check_map(map, map.size));
  SACCADE_CHECK(check_size(to));
  SaliencyMap larger(to);
  SACCADE_CHECK(with_opencv([&] {
    cv::Mat out = view_of(larger);
    cv::resize(view_of(map), out, out.size(), 0.0, 0.0, cv::INTER_LINEAR);
  }));
  return larger;
}

void mix_uniform(SaliencyMap& map, double share) {
  double mass = 0.0;
  for (double& value : map.values) mass += value = std::max(value, 0.0);
  const double each = 1.0 / static_cast<double>(map.values.size());
  for (double& value : map.values)
    value = (mass > 0.0 ? (1.0 - share) * value / mass : 0.0) + (mass > 0.0 ? share : 1.0) * each;
}

Result<SaliencyMap> blurred(const SaliencyMap& map, double sigma) {
  SACCADE_CHECK(check_map(map, map.size));
  if (!(sigma >= 0.0 && sigma <= 1000.0))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a Gaussian of {} pixels; expected 0 to 1000", sigma));
  SaliencyMap out = map;
  if (sigma == 0.0) return out;
  SACCADE_CHECK(with_opencv([&] {
    const int side = 2 * static_cast<int>(std::floor(truncate_at * sigma + 0.5)) + 1;
    cv::Mat view = view_of(out);
    cv::GaussianBlur(view_of(map), view, {side, side}, sigma, sigma, cv::BORDER_REFLECT);
  }));
  return out;
}

}  // namespace saccade
