// Attention of patches within squares of them (Qwen2.5-VL: Bai et al. 2025, arXiv 2502.13923, section 2.1.1):
// squares of `window` x `window` patches from the upper left corner on, smaller at the right and lower
// border. Plain values. Private to core/run. Thread: any.
#pragma once

#include <cstdint>
#include <vector>

#include "core/image/grid_resample.h"
#include "core/model/model_spec.h"
#include "kernels/attention.h"

namespace saccade {

// Whether patches of this layer see only their window.
[[nodiscard]] bool is_windowed(const PatchSpec& patches, int32_t layer);

// What patches, counted row by row, do not see: every other window.
[[nodiscard]] std::vector<EdgeRect> outside_windows(const GridSize& grid, int32_t window);

// Patches, counted row by row, window after window: rows within a window are row by row.
struct WindowOrder {
  std::vector<int32_t> patches;
  std::vector<int64_t> sizes;  // of the windows, in this order
};
[[nodiscard]] WindowOrder window_order(const GridSize& grid, int32_t window);

}  // namespace saccade
