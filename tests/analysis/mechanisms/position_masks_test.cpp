// Masks that positions alone decide: the worked examples of their papers and code, slow definitions, and what
// always holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "analysis/mechanisms/elastic_choice.h"
#include "analysis/mechanisms/grid_masks.h"
#include "analysis/mechanisms/head_masks.h"
#include "analysis/mechanisms/neighborhood.h"
#include "tests/analysis/mechanisms/random_matrix.h"

namespace saccade::mechanisms {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(KeyMask, rows_are_ranges_and_density_counts_what_is_possible) {
  KeyMask mask(2, 130);
  mask.show(0, {60, 70});
  mask.show(0, 129);
  mask.show(1, {-5, 400});
  EXPECT_THAT(mask.ranges(0), ElementsAre(KeyRange{60, 70}, KeyRange{129, 130}));
  EXPECT_EQ(mask.count(0), 11);
  EXPECT_EQ(mask.count(1), 130);
  KeyMask possible(2, 130);
  possible.show(0, {65, 75});
  EXPECT_DOUBLE_EQ(density(mask, possible), 0.5);
  EXPECT_TRUE(std::isnan(density(mask, KeyMask(2, 130))));
  mask.hide(0, 65);
  EXPECT_FALSE(mask.sees(0, 65));
  EXPECT_TRUE(mask.sees(0, 66));
  KeyMask empty(3, 3);
  empty.show(1, 0);
  empty.keep_diagonal_of_empty_rows();
  EXPECT_THAT(bits(empty, 0), ElementsAre(1, 0, 0));
  EXPECT_THAT(bits(empty, 1), ElementsAre(1, 0, 0));
  EXPECT_TRUE(empty.within(KeyMask::causal(3)));
  EXPECT_FALSE(KeyMask::everything(3, 3).within(KeyMask::causal(3)));
}

std::vector<int64_t> starts(int64_t window, int64_t stride) {
  std::vector<int64_t> found;
  for (int64_t i = 0; i < 8; ++i) {
    const KeyRange range = neighbors_of({8, window, stride, 1, false}, i);
    EXPECT_EQ(range.end - range.begin, window) << "never shrunk";
    found.push_back(range.begin);
  }
  return found;
}

TEST(Neighborhood, starts_of_the_worked_examples) {
  EXPECT_THAT(starts(3, 1), ElementsAre(0, 0, 1, 2, 3, 4, 5, 5));
  EXPECT_THAT(starts(4, 1), ElementsAre(0, 0, 0, 1, 2, 3, 4, 4));
  EXPECT_THAT(starts(4, 2), ElementsAre(0, 0, 1, 1, 3, 3, 4, 4));
  EXPECT_THAT(starts(4, 4), ElementsAre(0, 0, 0, 0, 4, 4, 4, 4));
}

TEST(Neighborhood, causal_ranges_of_the_worked_examples) {
  const auto ranges = [](int64_t window, int64_t stride) {
    std::vector<KeyRange> found;
    for (int64_t i = 0; i < 8; ++i) found.push_back(neighbors_of({8, window, stride, 1, true}, i));
    return found;
  };
  using R = KeyRange;
  EXPECT_THAT(ranges(3, 1),
              ElementsAre(R{0, 1}, R{0, 2}, R{0, 3}, R{1, 4}, R{2, 5}, R{3, 6}, R{4, 7}, R{5, 8}));
  EXPECT_THAT(ranges(4, 2),
              ElementsAre(R{0, 1}, R{0, 2}, R{0, 3}, R{0, 4}, R{2, 5}, R{2, 6}, R{4, 7}, R{4, 8}));
}

TEST(Neighborhood, every_row_sees_itself_and_density_is_the_product_of_the_axes) {
  for (int64_t window = 1; window <= 7; ++window)
    for (int64_t stride = 1; stride <= window; ++stride)
      for (const bool causal : {false, true}) {
        const std::vector<NeighborhoodAxis> axes{{7, window, stride, 1, causal},
                                                 {5, std::min<int64_t>(window, 5), 1, 1, false}};
        const auto mask = neighborhood_mask(axes);
        ASSERT_TRUE(mask.ok()) << mask.error().to_string();
        EXPECT_TRUE(every_row_sees_itself(*mask)) << window << " " << stride << " " << causal;
        if (!causal) {
          EXPECT_NEAR(density(*mask, KeyMask::everything(35, 35)),
                      static_cast<double>(window * std::min<int64_t>(window, 5)) / 35.0, 1e-12);
        }
      }
}

TEST(Neighborhood, dilation_is_the_same_mask_inside_each_residue_class) {
  const std::vector<NeighborhoodAxis> dilated{{11, 3, 1, 2, false}};
  const KeyMask mask = neighborhood_mask(dilated).value();
  for (int64_t residue = 0; residue < 2; ++residue) {
    const int64_t length = residue == 0 ? 6 : 5;
    const std::vector<NeighborhoodAxis> plain{{length, 3, 1, 1, false}};
    const KeyMask inside = neighborhood_mask(plain).value();
    for (int64_t i = 0; i < 11; ++i)
      for (int64_t j = 0; j < 11; ++j)
        if (i % 2 == residue) {
          EXPECT_EQ(mask.sees(i, j), j % 2 == residue && inside.sees(i / 2, j / 2)) << i << " " << j;
        }
  }
}

TEST(Neighborhood, what_does_not_fit_is_refused_with_what_would) {
  const auto message = [](NeighborhoodAxis axis) {
    const auto mask = neighborhood_mask(std::vector{axis});
    return mask.ok() ? "" : mask.error().message;
  };
  EXPECT_THAT(message({8, 5, 1, 2, false}), HasSubstr("the largest that fits is 4"));
  EXPECT_THAT(message({8, 3, 4, 1, false}), HasSubstr("1 to its window (3), found 4"));
  EXPECT_THAT(message({8, 0, 1, 1, false}), HasSubstr("at least 1"));
  EXPECT_FALSE(neighborhood_mask({}).ok());
}

TEST(GridMasks, worked_examples_on_four_by_four) {
  const Grid grid{4, 4};
  EXPECT_THAT(block_mask(grid, 2).ranges(0), ElementsAre(KeyRange{0, 2}, KeyRange{4, 6}));
  const KeyMask spread = spread_mask(grid, 2).value();
  EXPECT_THAT(spread.ranges(0),
              ElementsAre(KeyRange{0, 1}, KeyRange{2, 3}, KeyRange{8, 9}, KeyRange{10, 11}));
  EXPECT_THAT(axial_mask(grid, GridAxis::row).ranges(0), ElementsAre(KeyRange{0, 4}));
  EXPECT_THAT(axial_mask(grid, GridAxis::column).ranges(1),
              ElementsAre(KeyRange{1, 2}, KeyRange{5, 6}, KeyRange{9, 10}, KeyRange{13, 14}));
  EXPECT_THAT(axial_mask(grid, GridAxis::row, true).ranges(6), ElementsAre(KeyRange{4, 7}));
  EXPECT_THAT(halo_mask(grid, 2, 1).ranges(0), ElementsAre(KeyRange{0, 3}, KeyRange{4, 7}, KeyRange{8, 11}));
  EXPECT_THAT(radius_mask(grid, 1).ranges(0), ElementsAre(KeyRange{0, 2}, KeyRange{4, 6}));
  const auto odd = spread_mask({4, 6}, 4);
  ASSERT_FALSE(odd.ok());
  EXPECT_THAT(odd.error().message, HasSubstr("2 does"));
}

// Swin by its own steps: roll the picture by -shift, cut it into blocks, and let regions that the roll
// brought together not see each other.
TEST(GridMasks, shifted_blocks_are_those_of_a_rolled_picture) {
  const Grid grid{8, 4};
  const int64_t side = 4, shift = 2;
  const auto part = [&](int64_t rolled,
                        int64_t length) {  // 0, 1, 2: before, the block cut by the roll, after it
    return rolled < length - side ? 0 : rolled < length - shift ? 1 : 2;
  };
  const KeyMask mask = shifted_block_mask(grid, side);
  for (int64_t i = 0; i < grid.size(); ++i)
    for (int64_t j = 0; j < grid.size(); ++j) {
      const auto rolled = [&](int64_t at) {
        return std::pair((at / 4 - shift + 8) % 8, (at % 4 - shift + 4) % 4);
      };
      const auto [qy, qx] = rolled(i);
      const auto [ky, kx] = rolled(j);
      const bool seen = qy / side == ky / side && qx / side == kx / side && part(qy, 8) == part(ky, 8) &&
                        part(qx, 4) == part(kx, 4);
      EXPECT_EQ(mask.sees(i, j), seen) << i << " " << j;
    }
  EXPECT_TRUE(every_row_sees_itself(mask));
}

TEST(GridMasks, a_placed_mask_leaves_the_rest_of_the_sequence_open) {
  const KeyMask placed = place(block_mask({2, 2}, 1), 1, 6);
  EXPECT_THAT(bits(placed, 0), ElementsAre(1, 1, 1, 1, 1, 1));
  EXPECT_THAT(bits(placed, 2), ElementsAre(1, 0, 1, 0, 0, 1));
}

TEST(ShardedMask, rows_of_the_worked_example) {
  const auto row = [](int64_t head) { return bits(sharded_blocks(6, {1, 2, 2, head}), 4); };
  EXPECT_THAT(row(0), ElementsAre(0, 1, 0, 1, 1, 0));
  EXPECT_THAT(row(1), ElementsAre(1, 0, 1, 0, 1, 0));
}

TEST(ShardedMask, the_heads_together_see_every_block_and_each_is_causal) {
  KeyMask together(12, 12);
  for (int64_t head = 0; head < 4; ++head) together |= sharded_blocks(12, {1, 4, 4, head});
  EXPECT_EQ(together, KeyMask::causal(12));
  const KeyMask tokens = sharded_mask(50, 16, {1, 4, 4, 1});
  EXPECT_TRUE(tokens.within(KeyMask::causal(50)));
  EXPECT_TRUE(every_row_sees_itself(tokens));
}

TEST(GroupMask, shifted_groups_begin_half_a_group_later) {
  EXPECT_THAT(group_mask(8, 4, false).ranges(6), ElementsAre(KeyRange{4, 7}));
  EXPECT_THAT(group_mask(8, 4, true).ranges(5), ElementsAre(KeyRange{2, 6}));
  EXPECT_THAT(group_mask(8, 4, true).ranges(1), ElementsAre(KeyRange{0, 2}));
  EXPECT_THAT(group_mask(8, 4, true, 1).ranges(7), ElementsAre(KeyRange{0, 1}, KeyRange{6, 8}));
}

TEST(StreamMask, is_that_of_the_worked_example) {
  EXPECT_THAT(bits(stream_mask(5, 1, 2), 4), ElementsAre(1, 0, 0, 1, 1));
}

TEST(ElasticMask, spans_of_the_worked_example) {
  EXPECT_EQ((ElasticRule{128, 0.25}.span(1024)), 384);
  EXPECT_EQ((ElasticRule{128, 0.25}.span(2048)), 640);
}

TEST(ElasticMask, holds_the_first_block_and_the_blocks_of_its_span) {
  const KeyMask blocks = elastic_blocks(100, 10, {20, 0.1});  // 30 tokens: 3 blocks
  EXPECT_THAT(blocks.ranges(7), ElementsAre(KeyRange{0, 1}, KeyRange{5, 8}));
  const KeyMask mask = elastic_mask(100, 10, {0, 0});
  EXPECT_TRUE(every_row_sees_itself(mask)) << "even without a span the own block stays";
  EXPECT_TRUE(mask.within(KeyMask::causal(100)));
  EXPECT_EQ(elastic_mask(100, 10, {100, 0}), KeyMask::causal(100));
}

std::vector<BlockInfluence> random_influence(int64_t heads, int64_t tokens, int64_t block, uint32_t seed) {
  std::vector<BlockInfluence> all;
  for (int64_t h = 0; h < heads; ++h) {
    const int64_t blocks = (tokens + block - 1) / block;
    BlockInfluence one{tokens, random_matrix(blocks, blocks, seed + static_cast<uint32_t>(h))};
    for (double& value : one.blocks.values) value = std::abs(value);
    // Head 0 looks far back, the others near.
    for (int64_t i = 0; i < blocks; ++i)
      for (int64_t j = 0; j < blocks; ++j)
        one.blocks.at(i, j) *= j > i ? 0.0 : h == 0 ? 1.0 : std::exp(-static_cast<double>(i - j));
    all.push_back(std::move(one));
  }
  return all;
}

TEST(ElasticChoice, keeps_to_the_bound_at_every_length_and_spends_it_on_who_looks_far) {
  const std::vector<std::vector<BlockInfluence>> influence{random_influence(3, 64, 8, 1),
                                                           random_influence(3, 128, 8, 2)};
  const auto candidates = elastic_candidates(128, 16);
  EXPECT_EQ(candidates.size(), 9U * 9U);
  const auto choice = choose_elastic_rules(influence, 8, candidates, 0.5);
  ASSERT_TRUE(choice.ok()) << choice.error().to_string();
  for (const double kept : choice->densities) EXPECT_LE(kept, 0.5);
  EXPECT_GT(choice->rules[0].span(128), choice->rules[1].span(128));
  EXPECT_GT(choice->rules[0].span(128), choice->rules[2].span(128));
  double loss = 0.0;
  for (size_t h = 0; h < 3; ++h) loss += predicted_loss(influence[1][h], 8, choice->rules[h]);
  EXPECT_NEAR(loss, choice->losses[1], 1e-12);
  // Nobody who keeps to the bound with one rule for all heads does better.
  for (const ElasticRule& rule : candidates) {
    bool fits = true;
    double uniform = 0.0;
    for (const auto& of_length : influence) {
      const KeyMask mask = elastic_blocks(of_length[0].tokens, 8, rule);
      fits = fits && density(mask, KeyMask::causal(mask.queries())) <= 0.5;
      for (const BlockInfluence& head : of_length) uniform += predicted_loss(head, 8, rule);
    }
    if (fits) {
      EXPECT_LE(choice->losses[0] + choice->losses[1], uniform + 1e-9);
    }
  }
}

TEST(ElasticChoice, full_spans_stay_where_the_bound_allows_them_and_too_tight_bounds_are_refused) {
  const std::vector<std::vector<BlockInfluence>> influence{random_influence(2, 64, 8, 3)};
  const auto all = choose_elastic_rules(influence, 8, elastic_candidates(64, 16), 1.0);
  ASSERT_TRUE(all.ok());
  EXPECT_DOUBLE_EQ(all->densities[0], 1.0);
  EXPECT_DOUBLE_EQ(all->losses[0], 0.0);
  const auto none = choose_elastic_rules(influence, 8, elastic_candidates(64, 16), 0.01);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("raise the bound"));
  EXPECT_FALSE(choose_elastic_rules({}, 8, elastic_candidates(64, 16), 0.5).ok());
}

}  // namespace
}  // namespace saccade::mechanisms
