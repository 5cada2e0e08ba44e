#include "analysis/images/patch_field.h"

#include <gmock/gmock.h>

#include <numeric>

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ImageRegion region_at(int64_t begin) {
  ImageRegion region;
  region.begin = begin;
  region.n_prefix = 1;
  region.grid_height = 2;
  region.grid_width = 3;
  region.name = "cat.png";
  return region;
}

Field about_steps() {
  return {"mass", "Mass", "", ValueKind::probability, {{AxisKind::step, "step", {}}}, {}, {}};
}

TEST(PatchField, takes_the_columns_of_the_pictures_patches_behind_its_prefix) {
  // Two steps over 10 positions: 2 of text, CLS, 6 patches, 1 of text.
  std::vector<float> rows(20);
  std::iota(rows.begin(), rows.end(), 0.0F);
  const Field about = about_steps();
  const auto field = patch_field(about, {2}, rows, 10, region_at(2));
  ASSERT_TRUE(field.ok()) << field.error().to_string();
  EXPECT_THAT(field->values.shape(), ElementsAre(2, 2, 3));
  EXPECT_EQ(field->values.at({0, 0, 0}), 3.0F);
  EXPECT_EQ(field->values.at({0, 1, 2}), 8.0F);
  EXPECT_EQ(field->values.at({1, 1, 0}), 16.0F);
  ASSERT_EQ(field->axes.size(), 3U);
  EXPECT_EQ(field->axes[1].name, "patch row");
  EXPECT_EQ(field->axes[2].name, "patch column");
  EXPECT_TRUE(is_patch_field(*field));
  EXPECT_EQ(patch_extent(*field), (PatchExtent{2, 3}));
}

TEST(PatchField, leaves_out_what_stands_between_the_rows_of_a_grid) {
  // One step over 12 positions: CLS, 3 patches, a newline, 3 patches, a newline, 3 of text.
  std::vector<float> rows(12);
  std::iota(rows.begin(), rows.end(), 0.0F);
  ImageRegion region = region_at(0);
  region.row_extra = 1;
  const auto field = patch_field(about_steps(), {1}, rows, 12, region);
  ASSERT_TRUE(field.ok()) << field.error().to_string();
  EXPECT_THAT(field->values.values(), ElementsAre(1, 2, 3, 5, 6, 7));
}

TEST(PatchField, refuses_rows_that_are_shorter_than_the_picture_or_of_another_number) {
  const std::vector<float> rows(20);
  const Field about = about_steps();
  EXPECT_THAT(patch_field(about, {2}, rows, 10, region_at(4)).error().to_string(), HasSubstr("cat.png"));
  EXPECT_FALSE(patch_field(about, {3}, rows, 10, region_at(2)).ok());
  EXPECT_FALSE(patch_field(about, {}, rows, 10, region_at(2)).ok());
  EXPECT_FALSE(patch_field(about, {1}, rows, region_at(2)).ok());
  EXPECT_FALSE(is_patch_field(about));
  EXPECT_EQ(patch_extent(about), PatchExtent());
}

TEST(PictureRegion, says_what_to_do_without_a_picture) {
  Capture capture;
  EXPECT_THAT(picture_region(capture, 0, "scanpath").error().to_string(), HasSubstr("--image"));
  capture.images = {region_at(2)};
  EXPECT_TRUE(picture_region(capture, 0, "scanpath").ok());
  EXPECT_THAT(picture_region(capture, 1, "scanpath").error().to_string(), HasSubstr("no picture 1"));
  EXPECT_FALSE(picture_region(capture, -1, "scanpath").ok());
}

}  // namespace
}  // namespace saccade
