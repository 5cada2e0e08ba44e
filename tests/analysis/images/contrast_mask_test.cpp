#include "analysis/images/contrast_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/images/crop_picture.h"

namespace saccade {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

TEST(ContrastMask, the_worked_example_of_the_contrast) {
  const std::vector<double> question{0.2, 0.6, 0.2}, general{0.4, 0.3, 0.3};
  EXPECT_THAT(attention_contrast(question, general), Pointwise(DoubleNear(5e-4), {0.5, 2.0, 0.667}));
  EXPECT_THAT(accumulate_contrast({{1.0, 2.0}, {3.0, 0.0}}), ElementsAre(7.0, 2.0))
      << "later steps weigh more";
}

TEST(ContrastMask, maps_are_enlarged_between_the_centres_of_cells) {
  const GridMap large = resize_map({1, 2, {0.0, 1.0}}, 2, 4);
  EXPECT_THAT(large.values, ElementsAre(0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0));
  const GridMap same = resize_map({2, 2, {1.0, 2.0, 3.0, 4.0}}, 2, 2);
  EXPECT_THAT(same.values, ElementsAre(1.0, 2.0, 3.0, 4.0));
}

// Two regions and a corner that touches the first; 6 of 20 cells are above the cut.
TEST(ContrastMask, regions_touch_at_corners_and_the_best_are_kept) {
  GridMap map{4, 5, std::vector<double>(20, 0.0)};
  for (const auto& [cell, value] :
       std::vector<std::pair<size_t, double>>{{0, 5}, {1, 5}, {7, 5}, {14, 9}, {19, 2}, {15, 1}})
    map.values[cell] = value;
  const ContrastMask all = contrast_mask(map, 5.0 / 19.0 + 1e-9, 3);
  EXPECT_EQ(all.found, 3);
  ASSERT_EQ(all.regions.size(), 3U);
  EXPECT_EQ(all.regions[0].score, 15.0);
  EXPECT_EQ(all.regions[1].score, 11.0);
  const ContrastMask best = contrast_mask(map, 5.0 / 19.0 + 1e-9, 1);
  ASSERT_EQ(best.regions.size(), 1U);
  EXPECT_EQ(best.box.top, 0);
  EXPECT_EQ(best.box.bottom, 2);
  EXPECT_EQ(best.box.left, 0);
  EXPECT_EQ(best.box.right, 3);
  EXPECT_EQ(std::count(best.kept.begin(), best.kept.end(), true), 3);
}

TEST(ContrastMask, with_many_regions_a_fifth_of_them_is_kept) {
  GridMap map{9, 9, std::vector<double>(81, 0.0)};
  for (int64_t y = 0; y < 9; y += 2)
    for (int64_t x = 0; x < 9; x += 2)
      map.values[static_cast<size_t>(y * 9 + x)] = 1.0 + static_cast<double>(y * 9 + x);
  const ContrastMask mask = contrast_mask(map, 24.0 / 80.0, 3);
  EXPECT_EQ(mask.found, 25);
  EXPECT_EQ(mask.regions.size(), 5U);
  EXPECT_EQ(mask.regions[0].top, 8);
  EXPECT_EQ(mask.regions[0].left, 8);
}

TEST(ContrastMask, a_flat_map_is_one_region) {
  const ContrastMask mask = contrast_mask({2, 2, {1, 1, 1, 1}}, 0.2);
  EXPECT_EQ(mask.found, 1);
  EXPECT_EQ(mask.box.cells, 4);
}

TEST(PictureComplexity, a_flat_picture_has_none_and_a_striped_one_has_edges) {
  Picture flat{32, 32, std::vector<uint8_t>(32 * 32 * 3, 120), "flat"}, stripes = flat, hues = flat;
  for (size_t at = 0; at < 32 * 32; ++at) {
    const auto grey = static_cast<uint8_t>(at % 32 / 8 % 2 == 0 ? 0 : 255);
    for (size_t c = 0; c < 3; ++c) stripes.rgb[at * 3 + c] = grey;
    // Half of it red, half green: two hues, evenly.
    hues.rgb[at * 3] = at < 512 ? 255 : 0;
    hues.rgb[at * 3 + 1] = at < 512 ? 0 : 255;
    hues.rgb[at * 3 + 2] = 0;
  }
  EXPECT_EQ(complexity_of(flat).texture, 0.0);
  EXPECT_NEAR(complexity_of(flat).colour, 0.0, 1e-12);
  EXPECT_GT(complexity_of(stripes).texture, 0.05);
  EXPECT_LT(complexity_of(stripes).texture, 0.3);
  EXPECT_NEAR(complexity_of(hues).colour, std::log(2.0) / std::log(180.0), 1e-9);
}

TEST(MaskedCrop, is_black_outside_the_mask_and_fills_the_picture_with_the_box) {
  PreparedImage image;
  image.pixels = HostTensor({3, 4, 4});
  for (int64_t at = 0; at < 48; ++at)
    image.pixels.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(at);
  image.geometry = {8, 8, 4, 4, 0.5, 0.5, 0.0, 0.0};
  image.digest = "of the whole";
  std::vector<bool> kept(16, false);
  kept[5] = kept[6] = kept[9] = true;  // all of the middle but its lower right cell
  const MaskRegion box{0.0, 3, 1, 1, 3, 3};
  const auto crop = masked_crop(image, kept, box, {-1.0F, -2.0F, -3.0F});
  EXPECT_EQ(crop->pixels.shape(), image.pixels.shape());
  EXPECT_EQ(crop->pixels.at({0, 0, 0}), 5.0F);
  EXPECT_EQ(crop->pixels.at({0, 0, 3}), 6.0F);
  EXPECT_EQ(crop->pixels.at({2, 3, 3}), -3.0F) << "outside the mask";
  EXPECT_NEAR(crop->pixels.at({0, 0, 1}), 5.25F, 1e-6) << "between them";
  // The left border of what is seen was pixel 1 of the processed picture, pixel 2 of the original.
  EXPECT_DOUBLE_EQ((0.0 - crop->geometry.offset_x) / crop->geometry.scale_x, 2.0);
  EXPECT_DOUBLE_EQ((4.0 - crop->geometry.offset_x) / crop->geometry.scale_x, 6.0);
  EXPECT_NE(crop->digest, image.digest);
  kept[10] = true;
  EXPECT_NE(masked_crop(image, kept, box, {0.0F, 0.0F, 0.0F})->digest, crop->digest);
}

TEST(MaskedCrop, prepared_pixels_become_the_picture_again) {
  ImageProcessor processor;
  processor.rescale = 1.0 / 255.0;
  processor.mean = {0.5, 0.4, 0.3};
  processor.deviation = {0.2, 0.25, 0.3};
  PreparedImage image;
  image.pixels = HostTensor({3, 1, 2});
  const std::vector<double> levels{10, 200, 30, 40, 255, 0};  // [channel, column]
  for (size_t c = 0; c < 3; ++c)
    for (size_t x = 0; x < 2; ++x)
      image.pixels.mutable_values()[c * 2 + x] =
          static_cast<float>((levels[c * 2 + x] / 255.0 - processor.mean[c]) / processor.deviation[c]);
  EXPECT_THAT(picture_from(image, processor).rgb, ElementsAre(10, 30, 255, 200, 40, 0));
  EXPECT_THAT(black_of(processor), Pointwise(testing::FloatNear(1e-6F), {-2.5F, -1.6F, -1.0F}));
}

}  // namespace
}  // namespace saccade
