#include "core/image/placed_image.h"

#include <gmock/gmock.h>

#include "core/image/grid_resample.h"

namespace saccade {
namespace {

using testing::ElementsAre;

ImageRegion region_at(int64_t begin, int32_t n_prefix, int32_t height, int32_t width) {
  ImageRegion region;
  region.begin = begin;
  region.n_prefix = n_prefix;
  region.grid_height = height;
  region.grid_width = width;
  region.patch_height = region.patch_width = 8;
  return region;
}

TEST(TokenRegions, are_text_alone_without_pictures) {
  EXPECT_THAT(regions_of(3, {}, 2), ElementsAre(TokenRegion::txt, TokenRegion::txt, TokenRegion::gen));
}

TEST(TokenRegions, part_what_stands_before_a_picture_from_what_follows) {
  using enum TokenRegion;
  EXPECT_THAT(regions_of(8, {region_at(2, 0, 1, 3)}, 7), ElementsAre(sys, sys, img, img, img, txt, txt, gen));
}

TEST(TokenRegions, count_cls_and_registers_to_what_stands_before) {
  using enum TokenRegion;
  EXPECT_THAT(regions_of(5, {region_at(0, 2, 1, 3)}), ElementsAre(sys, sys, img, img, img));
}

TEST(TokenRegions, call_words_between_two_pictures_text) {
  using enum TokenRegion;
  EXPECT_THAT(regions_of(6, {region_at(1, 0, 1, 2), region_at(4, 0, 1, 2)}),
              ElementsAre(sys, img, img, txt, img, img));
}

TEST(PatchRects, lie_where_the_processor_took_the_pixels_from) {
  ImageRegion region = region_at(0, 1, 2, 2);
  region.geometry = {80,   64,   16,   16,
                     0.25, 0.25, -2.0, 0.0};  // a quarter of the size, cropped by 2 on the left
  const PatchRect rect = rect_of(region, 3);  // row 1, column 1
  EXPECT_DOUBLE_EQ(rect.x, (8 + 2) / 0.25);
  EXPECT_DOUBLE_EQ(rect.y, 8 / 0.25);
  EXPECT_DOUBLE_EQ(rect.width, 32.0);
  EXPECT_DOUBLE_EQ(rect.height, 32.0);
}

TEST(GridResampling, keeps_a_grid_of_the_same_size_and_a_flat_one_flat) {
  HostTensor table({6, 2});
  for (int64_t i = 0; i < 12; ++i) table.mutable_values()[static_cast<size_t>(i)] = static_cast<float>(i % 2);
  EXPECT_EQ(resample_grid(table, {2, 3}, {2, 3}, GridResampling::bicubic).data(), table.data());
  for (const auto kind : {GridResampling::bicubic, GridResampling::bicubic_antialias}) {
    const HostTensor made = resample_grid(table, {2, 3}, {5, 1}, kind);
    ASSERT_EQ(made.shape(), (std::vector<int64_t>{5, 2}));
    for (int64_t i = 0; i < 10; ++i)
      EXPECT_NEAR(made.values()[static_cast<size_t>(i)], static_cast<float>(i % 2), 1e-6);
  }
}

}  // namespace
}  // namespace saccade
