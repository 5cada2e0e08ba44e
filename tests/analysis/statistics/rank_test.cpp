// Rank statistics against numbers computed by hand.
#include "analysis/statistics/rank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace saccade {
namespace {

using testing::ElementsAre;
using Numbers = std::vector<double>;

TEST(Rank, equal_values_share_their_ranks) {
  EXPECT_THAT(ranks(Numbers{30.0, 10.0, 20.0, 20.0}), ElementsAre(4.0, 1.0, 2.5, 2.5));
}

// C = 4, D = 2 of six pairs.
TEST(Rank, kendalls_worked_example) {
  EXPECT_DOUBLE_EQ(kendall_tau_b(Numbers{.5, .3, .15, .05}, Numbers{.4, .1, .3, .2}), 1.0 / 3.0);
}

// x has one tied pair, y none: C = 2, D = 0, T_x = 1: 2 / sqrt(3 * 2).
TEST(Rank, ties_lower_kendalls_tau_as_its_b_form_says) {
  EXPECT_DOUBLE_EQ(kendall_tau_b(Numbers{1, 1, 2}, Numbers{1, 2, 3}), 2.0 / std::sqrt(6.0));
}

// Ranks 4, 3, 2, 1 and 4, 1, 3, 2: differences 0, 2, -1, -1, so 1 - 6 * 6 / (4 * 15) = 0.4.
TEST(Rank, spearmans_formula_of_rank_differences) {
  EXPECT_NEAR(spearman(Numbers{.5, .3, .15, .05}, Numbers{.4, .1, .3, .2}), 0.4, 1e-12);
}

// Means 2 and 3: products of deviations 2 + 0 + 1 = 3, squares 2 and 14 / 3.
TEST(Rank, pearsons_of_three_points) {
  EXPECT_NEAR(pearson(Numbers{1, 2, 3}, Numbers{1, 4, 4}), 3.0 / std::sqrt(2.0 * 6.0), 1e-12);
}

TEST(Rank, what_has_no_spread_or_no_number_has_no_correlation) {
  EXPECT_TRUE(std::isnan(pearson(Numbers{1, 1, 1}, Numbers{1, 2, 3})));
  EXPECT_TRUE(std::isnan(kendall_tau_b(Numbers{1}, Numbers{1})));
  const Numbers holes{1, std::nan(""), 2, 3};
  EXPECT_DOUBLE_EQ(pearson(holes, Numbers{2, 100, 4, 6}), 1.0);
  EXPECT_EQ(agreement(holes, Numbers{2, 100, 4, 6}).count, 3);
}

TEST(Rank, top_overlap_counts_what_both_have_among_their_largest) {
  EXPECT_DOUBLE_EQ(top_overlap(Numbers{5, 4, 3, 2, 1}, Numbers{5, 1, 4, 2, 3}, 2), 0.5);
  EXPECT_DOUBLE_EQ(top_overlap(Numbers{5, 4, 3}, Numbers{1, 2, 3}, 9), 1.0);
}

}  // namespace
}  // namespace saccade
