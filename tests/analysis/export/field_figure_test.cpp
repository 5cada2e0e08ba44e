#include "analysis/export/field_figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "analysis/methods/head_fields.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;

Field field(ValueKind kind, const std::vector<float>& values) {
  Field made = head_field("effect", "Effect", "logits", kind, 2, 3, "0123");
  std::copy(values.begin(), values.end(), made.values.mutable_values().begin());
  return made;
}

// Pixels of exactly this colour.
int64_t count(const cv::Mat& picture, Rgb colour) {
  int64_t found = 0;
  for (int y = 0; y < picture.rows; ++y)
    for (int x = 0; x < picture.cols; ++x)
      if (picture.at<cv::Vec3b>(y, x) == cv::Vec3b(colour.b, colour.g, colour.r)) ++found;
  return found;
}

TEST(FieldFigure, differences_are_coloured_symmetrically_and_magnitudes_from_zero) {
  const ColourScale signed_scale = scale_of(field(ValueKind::signed_difference, {1, -4, 2, 0, 0, 0}));
  EXPECT_EQ(signed_scale.palette, Palette::red_blue);
  EXPECT_EQ(signed_scale.low, -4.0);
  EXPECT_EQ(signed_scale.high, 4.0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const ColourScale magnitude = scale_of(field(ValueKind::magnitude, {1, nan, 7, 3, 3, 3}));
  EXPECT_EQ(magnitude.low, 0.0);
  EXPECT_EQ(magnitude.high, 7.0);
  EXPECT_EQ(scale_of(field(ValueKind::probability, {0.1F, 0.2F, 0, 0, 0, 0})).high, 1.0);
}

TEST(FieldFigure, every_cell_has_the_colour_of_its_value_and_what_is_missing_is_masked) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Field shown = field(ValueKind::magnitude, {0, 1, 2, 3, nan, 5});
  FigureOptions options;
  options.scale = scale_of(shown);
  options.dpi = 100;
  const fs::path path = fs::path(testing::TempDir()) / "saccade_field_figure.png";
  ASSERT_TRUE(write_field_figure(shown, {}, options, path).ok());
  const cv::Mat picture = cv::imread(path.string());
  ASSERT_FALSE(picture.empty());
  // A cell is 34 points = 47 pixels wide; the number in it and its edge take less than half of it.
  for (const double value : {0.0, 1.0, 2.0, 3.0, 5.0})
    EXPECT_GT(count(picture, options.scale.colour(value)), 1000) << value;
  EXPECT_GT(count(picture, masked_colour), 1000);
  fs::remove(path);
}

TEST(FieldFigure, fields_of_other_shapes_are_refused_with_the_reason) {
  Field deep = field(ValueKind::magnitude, {0, 1, 2, 3, 4, 5});
  deep.axes.push_back({AxisKind::token, "token", {}});
  deep.values = HostTensor({2, 3, 1});
  const auto refused = write_field_figure(deep, {}, {}, "x.png");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, testing::HasSubstr("one or two axes, this one has 3"));
  Field wide = field(ValueKind::magnitude, {0, 1, 2, 3, 4, 5});
  wide.values = HostTensor({2, 401});
  EXPECT_THAT(write_field_figure(wide, {}, {}, "x.png").error().message, testing::HasSubstr("401"));
}

}  // namespace
}  // namespace saccade
