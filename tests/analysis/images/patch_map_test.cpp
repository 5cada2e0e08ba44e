#include "analysis/images/patch_map.h"

#include <gmock/gmock.h>

#include <cmath>

#include "analysis/images/patch_field.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

// 2 x 3 patches of 10 processed pixels; the processor halved a picture of 80 x 40 and cut off 5 at the left
// and right: processed = original / 2 - 5 across.
ImageRegion cropped() {
  ImageRegion region;
  region.grid_height = 2;
  region.grid_width = 3;
  region.patch_height = region.patch_width = 10;
  region.geometry = {80, 40, 30, 20, 0.5, 0.5, -5.0, 0.0};
  return region;
}

TEST(PatchMap, a_patch_lies_where_the_processor_took_it_from) {
  const ImageRegion region = cropped();
  const PatchRect grid = grid_rect(region);
  EXPECT_DOUBLE_EQ(grid.x, 10.0);
  EXPECT_DOUBLE_EQ(grid.width, 60.0);
  EXPECT_DOUBLE_EQ(grid.height, 40.0);
  EXPECT_EQ(patch_at(region, 10.0, 0.0), 0);
  EXPECT_EQ(patch_at(region, 29.99, 19.99), 0);
  EXPECT_EQ(patch_at(region, 30.0, 20.0), 4);
  EXPECT_EQ(patch_at(region, 69.9, 39.9), 5);
  EXPECT_FALSE(patch_at(region, 9.9, 5.0)) << "cut off by the processor";
  EXPECT_FALSE(patch_at(region, 70.0, 5.0));
  EXPECT_FALSE(patch_at(region, 30.0, 40.0));
}

TEST(PatchMap, every_patch_of_a_grid_is_found_at_its_middle) {
  const ImageRegion region = cropped();
  for (int64_t patch = 0; patch < 6; ++patch) {
    const PatchRect rect = rect_of(region, patch);
    EXPECT_EQ(patch_at(region, rect.x + rect.width / 2, rect.y + rect.height / 2), patch);
  }
}

TEST(PatchMap, smoothing_is_bilinear_between_the_middles_and_constant_beyond_them) {
  ImageRegion region;
  region.grid_height = 1;
  region.grid_width = 2;
  const PatchMap map{region, {0.0f, 1.0f}};
  // Middles at 0.5 and 1.5; places at 0.125, 0.375, ... 1.875: 0, 0, 1/8, 3/8, 5/8, 7/8, 1, 1. The one row of
  // patches becomes four equal ones.
  const std::vector<float> values = smoothed(map, 4);
  ASSERT_EQ(values.size(), 32u);
  for (size_t row = 0; row < 4; ++row)
    EXPECT_THAT(std::vector<float>(values.begin() + row * 8, values.begin() + row * 8 + 8),
                ElementsAre(0.0f, 0.0f, FloatNear(0.125f, 1e-6f), FloatNear(0.375f, 1e-6f),
                            FloatNear(0.625f, 1e-6f), FloatNear(0.875f, 1e-6f), 1.0f, 1.0f));
  EXPECT_EQ(smoothed(map, 1), map.values);
}

TEST(PatchMap, smoothing_keeps_the_mean_of_a_constant_map_and_the_range_of_any) {
  PatchMap map{cropped(), {0.1f, 0.7f, 0.0f, 0.3f, 0.2f, 0.9f}};
  for (const float value : smoothed(map, 7)) {
    EXPECT_GE(value, 0.0f);
    EXPECT_LE(value, 0.9f);
  }
  map.values.assign(6, 0.25f);
  for (const float value : smoothed(map, 5)) EXPECT_FLOAT_EQ(value, 0.25f);
}

Picture white(int32_t width, int32_t height) {
  return {width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3), 255), "white.png"};
}

Rgb pixel(const Picture& picture, int x, int y) {
  const uint8_t* rgb = picture.rgb.data() + (y * picture.width + x) * 3;
  return {rgb[0], rgb[1], rgb[2]};
}

TEST(PatchMap, the_overlay_has_each_patchs_colour_on_the_patch_and_nothing_beside_the_grid) {
  const Picture picture = white(80, 40);
  PatchMap map{cropped(), {0.0f, 0.2f, 0.4f, 0.6f, 0.8f, 1.0f}};
  OverlayOptions options;
  options.scale.palette = Palette::grey;
  options.alpha = 1.0;
  options.longest_side = 80;
  const Picture made = overlaid(&picture, map, options);
  ASSERT_EQ(made.width, 80);
  ASSERT_EQ(made.height, 40);
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 80; ++x) {
      const auto patch = patch_at(map.region, x + 0.5, y + 0.5);
      const Rgb expected =
          patch ? options.scale.colour(map.values[static_cast<size_t>(*patch)]) : Rgb{255, 255, 255};
      ASSERT_EQ(pixel(made, x, y).r, expected.r) << x << ", " << y;
      ASSERT_EQ(pixel(made, x, y).b, expected.b) << x << ", " << y;
    }
}

TEST(PatchMap, opacity_mixes_and_what_is_no_number_leaves_the_picture) {
  const Picture picture = white(80, 40);
  PatchMap map{cropped(), {0.0f, NAN, 0.0f, 0.0f, 0.0f, 0.0f}};
  OverlayOptions options;
  options.scale.palette = Palette::grey;
  const Rgb lowest = options.scale.colour(0.0);
  options.alpha = 0.4;
  options.longest_side = 80;
  const Picture made = overlaid(&picture, map, options);
  EXPECT_EQ(pixel(made, 15, 5).g, std::lround(0.6 * 255 + 0.4 * lowest.g));
  EXPECT_EQ(pixel(made, 35, 5).g, 255);
  const Picture grey = overlaid(nullptr, map, options);  // a dump holds no picture, but its size
  EXPECT_EQ(grey.width, 80);
  EXPECT_EQ(pixel(grey, 2, 2).r, pixel(grey, 77, 37).r);
}

TEST(PatchMap, fields_over_patches_are_told_by_the_names_of_their_last_axes) {
  Field field;
  field.axes = {{AxisKind::layer, "layer", {}},
                {AxisKind::other, "patch row", {}},
                {AxisKind::other, "patch column", {}}};
  field.values = HostTensor({2, 3, 4});
  EXPECT_TRUE(is_patch_field(field));
  std::swap(field.axes[1], field.axes[2]);
  EXPECT_FALSE(is_patch_field(field));
  field.axes.resize(1);
  EXPECT_FALSE(is_patch_field(field));
}

}  // namespace
}  // namespace saccade
