// What a mechanism does to a head, on heads small enough to hold in one's hand, and the knockouts that say
// the same as a mask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/mechanisms/imposed.h"
#include "core/run/edit.h"
#include "tests/analysis/mechanisms/random_matrix.h"

namespace saccade::mechanisms {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

// A causal head of n tokens with random q, k and v.
HeadView random_head(int64_t n, uint32_t seed, bool causal = true) {
  HeadView head;
  head.heads = 4;
  head.head = 1;
  head.scale = 0.5;
  head.causal = causal;
  head.q = random_matrix(n, 4, seed, 2.0);
  head.k = random_matrix(n, 4, seed + 1, 2.0);
  head.v = random_matrix(n, 3, seed + 2);
  head.visible = causal ? KeyMask::causal(n) : KeyMask::everything(n, n);
  head.weights = exact_map(head.q, head.k, head.scale, head.visible);
  return head;
}

TEST(Imposed, a_row_by_hand) {
  HeadView head;
  head.visible = KeyMask::everything(1, 4);
  head.weights = Matrix(1, 4);
  head.weights.values = {0.4, 0.3, 0.2, 0.1};
  head.v = Matrix(4, 1);
  head.v.values = {1.0, 2.0, 3.0, 4.0};  // p v = 2
  KeyMask mask(1, 4);
  mask.show(0, 0);
  mask.show(0, 2);
  const Imposed imposed{mask, {}};
  const Matrix map = imposed_map(head, imposed, false);
  EXPECT_THAT(map.values, Pointwise(DoubleNear(1e-12), {2.0 / 3, 0.0, 1.0 / 3, 0.0}));
  const ImposedScores scores = score(head, imposed, map, false);
  EXPECT_DOUBLE_EQ(scores.density, 0.5);
  EXPECT_NEAR(scores.kept, 0.6, 1e-12);
  EXPECT_NEAR(scores.recall, 0.5, 1e-12) << "two of the four that are visible";
  EXPECT_NEAR(scores.change, (2.0 - (2.0 / 3 + 3.0 / 3)) / 2.0, 1e-12);
  EXPECT_NEAR(scores.oracle_kept, 0.7, 1e-12);
  EXPECT_NEAR(scores.recent_kept, 0.7, 1e-12) << "its own key and the first that is none of it";
  EXPECT_TRUE(std::isinf(scores.divergence));
}

TEST(Imposed, a_kernel_that_keeps_the_order_of_keys_is_told_from_one_that_does_not) {
  const HeadView head = random_head(12, 21);
  Matrix flatter = head.weights, reversed = head.weights;
  for (int64_t i = 0; i < 12; ++i) {
    double sum = 0.0;
    for (int64_t j = 0; j <= i; ++j) {
      flatter.at(i, j) = std::sqrt(head.weights.at(i, j));
      reversed.at(i, j) = 1.0 / head.weights.at(i, j);
      sum += reversed.at(i, j);
    }
    normalise(flatter.row(i));
    normalise(reversed.row(i));
    EXPECT_GT(sum, 0.0);
  }
  const ImposedScores same = score(head, {{}, flatter}, flatter, false),
                      other = score(head, {{}, reversed}, reversed, false);
  EXPECT_NEAR(same.spearman, 1.0, 1e-9);
  EXPECT_EQ(same.discordant, 0.0);
  EXPECT_NEAR(other.spearman, -1.0, 1e-9);
  EXPECT_NEAR(other.discordant, 1.0, 1e-9);
  EXPECT_GT(same.divergence, 0.0);
  EXPECT_TRUE(std::isnan(score(head, {KeyMask::causal(12), {}}, head.weights, false).spearman));
}

TEST(Imposed, everything_kept_changes_nothing_and_rows_that_lose_all_see_themselves) {
  const HeadView head = random_head(9, 1);
  const Imposed all{KeyMask::everything(9, 9), {}};
  const Matrix map = imposed_map(head, all, false);
  const ImposedScores scores = score(head, all, map, false);
  EXPECT_NEAR(scores.density, 1.0, 1e-12);
  EXPECT_NEAR(scores.kept, 1.0, 1e-12);
  EXPECT_NEAR(scores.recall, 1.0, 1e-12);
  EXPECT_NEAR(scores.change, 0.0, 1e-12);
  EXPECT_NEAR(scores.divergence, 0.0, 1e-12);
  const Matrix none = imposed_map(head, Imposed{KeyMask(9, 9), {}}, false);
  for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(none.at(i, i), 1.0);
}

TEST(Imposed, the_oracle_keeps_at_least_as_much_as_any_mask_of_its_density) {
  const HeadView head = random_head(24, 5);
  Constants constants;
  constants.block = 4;
  constants.window = 5;
  constants.keep = 2;
  for (const char* name : {"stream", "s2", "moba", "clusters", "recycled", "seer"}) {
    const auto imposed = impose(*find_mechanism(name), head, constants);
    ASSERT_TRUE(imposed.ok()) << name << ": " << imposed.error().to_string();
    const ImposedScores scores = score(head, *imposed, imposed_map(head, *imposed, false), false);
    EXPECT_LE(scores.kept, scores.oracle_kept + 1e-12) << name;
    EXPECT_LE(scores.recent_kept, scores.oracle_kept + 1e-12) << name;
    EXPECT_GT(scores.density, 0.0) << name;
    EXPECT_LT(scores.density, 1.0) << name;
  }
}

TEST(Imposed, baselines_have_as_many_keys_in_every_row) {
  const HeadView head = random_head(16, 8);
  KeyMask kept = stream_mask(16, 2, 3);
  const KeyMask oracle = oracle_mask(head.weights, kept), recent = recent_mask(head.visible, kept, 4);
  for (int64_t i = 0; i < 16; ++i) {
    EXPECT_EQ(oracle.count(i), kept.count(i));
    EXPECT_EQ(recent.count(i), kept.count(i));
  }
  EXPECT_TRUE(recent.within(head.visible));
}

// Every mechanism on a text head, and on one with a picture, gives rows of weights; those that are no masks
// of more than the model shows stay inside what it shows.
TEST(Catalogue, every_mechanism_gives_rows_that_sum_to_one) {
  for (const MechanismInfo& mechanism : catalogue()) {
    HeadView head = random_head(20, 11, mechanism.needs != Needs::two_way_picture);
    head.picture = PlacedGrid{2, {4, 4}};
    Constants constants;
    constants.block = 4;
    constants.window = 6;
    constants.samples = 4;
    constants.elastic = {4.0, 0.25};
    const auto imposed = impose(mechanism, head, constants);
    ASSERT_TRUE(imposed.ok()) << mechanism.name << ": " << imposed.error().to_string();
    const Matrix map = imposed_map(head, *imposed, mechanism.widens);
    for (int64_t i = 0; i < 20; ++i) {
      if (mechanism.name != "flow") {
        EXPECT_NEAR(row_sum(map, i), 1.0, 1e-9) << mechanism.name << " row " << i;
      }
      for (int64_t j = 0; j < 20; ++j) {
        EXPECT_GE(map.at(i, j), 0.0) << mechanism.name;
        if (!mechanism.widens && !head.visible.sees(i, j)) {
          EXPECT_EQ(map.at(i, j), 0.0) << mechanism.name << " " << i << " " << j;
        }
      }
    }
    const ImposedScores scores = score(head, *imposed, map, mechanism.widens);
    EXPECT_GE(scores.kept, 0.0) << mechanism.name;
    EXPECT_LE(scores.kept, 1.0 + 1e-9) << mechanism.name;
    EXPECT_FALSE(std::isnan(scores.change)) << mechanism.name;
  }
}

TEST(Catalogue, what_a_run_lacks_is_said) {
  const HeadView text = random_head(8, 12), both_ways = random_head(8, 13, false);
  const auto message = [](const char* name, const HeadView& head) {
    const auto imposed = impose(*find_mechanism(name), head, {});
    return imposed.ok() ? "" : imposed.error().message;
  };
  EXPECT_THAT(message("axial", text), HasSubstr("give one with --image FILE"));
  EXPECT_THAT(message("stream", both_ways), HasSubstr("this one sees both ways"));
  HeadView decoder = text;
  decoder.picture = PlacedGrid{1, {2, 2}};
  EXPECT_THAT(message("agent", decoder), HasSubstr("has no causal form"));
  HeadView without_values = text;
  without_values.v = {};
  EXPECT_THAT(message("long-heads", without_values), HasSubstr("needs the model"));
  EXPECT_EQ(find_mechanism("nothing"), nullptr);
}

// What the edits hide is what the mask hides of what the model shows.
TEST(Knockouts, hide_exactly_what_the_mask_hides) {
  for (const bool causal : {true, false})
    for (const KeyMask& mask : {stream_mask(12, 1, 3), group_mask(12, 4, true), block_mask({3, 4}, 2)}) {
      const KeyMask visible = causal ? KeyMask::causal(12) : KeyMask::everything(12, 12);
      KeyMask left = visible;
      for (const std::string& text : knockouts(mask, visible, "*.*")) {
        const auto edit = parse_edit(text);
        ASSERT_TRUE(edit.ok()) << text << ": " << edit.error().to_string();
        EXPECT_EQ(edit->verb, EditVerb::knockout);
        for (int64_t i = 0; i < 12; ++i)
          for (int64_t j = 0; j < 12; ++j)
            if (edit->query->contains(i) && edit->key->contains(j)) left.hide(i, j);
      }
      KeyMask wanted = mask;
      wanted &= visible;
      EXPECT_EQ(left, wanted);
    }
  EXPECT_THAT(knockouts(KeyMask::everything(4, 4), KeyMask::causal(4), "5.1"), testing::IsEmpty());
  EXPECT_THAT(knockouts(group_mask(4, 2, false), KeyMask::causal(4), "5.1"),
              ElementsAre("knockout 5.1 query=2:4 key=0:2"));
}

}  // namespace
}  // namespace saccade::mechanisms
