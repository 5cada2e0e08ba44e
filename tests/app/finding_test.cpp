#include "app/shell/finding.h"

#include <gtest/gtest.h>

namespace saccade {
namespace {

AnalysisResult scores_of(std::initializer_list<std::pair<const char*, std::vector<float>>> fields) {
  AnalysisResult result;
  for (const auto& [name, values] : fields) {
    Field field;
    field.name = name;
    field.axes = {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}};
    field.values = HostTensor({1, static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), field.values.mutable_values().begin());
    result.fields.push_back(field);
  }
  return result;
}

constexpr HeadId head(int h) { return {LayerIndex{0}, HeadIndex{h}}; }

TEST(Finding, names_the_strongest_habit_of_a_head_with_its_score) {
  const AnalysisResult scores = scores_of(
      {{"induction", {0.9f, 0.1f, 0.1f}}, {"previous_token", {0.2f, 0.99f, 0.1f}}, {"entropy", {1, 2, 3}}});
  EXPECT_EQ(describe_head(scores, head(0)),
            "Head 0.0 looks back to the token after the previous occurrence: induction score 0.90.");
  EXPECT_TRUE(describe_head(scores, head(1)).contains("just before"));
  EXPECT_TRUE(describe_head(scores, head(2)).contains("none of the named patterns"));
  EXPECT_TRUE(describe_head(scores, head(2)).contains("3.00"));
}

TEST(Finding, the_strongest_head_is_found_and_missing_fields_are_no_guess) {
  const AnalysisResult scores = scores_of({{"induction", {0.2f, NAN, 0.7f}}});
  EXPECT_EQ(*strongest_head(scores, "induction"), head(2));
  EXPECT_FALSE(strongest_head(scores, "copying").has_value());
}

}  // namespace
}  // namespace saccade
