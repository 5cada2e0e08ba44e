#include "core/image/smart_resize.h"

#include <gmock/gmock.h>

namespace saccade {
namespace {

using testing::HasSubstr;

ImageSize chosen(const SmartResize& rule, int32_t height, int32_t width) {
  const auto size = rule.size_of({height, width});
  EXPECT_TRUE(size.ok()) << size.error().to_string();
  return size.ok() ? *size : ImageSize();
}

// Expected sizes are those of Transformers' smart_resize().
TEST(SmartResize, chooses_the_sizes_that_transformers_chooses) {
  const SmartResize usual;
  EXPECT_EQ(chosen(usual, 100, 200), (ImageSize{112, 196}));
  EXPECT_EQ(chosen(usual, 42, 70), (ImageSize{56, 56})) << "halves go to the even multiple: 1.5 and 2.5 to 2";
  EXPECT_EQ(chosen(usual, 1080, 1920), (ImageSize{728, 1316}));
  EXPECT_EQ(chosen(usual, 4000, 3000), (ImageSize{1148, 840}));
  EXPECT_EQ(chosen(usual, 10, 10), (ImageSize{56, 56}));
  EXPECT_EQ(chosen(usual, 5, 900), (ImageSize{28, 756})) << "a side that rounds to 0";
  const SmartResize small{8, 64, 500};
  EXPECT_EQ(chosen(small, 38, 23), (ImageSize{24, 16}));
  EXPECT_EQ(chosen(small, 3, 400), (ImageSize{8, 96})) << "no side below one multiple";
}

TEST(SmartResize, refuses_strips_and_sizes_beyond_reason) {
  const auto strip = SmartResize().size_of({10, 2001});
  ASSERT_FALSE(strip.ok());
  EXPECT_THAT(strip.error().message, HasSubstr("at most 200 times"));
  EXPECT_TRUE(SmartResize().size_of({10, 2000}).ok());
  const auto large = SmartResize{28, int64_t{1} << 40, int64_t{1} << 41}.size_of({100, 100});
  ASSERT_FALSE(large.ok());
  EXPECT_THAT(large.error().message, HasSubstr("too large"));
}

}  // namespace
}  // namespace saccade
