// A picture seen sharp near the fixations and blurred elsewhere (NeVA: Schwinn et al. 2022, arXiv
// 2204.09093):
//   G_p(u) = exp(-|u - p|^2 / s), u and p in [-1, 1]^2 (pixel centres; x to the right, y down)
//   seen(u) = x + clip(1 - (R + G_p), 0, 1) (b - x); b: the picture blurred; R: what is remembered
//   after a fixation R <- gamma R + G_p
// Thread: any.
#pragma once

#include <span>
#include <vector>

#include "core/base/host_tensor.h"

namespace saccade {

struct FoveaPoint {
  double x = 0.0, y = 0.0;
  bool operator==(const FoveaPoint&) const = default;
};

struct FoveationSettings {
  double spread = 0.2;  // s
  double memory = 0.7;  // gamma
  int64_t kernel = 41;  // pixels of the Gaussian, odd; cut to the picture
  double sigma = 10.0;  // pixels
};

// pixels: [channel, height, width]; the border is mirrored without its first pixel.
[[nodiscard]] HostTensor gaussian_blur(const HostTensor& pixels, int64_t kernel, double sigma);

class Foveation {
 public:
  Foveation(HostTensor pixels, const FoveationSettings& settings);
  // How much of x is seen at every pixel, clip(R + G_p, 0, 1), [height, width]; `past` are the fixations
  // before, the first first. Without `now` only what is remembered.
  [[nodiscard]] HostTensor sharpness(std::span<const FoveaPoint> past, const FoveaPoint* now) const;
  [[nodiscard]] HostTensor seen(std::span<const FoveaPoint> past, const FoveaPoint* now) const;
  // d scalar / d now, from d scalar / d seen [channel, height, width]; where the clip is reached nothing
  // moves.
  [[nodiscard]] FoveaPoint slope(std::span<const FoveaPoint> past, const FoveaPoint& now,
                                 const HostTensor& gradient) const;
  [[nodiscard]] const HostTensor& blurred() const { return blurred_; }

 private:
  // R + G_p, not clipped.
  [[nodiscard]] std::vector<double> sum_at(std::span<const FoveaPoint> past, const FoveaPoint* now) const;

  HostTensor pixels_, blurred_;
  FoveationSettings settings_;
};

}  // namespace saccade
