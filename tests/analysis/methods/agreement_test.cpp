// agreement: its parts by hand, its vectors against plain runs of the demo.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/methods/embedding_path.h"
#include "analysis/methods/token_attribution.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

HostTensor matrix(std::vector<int64_t> shape, const std::vector<float>& values) {
  HostTensor made(std::move(shape));
  std::copy(values.begin(), values.end(), made.mutable_values().begin());
  return made;
}

TEST(TokenAttribution, products_lengths_and_means_of_rows) {
  const HostTensor x = matrix({2, 2}, {1, 2, 3, 4}), g = matrix({2, 2}, {0.5F, 0, -1, 3});
  EXPECT_THAT(row_products(x, g), ElementsAre(0.5, 9.0));
  EXPECT_THAT(row_lengths(matrix({1, 2}, {3, 4})), ElementsAre(5.0));
  EXPECT_THAT(mean_rows(x).values(), ElementsAre(2, 3, 2, 3));
  EXPECT_THAT(embedding_between(x, g, 0.5).values(), ElementsAre(0.75F, 1.0F, 1.0F, 3.5F));
}

// A quadratic: the gradient 2 x at the midpoint of 0..(1, 2) gives exactly x^2.
TEST(TokenAttribution, integrated_gradients_of_a_square_are_exact_at_the_midpoint) {
  GradientCapture middle;
  middle.gradients[{HookSite::embed, -1}] = matrix({2, 1}, {1, 2});
  const std::vector<const GradientCapture*> path{&middle};
  EXPECT_THAT(integrated_gradients(matrix({2, 1}, {0, 0}), matrix({2, 1}, {1, 2}), path), ElementsAre(1, 4));
}

class OfDemo : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto result = demo().method("agreement", {{"steps", 20}, {"head", "1.2"}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    result_ = new AnalysisResult(*result);
    run_ = demo().run("The cat sat.");
  }
  static const Table& table(const std::string& name) {
    for (const Table& table : result_->tables)
      if (table.name == name) return table;
    return result_->tables.at(0);
  }
  static double value(const std::string& measure, size_t row) {
    const Table& tokens = table("attributions");
    const auto column = std::find(tokens.columns.begin(), tokens.columns.end(), measure);
    EXPECT_NE(column, tokens.columns.end()) << measure;
    return std::get<double>(tokens.rows.at(row).at(static_cast<size_t>(column - tokens.columns.begin())));
  }
  static int32_t token() {
    return top_next(run_->capture->last_logits, demo().model->tokenizer(), 1).at(0).id;
  }
  static double logit(const RunRequest& request) {
    return demo().run(request)->capture->last_logits.values()[static_cast<size_t>(token())];
  }
  static AnalysisResult* result_;
  static std::shared_ptr<const saccade::Run> run_;
};
AnalysisResult* OfDemo::result_ = nullptr;
std::shared_ptr<const saccade::Run> OfDemo::run_ = nullptr;

TEST_F(OfDemo, the_matrices_are_symmetric_with_ones_on_the_diagonal) {
  for (const char* name : {"kendall", "spearman", "pearson", "top_overlap"}) {
    const HostTensor& values = result_->field(name)->values;
    for (int64_t a = 0; a < values.shape()[0]; ++a) {
      EXPECT_NEAR(values.at({a, a}), 1.0, 1e-6) << name;
      for (int64_t b = 0; b < a; ++b) EXPECT_NEAR(values.at({a, b}), values.at({b, a}), 1e-6) << name;
    }
  }
  EXPECT_EQ(result_->field("kendall")->axes[0].labels.size(), 11U);
}

TEST_F(OfDemo, leaving_out_and_cutting_are_plain_edited_runs) {
  const int64_t n = run_->capture->n_token();
  ASSERT_EQ(table("attributions").rows.size(), static_cast<size_t>(n)) << "special tokens too";
  const double base = logit(run_->request);
  RunRequest recorded = run_->request;
  recorded.capture.sites = {{HookSite::embed, -1}};
  const HostTensor mean = mean_rows(demo().run(recorded)->capture->sites.at({HookSite::embed, -1}));
  for (int64_t j = 0; j < n; ++j) {
    RunRequest left_out = run_->request;
    RunRequest cut = run_->request;
    set_embedding(left_out, demo().model->spec(), mean);
    left_out.edits.back().query = PositionRange{j, j + 1};
    EXPECT_NEAR(value("leave one out", static_cast<size_t>(j)), base - logit(left_out), 1e-4);
    cut.edits = {parse_edit("knockout *.* key=" + std::to_string(j)).value()};
    EXPECT_NEAR(value("column cut", static_cast<size_t>(j)), base - logit(cut), 1e-4);
  }
}

TEST_F(OfDemo, integrated_gradients_sum_to_the_change_from_the_baseline) {
  RunRequest recorded = run_->request;
  recorded.capture.sites = {{HookSite::embed, -1}};
  RunRequest baseline = run_->request;
  set_embedding(baseline, demo().model->spec(),
                mean_rows(demo().run(recorded)->capture->sites.at({HookSite::embed, -1})));
  double sum = 0.0;
  for (size_t j = 0; j < table("attributions").rows.size(); ++j) sum += value("integrated gradients", j);
  const double change = logit(run_->request) - logit(baseline);
  EXPECT_NEAR(sum, change, 0.02 * std::abs(change) + 0.02) << "completeness, up to the midpoint rule";
}

TEST_F(OfDemo, attention_rows_sum_to_one_and_the_caveat_is_said) {
  double row = 0.0, rollout = 0.0;
  for (size_t j = 0; j < table("attributions").rows.size(); ++j) {
    row += value("attention, 1.2", j);
    rollout += value("rollout", j);
  }
  EXPECT_NEAR(row, 1.0, 1e-5);
  EXPECT_NEAR(rollout, 1.0, 1e-5);
  for (size_t j = 0; j < table("attributions").rows.size(); ++j)
    EXPECT_GE(value("flow", j), value("rollout", j) - 1e-6)
        << "what rollout sends along all paths is one flow";
  EXPECT_THAT(result_->findings, testing::Contains(HasSubstr("not as a test of validity")));
  EXPECT_THAT(result_->findings, testing::Contains(HasSubstr("95 % of random orders")));
}

TEST(Agreement, what_cannot_be_compared_is_refused) {
  const auto refusal = [&](const nlohmann::json& parameters) {
    const auto result = demo().method("agreement", parameters);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(refusal({{"layer", 9}}), HasSubstr("has layers 0-2"));
  EXPECT_THAT(refusal({{"head", "7.7"}}), HasSubstr("3 layers of 4 heads"));
  EXPECT_THAT(refusal({{"token", " several words here"}}), HasSubstr("expected one"));
  const auto method = find_method("agreement");
  const auto tiny = run_method(**method, {}, demo().run("The"), {demo().model, demo().runner.get(), {}}, {});
  ASSERT_FALSE(tiny.ok());
  EXPECT_THAT(tiny.error().to_string(), HasSubstr("at least 4"));
}

}  // namespace
}  // namespace saccade
