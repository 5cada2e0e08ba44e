#include "analysis/methods/registry.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using synthetic::Pattern;

Result<AnalysisResult> head_table(std::shared_ptr<const Capture> capture,
                                  nlohmann::json parameters = nlohmann::json::object(),
                                  const JobContext& job = {}) {
  // On the heap: GCC 12 takes the input's empty strings for uninitialised ones on the stack.
  const auto input = std::make_unique<MethodInput>();
  input->parameters = std::move(parameters);
  input->capture = std::move(capture);
  input->kernels = &kernel_sets().front();
  return make_head_table()->compute(*input, job);
}

float score(const AnalysisResult& result, const char* name, int64_t head) {
  const Field* field = result.field(name);
  EXPECT_NE(field, nullptr) << name;
  return field->values.at({0, head});
}

// The worked example: tokens a b a b, induction target cells (2,1) and (3,2).
const Pattern worked{{1.0}, {0.7, 0.3}, {0.1, 0.6, 0.3}, {0.2, 0.2, 0.5, 0.1}};
const std::vector<std::string> abab{"a", "b", "a", "b"};

TEST(HeadTable, the_worked_example_of_the_pattern_score_gives_its_value) {
  const auto result = head_table(synthetic::capture_of(abab, {worked}));
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_NEAR(score(*result, "induction", 0), 0.55, 1e-6);
  EXPECT_NEAR(score(*result, "duplicate_token", 0), (0.1 + 0.2) / 2, 1e-6);
  EXPECT_NEAR(score(*result, "previous_token", 0), (0.7 + 0.6 + 0.5) / 3, 1e-6);
  EXPECT_NEAR(score(*result, "first_token", 0), (1.0 + 0.7 + 0.1 + 0.2) / 4, 1e-6);
  EXPECT_NEAR(score(*result, "self", 0), (1.0 + 0.3 + 0.3 + 0.1) / 4, 1e-6);
}

TEST(HeadTable, statistics_are_means_over_the_rows) {
  const auto result = head_table(synthetic::capture_of(abab, {worked}));
  ASSERT_TRUE(result.ok());
  double entropy = 0.0, distance = 0.0;
  for (size_t i = 0; i < worked.size(); ++i)
    for (size_t j = 0; j <= i; ++j) {
      entropy -= worked[i][j] * std::log(worked[i][j]) / 4.0;
      distance += worked[i][j] * static_cast<double>(i - j) / 4.0;
    }
  EXPECT_NEAR(score(*result, "entropy", 0), entropy, 1e-5);
  EXPECT_NEAR(score(*result, "mean_distance", 0), distance, 1e-5);
  EXPECT_NEAR(score(*result, "sink_mass", 0), (1.0 + 0.7 + 0.1 + 0.2) / 4, 1e-6);
  EXPECT_NEAR(score(*result, "max_weight", 0), (1.0 + 0.7 + 0.6 + 0.5) / 4, 1e-6);
  EXPECT_NEAR(score(*result, "local_mass", 0), 1.0, 1e-6) << "every key is nearer than 8 tokens";
}

TEST(HeadTable, excluding_the_first_key_and_the_diagonal_shares_out_the_rest) {
  const auto capture = synthetic::capture_of(abab, {worked});
  const auto bos = head_table(capture, {{"exclude_bos", true}});
  ASSERT_TRUE(bos.ok());
  EXPECT_NEAR(score(*bos, "induction", 0), (0.6 + 0.5) / (0.9 + 0.8), 1e-6);
  EXPECT_NEAR(score(*bos, "first_token", 0), 0.5, 1e-6) << "the first-token score is about that key";
  const auto both = head_table(capture, {{"exclude_bos", true}, {"exclude_self", true}});
  ASSERT_TRUE(both.ok());
  EXPECT_NEAR(score(*both, "induction", 0), (0.6 + 0.5) / (0.6 + 0.7), 1e-6);
  EXPECT_NEAR(score(*both, "previous_token", 0), (0.6 + 0.5) / (0.6 + 0.7), 1e-6)
      << "row 1 has no target left";
}

TEST(HeadTable, perfect_heads_score_one_and_are_named) {
  const Pattern induction{{1.0}, {1.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0, 0.0}};
  const Pattern sink{{1.0}, {1.0, 0.0}, {1.0, 0.0, 0.0}, {1.0, 0.0, 0.0, 0.0}};
  const auto result = head_table(synthetic::capture_of(abab, {sink, induction, worked}));
  ASSERT_TRUE(result.ok());
  EXPECT_NEAR(score(*result, "induction", 1), 1.0, 1e-6);
  EXPECT_NEAR(score(*result, "sink_mass", 0), 1.0, 1e-6);
  ASSERT_EQ(result->findings.size(), 3U);
  EXPECT_NE(result->findings[0].find("Head 0.1"), std::string::npos) << result->findings[0];
  EXPECT_NE(result->findings[0].find("1.00"), std::string::npos) << result->findings[0];
  EXPECT_NE(result->findings[2].find("Head 0.0"), std::string::npos) << result->findings[2];
}

