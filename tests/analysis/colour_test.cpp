#include "analysis/colour.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace saccade {
namespace {

double luma(Rgb colour) { return 0.2126 * colour.r + 0.7152 * colour.g + 0.0722 * colour.b; }

void expect_near(Rgb found, Rgb expected, int tolerance) {
  EXPECT_NEAR(found.r, expected.r, tolerance);
  EXPECT_NEAR(found.g, expected.g, tolerance);
  EXPECT_NEAR(found.b, expected.b, tolerance);
}

TEST(Colour, the_perceptual_maps_have_their_published_ends) {
  expect_near(table_of(Palette::viridis)[0], {68, 1, 84}, 2);
  expect_near(table_of(Palette::viridis)[255], {253, 231, 37}, 2);
  expect_near(table_of(Palette::viridis)[128], {33, 145, 140}, 3);
  expect_near(table_of(Palette::magma)[0], {0, 0, 4}, 2);
  expect_near(table_of(Palette::magma)[255], {252, 253, 191}, 2);
  expect_near(table_of(Palette::cividis)[0], {0, 34, 78}, 4);
  expect_near(table_of(Palette::cividis)[255], {254, 232, 56}, 4);
}

TEST(Colour, the_sequential_maps_grow_lighter_all_the_way) {
  for (Palette palette : {Palette::viridis, Palette::magma, Palette::cividis, Palette::grey}) {
    const auto& table = table_of(palette);
    for (size_t i = 1; i < table.size(); ++i)
      EXPECT_GE(luma(table[i]), luma(table[i - 1]) - 1.0) << to_string(palette) << " at " << i;
  }
}

TEST(Colour, red_blue_is_white_in_the_middle_and_equally_dark_at_both_ends) {
  const auto& table = table_of(Palette::red_blue);
  expect_near(table[127], {255, 255, 255}, 0);
  expect_near(table[128], {255, 255, 255}, 0);
  EXPECT_GT(table[0].b, table[0].r);
  EXPECT_GT(table[255].r, table[255].b);
  EXPECT_NEAR(luma(table[0]), luma(table[255]), 16.0);
  ColourScale scale{.palette = Palette::red_blue, .low = -0.3, .high = 0.3};
  expect_near(scale.colour(0.0), {255, 255, 255}, 0);
}

TEST(Colour, every_palette_and_mode_reads_back_from_its_name) {
  for (Palette palette : palettes()) EXPECT_EQ(parse_palette(to_string(palette)).value(), palette);
  for (SinkMode mode : {SinkMode::as_is, SinkMode::logarithmic, SinkMode::hide_sinks, SinkMode::renormalise})
    EXPECT_EQ(parse_sink_mode(to_string(mode)).value(), mode);
}

TEST(Colour, an_unknown_palette_is_refused_with_the_choices) {
  const auto palette = parse_palette("rainbow");
  ASSERT_FALSE(palette.ok());
  EXPECT_EQ(palette.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(palette.error().message.find("rainbow"), std::string::npos);
  EXPECT_NE(palette.error().message.find("cividis"), std::string::npos);
}

TEST(Colour, as_is_is_linear_between_low_and_high_and_clamped_outside) {
  const ColourScale scale{.low = 0.2, .high = 0.6};
  EXPECT_NEAR(scale.height(0.4), 0.5, 1e-12);
  EXPECT_EQ(scale.height(0.1), 0.0);
  EXPECT_EQ(scale.height(0.9), 1.0);
}

TEST(Colour, log_mode_spreads_decades_evenly_and_floors_what_is_below) {
  const ColourScale scale{.mode = SinkMode::logarithmic, .high = 1.0, .log_floor = 1e-4};
  EXPECT_NEAR(scale.height(1e-2), 0.5, 1e-12);
  EXPECT_NEAR(scale.height(1e-1), 0.75, 1e-12);
  EXPECT_EQ(scale.height(1e-5), 0.0);
  EXPECT_EQ(scale.height(0.0), 0.0);
  EXPECT_NEAR(scale.height(1.0), 1.0, 1e-12);
}

TEST(Colour, renormalise_divides_by_what_the_sinks_leave) {
  const ColourScale scale{.mode = SinkMode::renormalise};
  EXPECT_NEAR(scale.height(0.05, 0.9), 0.5, 1e-9);
  EXPECT_EQ(scale.height(1e-9, 1.0), 0.0) << "a row that is all sink has nothing to share out";
}

TEST(Colour, only_the_hide_modes_hide_and_only_the_first_keys) {
  ColourScale scale{.sink_keys = 2};
  EXPECT_FALSE(scale.hides(0));
  scale.mode = SinkMode::hide_sinks;
  EXPECT_TRUE(scale.hides(1));
  EXPECT_FALSE(scale.hides(2));
}

TEST(Colour, what_is_not_a_number_and_an_empty_range_get_the_lowest_colour) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ColourScale{}.height(nan), 0.0);
  EXPECT_EQ((ColourScale{.mode = SinkMode::logarithmic}.height(nan)), 0.0);
  EXPECT_EQ((ColourScale{.low = 0.5, .high = 0.5}.height(0.5)), 0.0);
}

}  // namespace
}  // namespace saccade
