#include "core/image/placed_image.h"

#include <gmock/gmock.h>

#include <numeric>

#include "core/image/grid_resample.h"
#include "core/model/tile_grid.h"

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

TEST(ImageRegions, know_where_patches_stand_between_what_is_none) {
  ImageRegion region = region_at(4, 1, 2, 3);
  region.row_extra = 1;  // 4 CLS, 5 6 7 patches, 8 newline, 9 10 11, 12 newline
  EXPECT_EQ(region.end(), 13);
  EXPECT_EQ(region.position(0), 5);
  EXPECT_EQ(region.position(2), 7);
  EXPECT_EQ(region.position(3), 9);
  EXPECT_EQ(region.patch_at(11), 5);
  for (const int64_t none : {3, 4, 8, 12, 13}) EXPECT_EQ(region.patch_at(none), std::nullopt) << none;
  std::vector<float> values(14);
  std::iota(values.begin(), values.end(), 0.0F);
  EXPECT_THAT(over_patches(region, values), ElementsAre(5, 6, 7, 9, 10, 11));
  region.row_extra = 0;
  EXPECT_EQ(region.end(), 11);
  EXPECT_THAT(over_patches(region_at(1, 0, 1, 2), values, 2), ElementsAre(2, 3, 4, 5));
}

TEST(GridResampling, takes_the_row_whose_cell_holds_the_corner_of_a_patch) {
  HostTensor table({16, 1});
  for (int64_t i = 0; i < 16; ++i) table.mutable_values()[static_cast<size_t>(i)] = static_cast<float>(i);
  const HostTensor made = resample_grid(table, {4, 4}, {2, 3}, GridResampling::fractional);
  // rows 0 and 1/2 of a picture lie in cells 0 and 2 of 4; columns 0, 1/3 and 2/3 in 0, 1 and 2
  EXPECT_THAT(made.values(), ElementsAre(0, 1, 2, 8, 9, 10));
  EXPECT_THAT(resample_grid(table, {4, 4}, {4, 4}, GridResampling::fractional).values(),
              testing::ElementsAreArray(table.values()));
  // In float32 the fourth of 19 patches is before the border that it lies on (Transformers 5.23 on
  // LibTorch 2.13).
  HostTensor line({61, 1});
  for (int64_t i = 0; i < 61; ++i) line.mutable_values()[static_cast<size_t>(i)] = static_cast<float>(i);
  const HostTensor same = resample_grid(line, {61, 1}, {61, 1}, GridResampling::fractional);
  EXPECT_EQ(same.values()[3], 3.0F);
  EXPECT_EQ(same.values()[11], 10.0F);
  EXPECT_EQ(same.values()[14], 13.0F);
}

TEST(TileGrids, lose_the_padding_and_know_what_is_left) {
  PreparedImage image;
  image.geometry.original_width = 41;
  image.geometry.original_height = 29;
  // 48 x 48 pixels hold 48 x 34: of 6 rows of patches 4 and a part show the picture; one at either end goes
  const GridWindow wide = shown_window(image, {6, 6});
  EXPECT_EQ(wide.row, 1);
  EXPECT_EQ(wide.height, 4);
  EXPECT_EQ(wide.column, 0);
  EXPECT_EQ(wide.width, 6);
  image.geometry.original_width = 17;
  image.geometry.original_height = 60;
  const GridWindow tall = shown_window(image, {9, 3});  // 2.55 columns: none can go at both ends
  EXPECT_EQ(tall.width, 3);
  EXPECT_EQ(tall.height, 9);
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
