#include "kernels/base/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace saccade {
namespace {

TEST(Bfloat16, widening_is_exact_and_narrowing_gives_it_back) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float wide = widen_bfloat16(static_cast<uint16_t>(bits));
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(widen_bfloat16(narrow_to_bfloat16(wide))));
      continue;
    }
    ASSERT_EQ(narrow_to_bfloat16(wide), bits);
  }
}

TEST(Bfloat16, narrowing_rounds_to_the_nearest_and_ties_to_even) {
  EXPECT_EQ(widen_bfloat16(narrow_to_bfloat16(1.0f + 0x1p-8f)), 1.0f);
  EXPECT_EQ(widen_bfloat16(narrow_to_bfloat16(1.0f + 0x1.8p-7f)), 1.0f + 0x1p-6f);
  EXPECT_EQ(widen_bfloat16(narrow_to_bfloat16(1.0f + 0x1.01p-8f)), 1.0f + 0x1p-7f);
  EXPECT_EQ(widen_bfloat16(narrow_to_bfloat16(std::numeric_limits<float>::max())),
            std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace saccade
