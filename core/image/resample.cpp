#include "core/image/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace saccade {
namespace {

constexpr int channels = 3;
constexpr int fraction_bits = 32 - 8 - 2;  // 8 bits of pixel and a sign and a guard above them

double sinc(double x) {
  if (x == 0.0) return 1.0;
  const double t = x * std::numbers::pi;
  return std::sin(t) / t;
}

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double hamming(double x) {
  x = std::abs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  return sinc(x) * (0.54 + 0.46 * std::cos(x * std::numbers::pi));
}

double reach_of(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::nearest:
    case ResampleFilter::box:
      return 0.5;
    case ResampleFilter::bilinear:
    case ResampleFilter::hamming:
      return 1.0;
    case ResampleFilter::bicubic:
      return 2.0;
    case ResampleFilter::lanczos:
      return 3.0;
  }
  return 0.0;
}

double weight_of(ResampleFilter filter, double x) {
  switch (filter) {
    case ResampleFilter::nearest:
    case ResampleFilter::box:
      return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    case ResampleFilter::bilinear:
      return std::max(0.0, 1.0 - std::abs(x));
    case ResampleFilter::hamming:
      return hamming(x);
    case ResampleFilter::bicubic:
      return cubic(x);
    case ResampleFilter::lanczos:
      return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
  }
  return 0.0;
}

// The source pixels of one target pixel: [first, first + weights.size()).
struct Taps {
  int32_t first = 0;
  std::vector<int32_t> weights;  // sum to 1 << fraction_bits, but for rounding
};

std::vector<Taps> taps_of(int32_t from, int32_t to, ResampleFilter filter) {
  const double scale = static_cast<double>(from) / to;
  const double widening = std::max(scale, 1.0), reach = reach_of(filter) * widening;
  std::vector<Taps> all(static_cast<size_t>(to));
  std::vector<double> weights;
  for (int32_t i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const auto first = std::max(static_cast<int32_t>(std::trunc(centre - reach + 0.5)), 0);
    const auto end = std::min(static_cast<int32_t>(std::trunc(centre + reach + 0.5)), from);
    weights.clear();
    double sum = 0.0;
    for (int32_t x = first; x < end; ++x) {
      weights.push_back(weight_of(filter, (x - centre + 0.5) * (1.0 / widening)));
      sum += weights.back();
    }
    Taps& taps = all[static_cast<size_t>(i)];
    taps.first = first;
    for (const double weight : weights) {
      const double fixed = (sum != 0.0 ? weight / sum : weight) * (1 << fraction_bits);
      taps.weights.push_back(static_cast<int32_t>(fixed + (fixed < 0.0 ? -0.5 : 0.5)));
    }
  }
  return all;
}

uint8_t to_pixel(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> fraction_bits, 0, 255));
}

// One pixel: `step` bytes lie between the source's pixels along the pass.
void mix(const Taps& taps, const uint8_t* from, size_t step, uint8_t* to) {
  for (int c = 0; c < channels; ++c) {
    int64_t sum = int64_t{1} << (fraction_bits - 1);
    const uint8_t* at = from + static_cast<size_t>(taps.first) * step + c;
    for (const int32_t weight : taps.weights) {
      sum += int64_t{*at} * weight;
      at += step;
    }
    to[c] = to_pixel(sum);
  }
}

Picture blank(const Picture& like, int32_t width, int32_t height) {
  Picture made{width, height, {}, like.name};
  made.rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * channels);
  return made;
}

Picture nearest(const Picture& picture, int32_t width, int32_t height) {
  Picture made = blank(picture, width, height);
  const double step_x = static_cast<double>(picture.width) / width,
               step_y = static_cast<double>(picture.height) / height;
  uint8_t* to = made.rgb.data();
  for (int32_t y = 0; y < height; ++y)
    for (int32_t x = 0; x < width; ++x) {
      const auto row = static_cast<size_t>((y + 0.5) * step_y),
                 column = static_cast<size_t>((x + 0.5) * step_x);
      to = std::copy_n(picture.rgb.data() + (row * static_cast<size_t>(picture.width) + column) * channels,
                       channels, to);
    }
  return made;
}

Picture across(const Picture& picture, int32_t width, ResampleFilter filter) {
  if (width == picture.width) return picture;
  Picture made = blank(picture, width, picture.height);
  const std::vector<Taps> taps = taps_of(picture.width, width, filter);
  uint8_t* to = made.rgb.data();
  for (int32_t y = 0; y < picture.height; ++y) {
    const uint8_t* row =
        picture.rgb.data() + static_cast<size_t>(y) * static_cast<size_t>(picture.width) * channels;
    for (const Taps& pixel : taps) {
      mix(pixel, row, channels, to);
      to += channels;
    }
  }
  return made;
}

Picture down(const Picture& picture, int32_t height, ResampleFilter filter) {
  if (height == picture.height) return picture;
  Picture made = blank(picture, picture.width, height);
  const size_t row_bytes = static_cast<size_t>(picture.width) * channels;
  uint8_t* to = made.rgb.data();
  for (const Taps& pixel : taps_of(picture.height, height, filter))
    for (int32_t x = 0; x < picture.width; ++x, to += channels)
      mix(pixel, picture.rgb.data() + static_cast<size_t>(x) * channels, row_bytes, to);
  return made;
}

}  // namespace

Picture resample(const Picture& picture, int32_t width, int32_t height, ResampleFilter filter) {
  if (width == picture.width && height == picture.height) return picture;
  if (filter == ResampleFilter::nearest) return nearest(picture, width, height);
  // The pixels between the two passes are rounded to 8 bits, so that their order counts.
  const int64_t rows_lost = int64_t{picture.height} - height, columns_lost = int64_t{picture.width} - width;
  if (rows_lost > 0 && rows_lost > 2 * columns_lost)
    return across(down(picture, height, filter), width, filter);
  return down(across(picture, width, filter), height, filter);
}

}  // namespace saccade
