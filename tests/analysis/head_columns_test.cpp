#include "analysis/head_columns.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "analysis/methods/head_fields.h"

using namespace saccade;

namespace {

constexpr HeadId head(int32_t layer, int32_t index) { return {LayerIndex{layer}, HeadIndex{index}}; }

AnalysisResult two_by_two() {
  AnalysisResult result;
  Field effect = head_field("effect", "Effect", "nats", ValueKind::signed_difference, 2, 2, "");
  const std::vector<float> numbers{0.5f, -1.0f, 2.0f, 0.0f};
  std::copy(numbers.begin(), numbers.end(), effect.values.mutable_values().begin());
  result.fields.push_back(effect);
  result.tables.push_back(heads_table(result.fields));
  result.tables.push_back(
      {"nodes", {"node", "effect", "direct"}, {{"0.1", 0.25, -0.5}, {"mlp 1", 1.0, 1.0}}});
  return result;
}

HeadColumn column(std::vector<float> numbers) {
  HeadColumn made{"x", "x", "", ValueKind::magnitude, HostTensor({1, static_cast<int64_t>(numbers.size())})};
  std::copy(numbers.begin(), numbers.end(), made.values.mutable_values().begin());
  return made;
}

}  // namespace

TEST(HeadColumns, AreFieldsAndTheColumnsOfTablesWhoseRowsAreHeads) {
  const auto columns = head_columns(two_by_two(), 2, 2);
  ASSERT_EQ(columns.size(), 2U) << "the table of the fields repeats them";
  EXPECT_EQ(columns[0].name, "effect");
  EXPECT_EQ(columns[0].unit, "nats");
  EXPECT_EQ(columns[0].values.at({1, 0}), 2.0f);
  EXPECT_EQ(columns[1].name, "nodes.direct");
  EXPECT_EQ(columns[1].kind, ValueKind::signed_difference);
  EXPECT_EQ(columns[1].values.at({0, 1}), -0.5f);
  EXPECT_TRUE(std::isnan(columns[1].values.at({0, 0}))) << "no row names 0.0";
}

TEST(HeadColumns, LeaveOutOtherShapesAndTablesThatNameAHeadTwice) {
  AnalysisResult result = two_by_two();
  result.tables.push_back({"pairs", {"head", "share"}, {{"0.0", 1.0}, {"0.0", 2.0}}});
  result.tables.push_back({"beyond", {"head", "share"}, {{"7.0", 1.0}}});
  EXPECT_EQ(head_columns(result, 2, 2).size(), 2U);
  EXPECT_TRUE(head_columns(two_by_two(), 1, 1).empty());
}

TEST(HeadColumns, RowsNameHeadsInAnyCellButTokens) {
  const Table table{"t",
                    {"from", "to", "token", "heads", "value"},
                    {{"0.1", "1.1.q", "1.0", "0.1 1.2, L0H3", 0.5}, {"embed", "mlp 1", "2.2", "", 1.0}}};
  EXPECT_EQ(heads_of_row(table, 0), (std::vector<HeadId>{head(0, 1), head(1, 1), head(1, 2), head(0, 3)}));
  EXPECT_TRUE(heads_of_row(table, 1).empty());
  EXPECT_EQ(head_in("5.1.v"), head(5, 1));
  EXPECT_EQ(head_in("the 5.1"), std::nullopt);
}

TEST(HeadColumns, CorrelationIsPearsonsAndSpearmansOverHeadsThatHaveBoth) {
  // By hand: x = 1 2 3, y = 1 4 9 (the fourth has no y): r = 8 / sqrt(2 * 98/3) = 0.98974, ranks agree.
  const float none = std::numeric_limits<float>::quiet_NaN();
  const Correlation both = correlation_of(column({1, 2, 3, 9}), column({1, 4, 9, none}));
  EXPECT_EQ(both.heads, 3);
  EXPECT_NEAR(both.pearson, 8.0 / std::sqrt(2.0 * 98.0 / 3.0), 1e-12);
  EXPECT_DOUBLE_EQ(both.spearman, 1.0);
  // Ties share their mean rank: ranks 1 2.5 2.5 4 against 4 3 2 1 give -4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(correlation_of(column({0, 5, 5, 7}), column({4, 3, 2, 1})).spearman, -4.5 / std::sqrt(22.5),
              1e-12);
  EXPECT_TRUE(std::isnan(correlation_of(column({1, 1, 1}), column({1, 2, 3})).pearson));
  EXPECT_TRUE(std::isnan(correlation_of(column({1, 2}), column({1, 2})).pearson));
}
