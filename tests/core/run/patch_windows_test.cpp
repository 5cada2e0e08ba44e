#include "core/run/patch_windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace saccade {
namespace {

struct Case {
  GridSize grid;
  int32_t window;
};
const std::vector<Case> cases{{{6, 10}, 4}, {{4, 4}, 4}, {{9, 5}, 2}, {{3, 2}, 8},
                              {{1, 7}, 3},  {{7, 1}, 3}, {{8, 8}, 4}};

int32_t window_of(const Case& c, int64_t patch) {
  const int64_t row = patch / c.grid.width, column = patch % c.grid.width;
  return static_cast<int32_t>(row / c.window * 1000 + column / c.window);
}

TEST(PatchWindows, hide_every_other_window_and_nothing_else) {
  for (const Case& c : cases) {
    const int64_t n = int64_t{c.grid.height} * c.grid.width;
    const std::vector<EdgeRect> hidden = outside_windows(c.grid, c.window);
    for (int64_t query = 0; query < n; ++query)
      for (int64_t key = 0; key < n; ++key) {
        const bool seen = std::none_of(hidden.begin(), hidden.end(), [&](const EdgeRect& rect) {
          return query >= rect.query_begin && query < rect.query_end && key >= rect.key_begin &&
                 key < rect.key_end;
        });
        ASSERT_EQ(seen, window_of(c, query) == window_of(c, key))
            << c.grid.height << " x " << c.grid.width << ": " << query << ", " << key;
      }
  }
}

TEST(PatchWindows, order_patches_window_after_window) {
  for (const Case& c : cases) {
    const WindowOrder order = window_order(c.grid, c.window);
    const int64_t n = int64_t{c.grid.height} * c.grid.width;
    EXPECT_EQ(std::set(order.patches.begin(), order.patches.end()).size(), static_cast<size_t>(n));
    size_t at = 0;
    std::set<int32_t> seen;
    for (const int64_t size : order.sizes) {
      const int32_t window = window_of(c, order.patches[at]);
      EXPECT_TRUE(seen.insert(window).second) << "a window comes twice";
      for (int64_t i = 0; i < size; ++i) EXPECT_EQ(window_of(c, order.patches[at++]), window);
    }
    EXPECT_EQ(at, static_cast<size_t>(n));
  }
}

TEST(PatchWindows, are_only_in_the_layers_that_have_them) {
  PatchSpec patches;
  EXPECT_FALSE(is_windowed(patches, 0));
  patches.window = 8;
  patches.whole_layers = {1, 3};
  EXPECT_TRUE(is_windowed(patches, 0));
  EXPECT_FALSE(is_windowed(patches, 3));
}

}  // namespace
}  // namespace saccade
