// How Qwen2-VL chooses a picture's size (Wang et al. 2024, arXiv 2409.12191, section 2.1): its own, with
// sides that are whole numbers of merged patches and a number of pixels between two bounds, its shape kept as
// nearly as that allows. Plain values. Thread: any.
#pragma once

#include <cstdint>

#include "kernels/base/result.h"

namespace saccade {

struct ImageSize {
  int32_t height = 0, width = 0;
  bool operator==(const ImageSize&) const = default;
};

struct SmartResize {
  int32_t factor = 28;  // both sides become multiples of it
  int64_t least_pixels = 56 * 56, most_pixels = 28 * 28 * 1280;

  // Refuses pictures more than 200 times as long as wide, as the model's own processor does.
  [[nodiscard]] Result<ImageSize> size_of(const ImageSize& from) const;
};

}  // namespace saccade
