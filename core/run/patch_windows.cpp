#include "core/run/patch_windows.h"

#include <algorithm>

namespace saccade {

bool is_windowed(const PatchSpec& patches, int32_t layer) {
  const std::vector<int32_t>& whole = patches.whole_layers;
  return patches.window > 0 && std::find(whole.begin(), whole.end(), layer) == whole.end();
}

std::vector<EdgeRect> outside_windows(const GridSize& grid, int32_t window) {
  const int64_t width = grid.width, n = grid.height * width;
  std::vector<EdgeRect> hidden;
  const auto hide = [&](int64_t query_begin, int64_t query_end, int64_t key_begin, int64_t key_end) {
    if (key_begin < key_end) hidden.push_back({query_begin, query_end, key_begin, key_end});
  };
  for (int64_t top = 0; top < grid.height; top += window) {
    const int64_t bottom = std::min<int64_t>(top + window, grid.height);
    hide(top * width, bottom * width, 0, top * width);
    hide(top * width, bottom * width, bottom * width, n);
    if (window >= width) continue;
    for (int64_t row = top; row < bottom; ++row)
      for (int64_t left = 0; left < width; left += window) {
        const int64_t right = std::min<int64_t>(left + window, width), at = row * width;
        // Between two rows of the window lies one stretch of keys.
        hide(at + left, at + right, top * width, top * width + left);
        for (int64_t key_row = top; key_row + 1 < bottom; ++key_row)
          hide(at + left, at + right, key_row * width + right, (key_row + 1) * width + left);
        hide(at + left, at + right, (bottom - 1) * width + right, bottom * width);
      }
  }
  return hidden;
}

WindowOrder window_order(const GridSize& grid, int32_t window) {
  WindowOrder order;
  for (int32_t top = 0; top < grid.height; top += window)
    for (int32_t left = 0; left < grid.width; left += window) {
      const int32_t bottom = std::min(top + window, grid.height), right = std::min(left + window, grid.width);
      for (int32_t row = top; row < bottom; ++row)
        for (int32_t column = left; column < right; ++column)
          order.patches.push_back(row * grid.width + column);
      order.sizes.push_back(int64_t{bottom - top} * (right - left));
    }
  return order;
}

}  // namespace saccade