TEST(HeadTable, a_prompt_without_repetition_has_no_induction_score_and_says_so) {
  const auto result = head_table(synthetic::random_capture(synthetic::words(6), 2, 2, 3));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(std::isnan(score(*result, "induction", 0)));
  EXPECT_TRUE(std::isnan(score(*result, "duplicate_token", 1)));
  EXPECT_FALSE(std::isnan(score(*result, "previous_token", 0)));
  EXPECT_NE(result->findings[0].find("No token of this prompt repeats"), std::string::npos);
}

TEST(HeadTable, when_nothing_stands_out_the_finding_says_that) {
  const auto result = head_table(synthetic::capture_of(abab, {worked}), {{"threshold", 0.9}});
  ASSERT_TRUE(result.ok());
  EXPECT_NE(result->findings[0].find("No head stands out for induction"), std::string::npos);
  EXPECT_NE(result->findings[0].find("0.55"), std::string::npos);
}

TEST(HeadTable, random_heads_agree_with_a_direct_sum_over_the_softmax) {
  const std::vector<std::string> texts{"x", "y", "z", "x", "y", "x", "z", "z"};
  const auto capture = synthetic::random_capture(texts, 2, 3, 11);
  const auto result = head_table(capture);
  ASSERT_TRUE(result.ok());
  const auto& layer = *capture->layers[1];
  const int64_t n = capture->n_token();
  for (int64_t h = 0; h < 3; ++h) {
    double sum = 0.0;
    int rows = 0;
    for (int64_t i = 0; i < n; ++i) {
      bool target = false;
      for (int64_t j = 1; j <= i; ++j) {
        if (texts[static_cast<size_t>(j - 1)] != texts[static_cast<size_t>(i)]) continue;
        double dot = 0.0;
        for (int64_t d = 0; d < 8; ++d)
          dot += static_cast<double>(layer.q.at({i, h, d})) * layer.k.at({j, h, d});
        sum += std::exp(dot / std::sqrt(8.0) - layer.lse.at({h, i}));
        target = true;
      }
      rows += target ? 1 : 0;
    }
    EXPECT_NEAR(result->field("induction")->values.at({1, h}), sum / rows, 1e-5);
  }
}

TEST(HeadTable, the_table_has_one_row_per_head_and_a_column_per_field) {
  const auto result = head_table(synthetic::random_capture(abab, 2, 3, 4));
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->tables.size(), 1U);
  const Table& table = result->tables[0];
  EXPECT_EQ(table.rows.size(), 6U);
  EXPECT_EQ(table.columns.size(), 3 + result->fields.size());
  EXPECT_EQ(std::get<std::string>(table.rows[5][0]), "1.2");
  EXPECT_EQ(result->parameters["exclude_bos"], false) << "the parameters used are recorded";
  for (const Field& field : result->fields) EXPECT_TRUE(field.has_axes({AxisKind::layer, AxisKind::head}));
}

TEST(HeadTable, a_row_with_every_edge_knocked_out_counts_as_no_attention) {
  auto capture = synthetic::capture_of(abab, {worked});
  auto layer = std::make_shared<LayerCapture>(*capture->layers[0]);
  layer->knockouts = {{EdgeRect{3, 4, 0, 4}}};
  synthetic::fill_statistics(*layer, *capture);
  capture->layers[0] = layer;
  const auto result = head_table(capture);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_NEAR(score(*result, "induction", 0), 0.6, 1e-6) << "row 2 is the only row with mass";
}

TEST(HeadTable, it_stops_when_cancelled_and_reports_progress_when_not) {
  const auto capture = synthetic::random_capture(abab, 2, 2, 4);
  JobContext cancelled;
  cancelled.cancel.cancel();
  const auto stopped = head_table(capture, nlohmann::json::object(), cancelled);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  double last = -1.0;
  bool grew = true;
  JobContext job;
  job.on_progress = [&](double fraction, std::string_view) {
    grew = grew && fraction >= last;
    last = fraction;
  };
  ASSERT_TRUE(head_table(capture, nlohmann::json::object(), job).ok());
  EXPECT_TRUE(grew);
  EXPECT_EQ(last, 1.0);
}

TEST(HeadTable, a_run_without_statistics_is_refused_by_layer_and_name) {
  auto capture = synthetic::random_capture(abab, 1, 2, 4);
  auto layer = std::make_shared<LayerCapture>(*capture->layers[0]);
  layer->statistics.sink_mass = HostTensor();
  capture->layers[0] = layer;
  const auto result = head_table(capture);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("layer 0"), std::string::npos);
  EXPECT_NE(result.error().message.find("sink_mass"), std::string::npos);
  EXPECT_FALSE(head_table(nullptr).ok());
}

}  // namespace
}  // namespace saccade
