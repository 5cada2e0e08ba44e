#include "core/run/axis_positions.h"

#include <gmock/gmock.h>

#include <cmath>

namespace saccade {
namespace {

using testing::ElementsAre, testing::HasSubstr;

ModelSpec spec_of_axes() {
  ModelSpec spec;
  spec.position = PositionKind::rotary;
  spec.rotary.dimensions = 16;
  spec.rotary.sections = {2, 3, 3};
  return spec;
}

// A picture of rows x columns patches of 28 pixels that begins at a position.
PlacedImage placed(int64_t begin, int32_t rows, int32_t columns) {
  ImageRegion region{begin, 0, rows, columns, 28, 28, {}, "picture"};
  region.geometry.height = rows * 28;
  region.geometry.width = columns * 28;
  return {region, nullptr};
}

std::vector<AxisPosition> first(const AxisPositions& positions, int64_t n) {
  std::vector<AxisPosition> all;
  for (int64_t i = 0; i < n; ++i) all.push_back(positions.at(i));
  return all;
}

using P = AxisPosition;

// Qwen2-VL's own example of a picture among words, with a grid that is not square.
TEST(AxisPositions, a_picture_has_rows_and_columns_and_text_goes_on_behind_the_farthest) {
  const auto positions = axis_positions(spec_of_axes(), {placed(2, 2, 3)});
  ASSERT_TRUE(positions.has_value());
  EXPECT_THAT(
      first(*positions, 11),
      ElementsAre(P{0, 0, 0}, P{1, 1, 1},                                                  // text
                  P{2, 2, 2}, P{2, 2, 3}, P{2, 2, 4}, P{2, 3, 2}, P{2, 3, 3}, P{2, 3, 4},  // the picture
                  P{5, 5, 5}, P{6, 6, 6}, P{7, 7, 7}));  // text and what is decoded
  EXPECT_EQ(positions->places_needed(0, 8), 5);
  EXPECT_EQ(positions->places_needed(8, 9), 6);
}

TEST(AxisPositions, pictures_follow_each_other_with_text_between_or_without) {
  const auto positions = axis_positions(spec_of_axes(), {placed(0, 3, 1), placed(4, 1, 2), placed(6, 1, 1)});
  EXPECT_THAT(first(*positions, 8), ElementsAre(P{0, 0, 0}, P{0, 1, 0}, P{0, 2, 0}, P{3, 3, 3}, P{4, 4, 4},
                                                P{4, 4, 5}, P{6, 6, 6}, P{7, 7, 7}));
}

TEST(AxisPositions, patches_that_are_kept_stay_where_they_are) {
  PlacedImage part = placed(1, 2, 3);
  part.region.grid_height = 1;
  part.region.grid_width = 2;
  part.kept = {5, 1};
  const auto positions = axis_positions(spec_of_axes(), {part});
  EXPECT_THAT(first(*positions, 4), ElementsAre(P{0, 0, 0}, P{1, 2, 3}, P{1, 1, 2}, P{4, 4, 4}));
  const auto of_capture = axis_positions(spec_of_axes(), std::vector<ImageRegion>{part.region});
  ASSERT_FALSE(of_capture.ok());
  EXPECT_THAT(of_capture.error().message, HasSubstr("--capture z"));
}

TEST(AxisPositions, there_are_none_where_a_model_knows_only_places_in_the_sequence) {
  EXPECT_FALSE(axis_positions(ModelSpec{}, {placed(0, 2, 2)}).has_value());
  const auto of_capture = axis_positions(ModelSpec{}, std::vector<ImageRegion>{placed(0, 2, 2).region});
  ASSERT_TRUE(of_capture.ok());
  EXPECT_FALSE(of_capture->has_value());
}

TEST(AxisPositions, can_be_taken_in_another_order) {
  const AxisPositions positions = axis_positions(spec_of_axes(), {placed(0, 2, 2)})->taken({3, 0});
  EXPECT_THAT(first(positions, 2), ElementsAre(P{0, 1, 1}, P{0, 0, 0}));
}

// R(p) x of pair i: cos(p f) a - sin(p f) b, sin(p f) a + cos(p f) b.
void expect_rotated(const RotarySpec& spec, const AxisPosition& position,
                    const std::vector<double>& frequencies, const std::vector<size_t>& axes) {
  RotaryTable table(spec);
  table.extend(10);
  const size_t pairs = frequencies.size();
  std::vector<float> in(2 * pairs), out(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = std::sin(static_cast<float>(3 * i + 1));
  table.rotate(in.data(), out.data(), static_cast<int64_t>(in.size()), position);
  for (size_t i = 0; i < pairs; ++i) {
    const double angle = static_cast<double>(position[axes[i]]) * frequencies[i];
    EXPECT_NEAR(out[i], std::cos(angle) * in[i] - std::sin(angle) * in[i + pairs], 1e-6) << i;
    EXPECT_NEAR(out[i + pairs], std::sin(angle) * in[i] + std::cos(angle) * in[i + pairs], 1e-6) << i;
  }
}

TEST(RotaryTable, turns_each_section_with_its_own_axis) {
  RotarySpec spec;
  spec.base = 100.0;
  spec.dimensions = 8;
  spec.sections = {1, 1, 2};
  std::vector<double> goes_on;
  for (int i = 0; i < 4; ++i) goes_on.push_back(std::pow(100.0, -i / 4.0));
  expect_rotated(spec, {2, 5, 7}, goes_on, {0, 1, 2, 2});
  spec.sections = {0, 2, 2};
  spec.sections_begin_anew = true;
  expect_rotated(spec, {0, 5, 7}, {1.0, 0.1, 1.0, 0.1}, {1, 1, 2, 2});
}

}  // namespace
}  // namespace saccade
