// Resizing as Pillow does it, bit for bit: a separable filter whose width grows when the picture shrinks
// (antialias), in fixed point with 22 bits, rounded to 8 bits between the passes. Image processors of
// published models were all run with it; OpenCV's filters give other pixels.
#pragma once

#include "core/image/picture.h"

namespace saccade {

// Numbered as Pillow's Image.Resampling and `resample` in preprocessor_config.json. Reach in pixels of the
// source at scale 1: lanczos 3, bilinear 1, bicubic 2 (Keys 1981, a = -0.5), box 0.5, hamming 1.
enum class ResampleFilter { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4, hamming = 5 };

// width, height > 0. A pass that changes nothing is left out. The horizontal pass comes first, but as in
// Pillow 13 not when more rows are lost than twice the columns that are: what is rounded between the passes
// differs then, by a level or two of 255 from Pillow up to 12, where the horizontal pass always came first.
[[nodiscard]] Picture resample(const Picture& picture, int32_t width, int32_t height, ResampleFilter filter);

}  // namespace saccade
