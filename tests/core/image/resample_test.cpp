#include "core/image/resample.h"

#include "tests/core/image/image_data.h"

namespace saccade {
namespace {

TEST(Resample, is_pillows_to_the_bit_in_every_filter_up_and_down) {
  const auto file = fixtures::image_numbers();
  ASSERT_NE(file, nullptr);
  int compared = 0;
  for (const auto& [name, tensor] : file->tensors()) {
    if (!name.starts_with("resize.")) continue;
    const Picture expected = fixtures::picture_of(*file, name);
    const std::string which = name.substr(7, 4);  // "resize.wide.0.10x8"
    const auto filter = static_cast<ResampleFilter>(name[12] - '0');
    const Picture ours =
        resample(fixtures::picture_of(*file, "picture." + which), expected.width, expected.height, filter);
    EXPECT_EQ(ours.rgb, expected.rgb) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 42);  // six filters, three sizes of one picture and four of another
}

TEST(Resample, gives_the_same_picture_back_for_the_same_size) {
  const Picture two{2, 1, {1, 2, 3, 4, 5, 6}, "two"};
  EXPECT_EQ(resample(two, 2, 1, ResampleFilter::lanczos).rgb, two.rgb);
}

TEST(Resample, keeps_a_flat_picture_flat) {
  const Picture flat{5, 4, std::vector<uint8_t>(60, 200), "flat"};
  for (const auto filter : {ResampleFilter::bilinear, ResampleFilter::bicubic, ResampleFilter::lanczos})
    for (const uint8_t value : resample(flat, 3, 9, filter).rgb) EXPECT_EQ(value, 200);
}

}  // namespace
}  // namespace saccade
