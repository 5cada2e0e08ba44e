// CARVE: where a question looks more than a general instruction does, as a mask over the picture.
//
// r = a^Q / (a^G + lambda), lambda 1e-8, of the weights on the image of the last row, mean over heads, per
// layer and step; S = sum_t (t + 1) sum_l r over the steps both have. Mask: S at or above its (1 - p)
// quantile; of its connected regions the max(3, floor(0.2 count)) with the largest sum of S; their bounding
// box is the crop. Regions touch at sides and corners. Source: Ge et al. 2025 (arXiv 2509.06461) and the
// authors' code: layers 20 to 25 of 32, p 0.2. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/image/picture.h"

namespace saccade {

// A map over pixels or patches, row-major.
struct GridMap {
  int64_t height = 0, width = 0;
  std::vector<double> values;  // [height, width]
};

[[nodiscard]] std::vector<double> attention_contrast(std::span<const double> question,
                                                     std::span<const double> general, double lambda = 1e-8);
// steps: [step][patch], sums over layers of r. S, [patch].
[[nodiscard]] std::vector<double> accumulate_contrast(const std::vector<std::vector<double>>& steps);

// Bilinear, cell centres aligned (as OpenCV and torch with align_corners = False); the border repeats.
[[nodiscard]] GridMap resize_map(const GridMap& map, int64_t height, int64_t width);

struct MaskRegion {
  double score = 0.0;  // sum of S
  int64_t cells = 0;
  int64_t top = 0, left = 0, bottom = 0, right = 0;  // half open
};
struct ContrastMask {
  std::vector<bool> kept;           // [height, width]: the regions that were chosen
  std::vector<MaskRegion> regions;  // those, the best first
  int64_t found = 0;                // before the choice
  MaskRegion box;                   // around all of them
};
// share: p, in (0, 1]. least: how many regions at least are kept where there are as many.
[[nodiscard]] ContrastMask contrast_mask(const GridMap& map, double share, int64_t least = 3);

// Of a picture. texture: share of pixels on edges (Canny, thresholds 100 and 200 on grey). colour: entropy of
// the histogram of 180 hues, over ln 180. Both in [0, 1].
struct PictureComplexity {
  double texture = 0.0, colour = 0.0;
};
[[nodiscard]] PictureComplexity complexity_of(const Picture& picture);

}  // namespace saccade
