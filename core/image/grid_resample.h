// A table of learned positions for another grid of patches, as LibTorch's interpolate(mode="bicubic",
// align_corners=False) makes it. Thread: any.
#pragma once

#include "core/base/host_tensor.h"
#include "core/model/model_spec.h"

namespace saccade {

struct GridSize {
  int32_t height = 0, width = 0;
  bool operator==(const GridSize&) const = default;
};

// table: [from.height * from.width, d], rows first. Without antialias a = -0.75 and the border repeats; with
// it a = -0.5, and the filter is as wide as the grid shrinks, cut at the border. fractional: rows as they
// are, each the one whose cell holds the patch's upper left corner (Transformers' Idefics3, in float32).
[[nodiscard]] HostTensor resample_grid(const HostTensor& table, const GridSize& from, const GridSize& to,
                                       GridResampling resampling);

}  // namespace saccade
