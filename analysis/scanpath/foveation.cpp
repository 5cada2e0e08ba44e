#include "analysis/scanpath/foveation.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// ..., 2, 1, 0, 1, 2, ...
int64_t mirrored(int64_t at, int64_t extent) {
  if (extent == 1) return 0;
  const int64_t period = 2 * (extent - 1), folded = ((at % period) + period) % period;
  return std::min(folded, period - folded);
}

std::vector<double> gaussian(int64_t radius, double sigma) {
  std::vector<double> weights;
  double sum = 0.0;
  for (int64_t i = -radius; i <= radius; ++i)
    sum += weights.emplace_back(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)));
  for (double& weight : weights) weight /= sum;
  return weights;
}

// Along one axis: `count` lines of `extent` numbers `stride` apart.
void blur_axis(std::span<const float> from, std::span<float> to, int64_t lines, int64_t extent,
               int64_t stride, int64_t line_stride, const std::vector<double>& weights) {
  const auto radius = static_cast<int64_t>(weights.size() / 2);
  for (int64_t line = 0; line < lines; ++line)
    for (int64_t i = 0; i < extent; ++i) {
      double sum = 0.0;
      for (int64_t k = -radius; k <= radius; ++k)
        sum += weights[static_cast<size_t>(k + radius)] *
               from[static_cast<size_t>(line * line_stride + mirrored(i + k, extent) * stride)];
      to[static_cast<size_t>(line * line_stride + i * stride)] = static_cast<float>(sum);
    }
}

}  // namespace

HostTensor gaussian_blur(const HostTensor& pixels, int64_t kernel, double sigma) {
  const int64_t channels = pixels.shape()[0], height = pixels.shape()[1], width = pixels.shape()[2];
  HostTensor across(pixels.shape(), false), made(pixels.shape(), false);
  const auto weights = [&](int64_t extent) {
    return gaussian(std::min((kernel - 1) / 2, extent - 1), sigma);
  };
  for (int64_t c = 0; c < channels; ++c) {
    const auto at = static_cast<size_t>(c * height * width), size = static_cast<size_t>(height * width);
    blur_axis(pixels.values().subspan(at, size), across.mutable_values().subspan(at, size), height, width, 1,
              width, weights(width));
    blur_axis(across.values().subspan(at, size), made.mutable_values().subspan(at, size), width, height,
              width, 1, weights(height));
  }
  return made;
}

Foveation::Foveation(HostTensor pixels, const FoveationSettings& settings)
    : pixels_(std::move(pixels)),
      blurred_(gaussian_blur(pixels_, settings.kernel, settings.sigma)),
      settings_(settings) {}

std::vector<double> Foveation::sum_at(std::span<const FoveaPoint> past, const FoveaPoint* now) const {
  const int64_t height = pixels_.shape()[1], width = pixels_.shape()[2];
  std::vector<double> sum(static_cast<size_t>(height * width), 0.0);
  const auto along = [&](double p, int64_t extent) {
    std::vector<double> made;
    for (int64_t i = 0; i < extent; ++i) {
      const double u = (2.0 * static_cast<double>(i) + 1.0) / static_cast<double>(extent) - 1.0;
      made.push_back(std::exp(-(u - p) * (u - p) / settings_.spread));
    }
    return made;
  };
  const auto add = [&](const FoveaPoint& p) {
    const std::vector<double> x = along(p.x, width), y = along(p.y, height);
    for (int64_t row = 0; row < height; ++row)
      for (int64_t column = 0; column < width; ++column)
        sum[static_cast<size_t>(row * width + column)] +=
            y[static_cast<size_t>(row)] * x[static_cast<size_t>(column)];
  };
  for (const FoveaPoint& p : past) {
    for (double& value : sum) value *= settings_.memory;
    add(p);
  }
  if (now != nullptr) add(*now);
  return sum;
}

HostTensor Foveation::sharpness(std::span<const FoveaPoint> past, const FoveaPoint* now) const {
  const std::vector<double> sum = sum_at(past, now);
  HostTensor made({pixels_.shape()[1], pixels_.shape()[2]}, false);
  for (size_t i = 0; i < sum.size(); ++i)
    made.mutable_values()[i] = static_cast<float>(std::clamp(sum[i], 0.0, 1.0));
  return made;
}

HostTensor Foveation::seen(std::span<const FoveaPoint> past, const FoveaPoint* now) const {
  const HostTensor sharp = sharpness(past, now);
  HostTensor made(pixels_.shape(), false);
  for (int64_t i = 0; i < pixels_.size(); ++i) {
    const float x = pixels_.data()[i], b = blurred_.data()[i], share = sharp.data()[i % sharp.size()];
    made.mutable_values()[static_cast<size_t>(i)] = x + (1.0F - share) * (b - x);
  }
  return made;
}

// d seen / d p = (x - b) G_p 2 (u - p) / s where 0 < R + G_p < 1.
FoveaPoint Foveation::slope(std::span<const FoveaPoint> past, const FoveaPoint& now,
                            const HostTensor& gradient) const {
  const std::vector<double> sum = sum_at(past, &now);
  const int64_t channels = pixels_.shape()[0], height = pixels_.shape()[1], width = pixels_.shape()[2];
  FoveaPoint made;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const int64_t at = y * width + x;
      if (sum[static_cast<size_t>(at)] >= 1.0) continue;
      const double dx = (2.0 * static_cast<double>(x) + 1.0) / static_cast<double>(width) - 1.0 - now.x,
                   dy = (2.0 * static_cast<double>(y) + 1.0) / static_cast<double>(height) - 1.0 - now.y;
      double by_share = 0.0;  // d scalar / d (R + G)
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = c * height * width + at;
        by_share += static_cast<double>(gradient.data()[i]) * (pixels_.data()[i] - blurred_.data()[i]);
      }
      const double steep =
          by_share * std::exp(-(dx * dx + dy * dy) / settings_.spread) * 2.0 / settings_.spread;
      made.x += steep * dx;
      made.y += steep * dy;
    }
  return made;
}

}  // namespace saccade
