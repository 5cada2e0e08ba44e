#include "kernels/map_edits.h"

#include <gtest/gtest.h>

namespace saccade {
namespace {

TEST(KeySet, counts_its_keys_and_tells_where_one_stands) {
  const KeySet keys{{2, 5}, {7, 8}, {10, 12}};
  EXPECT_EQ(size_of(keys), 6);
  EXPECT_EQ(index_in(keys, 2), 0);
  EXPECT_EQ(index_in(keys, 4), 2);
  EXPECT_EQ(index_in(keys, 7), 3);
  EXPECT_EQ(index_in(keys, 11), 5);
  EXPECT_TRUE(contains(keys, 7));
  EXPECT_FALSE(contains(keys, 8));
  EXPECT_EQ(size_of({}), 0);
}

TEST(HeadPlan, leaves_two_factors_per_weight_edit) {
  HeadPlan plan;
  EXPECT_TRUE(plan.empty());
  EXPECT_EQ(row_factor_count(plan), 0);
  plan.weights.resize(3);
  EXPECT_FALSE(plan.empty());
  EXPECT_EQ(row_factor_count(plan), 6);
}

}  // namespace
}  // namespace saccade
