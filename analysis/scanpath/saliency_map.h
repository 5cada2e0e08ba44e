// SaliencyMap: one number per pixel of a picture, [y, x] row-major, float64, of any scale: where somebody or
// some model says that people look. Fixation maps are sums of Gaussians at the fixated pixels, with the
// border reflected so that no mass is lost: equal to filtering a picture of ones
// (scipy.ndimage.gaussian_filter, truncate 4), but in time proportional to fixations * sigma^2. Values;
// thread: any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "analysis/scanpath/scanpath.h"
#include "core/base/host_tensor.h"

namespace saccade {

struct SaliencyMap {
  PictureSize size;
  std::vector<double> values;  // [y, x]

  SaliencyMap() = default;
  explicit SaliencyMap(PictureSize picture, double value = 0.0)
      : size(picture), values(static_cast<size_t>(picture.width * picture.height), value) {}
  [[nodiscard]] double at(int64_t x, int64_t y) const {
    return values[static_cast<size_t>(y * size.width + x)];
  }
  [[nodiscard]] double& at(int64_t x, int64_t y) { return values[static_cast<size_t>(y * size.width + x)]; }
};

struct Pixel {
  int64_t x = 0, y = 0;
  auto operator<=>(const Pixel&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

// The pixels of a picture that were looked at, one entry per fixation; those outside are counted only.
struct FixatedPixels {
  PictureSize size;
  std::vector<Pixel> pixels;
  int64_t outside = 0;
};
[[nodiscard]] Result<FixatedPixels> fixated_pixels(std::span<const Fixation> fixations, PictureSize size);
[[nodiscard]] Result<FixatedPixels> fixated_pixels(std::span<const Scanpath* const> paths, PictureSize size);

// A map of at least one pixel whose values are finite, of the size of the picture. The error says what to do.
[[nodiscard]] Result<void> check_map(const SaliencyMap& map, PictureSize picture);

struct FixationMapOptions {
  double sigma = 24.0;          // pixels; usually one degree of visual angle (24 pixels in OSIE)
  bool once_per_pixel = false;  // a pixel looked at twice counts once
};
// Adds weight * Gaussian for every pixel. Error: sigma that is not positive or wider than 10,000 pixels.
[[nodiscard]] Result<void> add_fixations(SaliencyMap& map, const FixatedPixels& fixated,
                                         const FixationMapOptions& options, double weight = 1.0);
[[nodiscard]] Result<SaliencyMap> fixation_map(const FixatedPixels& fixated,
                                               const FixationMapOptions& options);

// The closed-form centre bias: a Gaussian about the middle whose standard deviations are `spread` of width
// and height (0.25 is about what free viewing of photographs gives: Tatler 2007, Clarke and Tatler 2014).
[[nodiscard]] Result<SaliencyMap> centre_map(PictureSize size, double spread = 0.25);

// A map from a smaller or larger grid (patches) to the picture, bilinear between cell centres.
[[nodiscard]] Result<SaliencyMap> stretched(const SaliencyMap& map, PictureSize to);

// Makes a density of what is above 0: `share` of the mass spread evenly, so that no place is impossible.
void mix_uniform(SaliencyMap& map, double share = 0.01);

// Filtered with a Gaussian of `sigma` pixels, cut at 4 sigma, border reflected; 0 = as it is.
[[nodiscard]] Result<SaliencyMap> blurred(const SaliencyMap& map, double sigma);

// An [y, x] array of numbers: .npy (float32, float64 or integers, C order) or a table of numbers in .csv.
[[nodiscard]] Result<SaliencyMap> read_saliency_map(const std::filesystem::path& path);
[[nodiscard]] Result<SaliencyMap> parse_npy_map(std::span<const std::byte> bytes);

}  // namespace saccade
