#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/methods/registry.h"
#include "tests/analysis/lab.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using synthetic::Pattern;
using testing::HasSubstr;

// The worked example of ACT: c = [.475, .5667, .1, .2].
const Pattern act{{1.0}, {0.6, 0.4}, {0.2, 0.7, 0.1}, {0.1, 0.6, 0.1, 0.2}};

Result<AnalysisResult> sinks(const std::shared_ptr<const Capture>& capture, nlohmann::json parameters) {
  MethodInput input;
  parameters["least_rows"] = parameters.value("least_rows", 1);
  input.parameters = std::move(parameters);
  input.capture = capture;
  input.kernels = &kernel_sets().front();
  return make_sinks()->compute(input, {});
}

TEST(Sinks, column_means_are_those_of_the_worked_example) {
  const auto result = sinks(synthetic::capture_of(synthetic::words(4), {act}), {{"threshold", 0.3}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const HostTensor& means = result->field("column_mean")->values;
  const std::vector<double> expected{0.475, 0.56667, 0.1, 0.2};
  for (int64_t j = 0; j < 4; ++j) EXPECT_NEAR(means.at({0, 0, j}), expected[static_cast<size_t>(j)], 1e-4);
  EXPECT_EQ(result->field("sinks")->values.at({0, 0}), 2.0F);
  EXPECT_EQ(result->field("late_sinks")->values.at({0, 0}), 1.0F);
  EXPECT_NEAR(result->field("late_share")->values.at({0, 0}), 1.7 / 4, 1e-5);
}

TEST(Sinks, the_suggested_edit_calibrates_every_sink_but_the_first_position) {
  const auto edit = [&](double threshold) {
    const auto result = sinks(synthetic::capture_of(synthetic::words(4), {act}), {{"threshold", threshold}});
    return std::get<std::string>(result->tables[3].rows.at(0)[2]);
  };
  EXPECT_EQ(edit(0.3), "redistribute 0.0 key=1 to=rest by=0.4");
  EXPECT_EQ(edit(0.15), "redistribute 0.0 key=1,3 to=rest by=0.4");
}

TEST(Sinks, late_columns_that_few_rows_see_are_left_out_when_asked) {
  const auto result =
      sinks(synthetic::capture_of(synthetic::words(4), {act}), {{"threshold", 0.15}, {"least_rows", 2}});
  EXPECT_EQ(std::get<std::string>(result->tables[3].rows.at(0)[2]), "redistribute 0.0 key=1 to=rest by=0.4");
}

TEST(Sinks, the_relative_rule_needs_more_tokens_than_alpha) {
  const auto result = sinks(synthetic::capture_of(synthetic::words(4), {act}), {{"rule", "alpha-over-n"}});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("more than 5 tokens, the run has 4"));
  EXPECT_FALSE(sinks(synthetic::capture_of(synthetic::words(4), {act}), {{"rule", "loud"}}).ok());
}

TEST(Sinks, massive_activations_are_found_where_they_are) {
  auto capture = synthetic::capture_of(synthetic::words(4), {act});
  auto layer = std::make_shared<LayerCapture>(*capture->layers[0]);
  layer->resid_pre = HostTensor({4, 6}, false);
  for (float& value : layer->resid_pre.mutable_values()) value = 0.05F;
  layer->resid_pre.mutable_values()[6 * 1 + 4] = -250.0F;  // position 1, dimension 4
  layer->resid_pre.mutable_values()[2] = 40.0F;            // large, but below 100
  capture->layers[0] = layer;
  const auto result = sinks(capture, nlohmann::json::object());
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->tables[2].rows.size(), 1U);
  EXPECT_EQ(std::get<int64_t>(result->tables[2].rows[0][1]), 1);
  EXPECT_EQ(std::get<int64_t>(result->tables[2].rows[0][3]), 4);
  EXPECT_THAT(result->findings.back(), HasSubstr("position 1"));
}

TEST(LogitAttribution, the_parts_sum_to_the_logit_and_the_sources_to_the_head) {
  const Lab lab = Lab::open("demo:induction");
  ASSERT_TRUE(lab.model);
  const auto looked_at = lab.run("The old sailor found a silver key. The old sailor found a silver");
  const auto found = find_method("logit-attribution");
  ASSERT_TRUE(found.ok());
  const auto result =
      run_method(**found, nlohmann::json::object(), looked_at, {lab.model, lab.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const NextToken top = top_next(looked_at->capture->last_logits, lab.model->tokenizer(), 1)[0];
  EXPECT_EQ(top.text, " key");
  EXPECT_NEAR(std::get<double>(result->tables[0].rows.back()[1]), top.logit, 2e-4);
  const auto direct = result->fields[0].values.values(), sources = result->fields[1].values.values();
  double sum = 0.0;
  for (const float source : sources) sum += source;
  const auto strongest = *std::max_element(direct.begin(), direct.end(),
                                           [](float a, float b) { return std::abs(a) < std::abs(b); });
  EXPECT_NEAR(sum, strongest, 1e-3) << "demo:induction has no value bias worth mentioning";
  EXPECT_THAT(result->findings[0], HasSubstr("␣key"));
}

TEST(LogitAttribution, a_token_that_is_none_is_refused) {
  const Lab lab = Lab::open("demo:induction");
  const auto result = lab.method("logit-attribution", {{"token", " cat dog"}});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("expected one"));
}

}  // namespace
}  // namespace saccade
