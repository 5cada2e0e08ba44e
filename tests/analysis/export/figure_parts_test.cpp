#include "analysis/export/figure_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saccade {
namespace {

std::vector<std::string> texts(const ColourScale& scale) {
  std::vector<std::string> found;
  for (const ScaleTick& tick : scale_ticks(scale)) found.push_back(tick.text);
  return found;
}

TEST(FigureParts, ticks_stand_on_both_ends_of_usual_ranges) {
  EXPECT_THAT(texts({}), testing::ElementsAre("0.0", "0.2", "0.4", "0.6", "0.8", "1.0"));
  EXPECT_THAT(texts({.low = -0.5, .high = 0.5}),
              testing::ElementsAre("\u22120.50", "\u22120.25", "0.00", "0.25", "0.50"));
  EXPECT_THAT(texts({.high = 0.05}), testing::ElementsAre("0.00", "0.01", "0.02", "0.03", "0.04", "0.05"));
}

TEST(FigureParts, ticks_stand_where_the_scale_puts_their_values) {
  for (const ColourScale& scale :
       {ColourScale{}, ColourScale{.low = 0.1, .high = 0.73}, ColourScale{.mode = SinkMode::logarithmic}})
    for (const ScaleTick& tick : scale_ticks(scale)) {
      EXPECT_GE(tick.height, 0.0);
      EXPECT_LE(tick.height, 1.0 + 1e-6);
      if (tick.text.front() == '\xE2') continue;  // the floor stands for all below it
      EXPECT_NEAR(scale.height(std::stod(tick.text)), tick.height, 1e-6) << tick.text;
    }
}

TEST(FigureParts, a_log_scale_has_a_tick_per_decade_and_marks_the_floor) {
  EXPECT_THAT(texts({.mode = SinkMode::logarithmic}),
              testing::ElementsAre("\u22641e-04", "0.001", "0.01", "0.1", "1"));
}

TEST(FigureParts, an_empty_range_has_no_ticks) { EXPECT_TRUE(texts({.low = 1.0, .high = 1.0}).empty()); }

TEST(FigureParts, numbers_have_no_more_digits_than_they_deserve) {
  EXPECT_EQ(short_number(0.0), "0");
  EXPECT_EQ(short_number(0.25), "0.25");
  EXPECT_EQ(short_number(12.345), "12.3");
  EXPECT_EQ(short_number(0.00001234), "1.2e-05");
  EXPECT_EQ(short_number(1e-4), "1e-04");
}

TEST(FigureParts, steps_are_one_two_or_five_times_a_power_of_ten) {
  EXPECT_DOUBLE_EQ(nice_step(0.7), 1.0);
  EXPECT_DOUBLE_EQ(nice_step(1.2), 2.0);
  EXPECT_DOUBLE_EQ(nice_step(23.0), 50.0);
  EXPECT_DOUBLE_EQ(nice_step(0.06), 0.1);
}

TEST(FigureParts, labels_are_tokens_where_they_fit_and_positions_where_not) {
  auto ruler = Canvas::ruler();
  ASSERT_TRUE(ruler.ok());
  std::vector<Token> tokens(20);
  for (Token& token : tokens) token.text = " a-rather-long-token-of-many-letters";
  const EdgeLabels fit = edge_labels(*ruler, tokens, 0, 20, 12.0, true);
  ASSERT_EQ(fit.tokens.size(), 20U);
  EXPECT_TRUE(fit.upward);
  EXPECT_LT(fit.tokens[0].size(), tokens[0].text.size()) << "long tokens are shortened";
  EXPECT_LE(fit.depth, 70.0);
  EXPECT_TRUE(edge_labels(*ruler, tokens, 0, 20, 3.0, true).tokens.empty());
}

TEST(FigureParts, cells_become_whole_pixels_only_when_that_costs_little) {
  const PixelGrid grid(FigureFormat::png, 72.0), vector(FigureFormat::svg, 72.0);
  EXPECT_DOUBLE_EQ(grid.cell(10.7), 10.0);
  EXPECT_DOUBLE_EQ(grid.cell(1.7), 1.7);
  EXPECT_DOUBLE_EQ(vector.cell(10.7), 10.7);
}

}  // namespace
}  // namespace saccade
