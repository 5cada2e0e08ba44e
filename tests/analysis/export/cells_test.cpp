#include "analysis/export/cells.h"

#include <gtest/gtest.h>

#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

constexpr Rgb masked{1, 2, 3};

bool operator==(Rgb x, Rgb y) { return x.r == y.r && x.g == y.g && x.b == y.b; }

struct Case {
  std::shared_ptr<Capture> capture;
  AttentionMap map;
  explicit Case(std::shared_ptr<Capture> run)
      : capture(std::move(run)), map(AttentionMap::of(capture, {}, kernel_sets().front()).value()) {}
  [[nodiscard]] CellRequest whole(int64_t lod, const ColourScale& scale) const {
    return {&map, nullptr, 0, map.size(), 0, map.size(), lod, scale, masked};
  }
};

TEST(Cells, a_block_shows_its_largest_weight_and_grey_only_where_all_of_it_is_masked) {
  const Case made(synthetic::random_capture(synthetic::words(11), 1, 1, 8, 2.0F));
  const ColourScale scale;
  const auto exact = render_cells(made.whole(1, scale), {});
  const auto blocks = render_cells(made.whole(4, scale), {});
  ASSERT_TRUE(exact.ok() && blocks.ok());
  ASSERT_EQ(blocks->width, 3);
  for (int64_t row = 0; row < 3; ++row)
    for (int64_t column = 0; column < 3; ++column) {
      float most = -1.0F;
      for (int64_t i = row * 4; i < std::min<int64_t>(row * 4 + 4, 11); ++i)
        for (int64_t j = column * 4; j < std::min<int64_t>(column * 4 + 4, 11); ++j)
          if (j <= i) most = std::max(most, made.map.weight(i, j).value());
      const Rgb found = const_cast<Pixels&>(*blocks).at(column, row);
      EXPECT_TRUE(found == (most < 0.0F ? masked : scale.colour(most))) << row << ", " << column;
    }
}

TEST(Cells, renormalise_hides_the_first_key_and_shares_out_the_rest_at_every_level_of_detail) {
  const synthetic::Pattern pattern{{1.0}, {0.9, 0.1}, {0.9, 0.04, 0.06}, {0.6, 0.1, 0.06, 0.24}};
  const Case made(synthetic::capture_of({"a", "b", "c", "d"}, {pattern}));
  const ColourScale scale{.mode = SinkMode::renormalise};
  auto exact = render_cells(made.whole(1, scale), {});
  ASSERT_TRUE(exact.ok());
  EXPECT_TRUE(exact->at(0, 3) == masked) << "the hidden key";
  EXPECT_TRUE(exact->at(1, 1) == scale.colour(1.0, 0.0));
  EXPECT_TRUE(exact->at(2, 2) == scale.colour(0.6, 0.0));
  EXPECT_TRUE(exact->at(3, 3) == scale.colour(0.6, 0.0));
  auto blocks = render_cells(made.whole(2, scale), {});
  ASSERT_TRUE(blocks.ok());
  EXPECT_TRUE(blocks->at(0, 0) == scale.colour(1.0, 0.0)) << "the sink does not reach into its block";
  EXPECT_TRUE(blocks->at(1, 1) == scale.colour(0.6, 0.0));
}

TEST(Cells, knocked_out_edges_are_drawn_as_masked) {
  auto capture = synthetic::random_capture(synthetic::words(6), 1, 1, 8);
  auto layer = std::make_shared<LayerCapture>(*capture->layers[0]);
  layer->knockouts = {{EdgeRect{4, 6, 1, 3}}};
  synthetic::fill_statistics(*layer, *capture);
  capture->layers[0] = layer;
  const Case made(capture);
  auto cells = render_cells(made.whole(1, {}), {});
  ASSERT_TRUE(cells.ok());
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 6; ++j)
      EXPECT_EQ(cells->at(j, i) == masked, j > i || (i >= 4 && (j == 1 || j == 2))) << i << ", " << j;
}

TEST(Cells, strips_do_not_show_a_large_map_is_the_same_as_its_parts) {
  const Case made(synthetic::random_capture(synthetic::words(700), 1, 1, 8, 2.0F));
  auto whole = render_cells(made.whole(1, {}), {});
  CellRequest part = made.whole(1, {});
  part.rows_begin = 370, part.rows_end = 380, part.columns_begin = 3, part.columns_end = 40;
  auto cut = render_cells(part, {});
  ASSERT_TRUE(whole.ok() && cut.ok());
  for (int64_t i = 0; i < 10; ++i)
    for (int64_t j = 0; j < 37; ++j) EXPECT_TRUE(cut->at(j, i) == whole->at(3 + j, 370 + i));
}

TEST(Cells, the_block_side_is_the_smallest_power_of_two_that_fits) {
  EXPECT_EQ(block_side(100, 100), 1);
  EXPECT_EQ(block_side(101, 100), 2);
  EXPECT_EQ(block_side(401, 100), 8);
  EXPECT_EQ(block_side(5, 0), 8);
}

}  // namespace
}  // namespace saccade
