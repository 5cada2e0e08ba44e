// The worked examples of the method notes ("Check"): each definition on numbers small enough to do by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/methods/act.h"
#include "analysis/methods/head_scores/flex_prefill.h"
#include "analysis/methods/head_scores/map_pass.h"
#include "analysis/methods/head_scores/probes.h"
#include "analysis/methods/head_scores/rhythm.h"
#include "analysis/methods/head_scores/row_math.h"
#include "analysis/methods/head_scores/task_kv.h"
#include "analysis/methods/head_scores/weight_scores.h"
#include "analysis/methods/registry.h"
#include "core/run/edit_plan.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using namespace head_scores;  // NOLINT(google-build-using-namespace): what is tested
using synthetic::Pattern;
using testing::DoubleNear;
using testing::Pointwise;

// Map and numbers of one head with this pattern.
struct OneHead {
  std::shared_ptr<Capture> capture;
  explicit OneHead(const Pattern& pattern)
      : capture(synthetic::capture_of(synthetic::words(static_cast<int>(pattern.size())), {pattern})) {}
  [[nodiscard]] AttentionMap map() const {
    return AttentionMap::of(capture, {}, kernel_sets().front()).value();
  }
  [[nodiscard]] PassResult pass(const PassOptions& options, const Settings& settings) const {
    return pass_over(capture, {}, kernel_sets().front(), options, settings, {}).value();
  }
};

// 2.1, 2.2: induction is the share of weight on keys whose predecessor is the query's token.
TEST(WorkedExamples, pattern_score_2_1) {
  const auto capture = synthetic::capture_of(
      {"a", "b", "a", "b"}, {Pattern{{1.0}, {0.7, 0.3}, {0.1, 0.6, 0.3}, {0.2, 0.2, 0.5, 0.1}}});
  const auto input = std::make_unique<MethodInput>();
  input->capture = capture;
  input->kernels = &kernel_sets().front();
  const auto result = make_head_table()->compute(*input, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_NEAR(result->field("induction")->values.at({0, 0}), 0.55, 1e-6);
}

TEST(WorkedExamples, prefix_matching_2_2_is_the_diagonal_at_minus_length_plus_one) {
  // BOS, then two tokens twice: rows 3 and 4 look at keys 2 and 3.
  const OneHead head({{1.0}, {0.5, 0.5}, {0.2, 0.2, 0.6}, {0.1, 0.1, 0.7, 0.1}, {0.1, 0.1, 0.1, 0.3, 0.4}});
  EXPECT_NEAR(prefix_matching(head.map(), 1, 2).value(), (0.7 + 0.3) / 2, 1e-6);
}

TEST(WorkedExamples, copying_2_2_is_the_balance_of_the_eigenvalues) {
  EXPECT_NEAR(eigenvalue_balance(std::vector<double>{2.0, 0.0, 0.0, 1.0}, 2).value(), 1.0, 1e-12);
  EXPECT_NEAR(eigenvalue_balance(std::vector<double>{0.0, 1.0, -1.0, 0.0}, 2).value(), 0.0, 1e-12)
      << "a rotation: +-i";
  EXPECT_NEAR(eigenvalue_balance(std::vector<double>{1.0, 5.0, 0.0, -3.0}, 2).value(), -0.5, 1e-12);
}

TEST(WorkedExamples, heterogeneous_heads_2_4) {
  EXPECT_EQ(heterogeneous_heads(0, 32, 32, 0.25, 4), 8);
  EXPECT_EQ(heterogeneous_heads(31, 32, 32, 0.25, 4), 4);
  const std::vector<std::vector<double>> vectors{{0.0, 0.0}, {0.0, 2.0}, {3.0, 1.0}};  // centre (1, 1)
  EXPECT_THAT(distances_to_centre(vectors),
              Pointwise(DoubleNear(1e-12), {std::sqrt(2.0), std::sqrt(2.0), 2.0}));
}

TEST(WorkedExamples, waad_2_5) {
  const std::vector<float> row{0.1F, 0.2F, 0.3F, 0.4F};
  EXPECT_NEAR(windowed_distance(row, 3, 2), 0.9, 1e-7);
  const OneHead head({{1.0}, {0.5, 0.5}, {0.2, 0.2, 0.6}, {0.1, 0.2, 0.3, 0.4}});
  Settings settings;
  settings.window = 2;
  EXPECT_NEAR(head.pass({.rhythm = true}, settings).waad[3], 0.9, 1e-6);
}

TEST(WorkedExamples, fai_2_5) {
  const OneHead head({{1.0}, {0.6, 0.4}, {0.3, 0.3, 0.4}, {0.1, 0.2, 0.3, 0.4}});
  Settings settings;
  settings.influence_from = 1;
  settings.influence_to = 2;
  const std::vector<double> influence = head.pass({.rhythm = true}, settings).influence;
  EXPECT_NEAR(influence[0], 0.45, 1e-6);
  EXPECT_TRUE(std::isnan(influence[3])) << "no row sees the last token from one token on";
}

TEST(WorkedExamples, flex_prefill_2_6) {
  const auto distance = [](std::vector<double> p, std::vector<double> q) {
    return jensen_shannon_distance(p, q);
  };
  const double far = distance({0.7, 0.2, 0.1}, {0.2, 0.3, 0.5}),
               near = distance({0.5, 0.3, 0.2}, {0.4, 0.35, 0.25});
  EXPECT_NEAR(far, 0.389, 5e-4);
  EXPECT_NEAR(near, 0.072, 5e-4);
  EXPECT_STREQ(flex_label(far, 0.1), "vertical-slash");
  EXPECT_STREQ(flex_label(near, 0.1), "query-aware");
  EXPECT_EQ(coverage_count({0.1, 0.5, 0.15, 0.25}, 0.9), 4) << "0.5 + 0.25 + 0.15 reach 0.9, and one more";
  EXPECT_EQ(coverage_count({0.6, 0.3, 0.1}, 0.7), 2);
}

TEST(WorkedExamples, concentration_2_8) {
  std::vector<float> row{0.7F, 0.1F, 0.1F, 0.1F};
  EXPECT_NEAR(entropy_of(row), 0.940, 5e-4);
  EXPECT_NEAR(entropy_of(row) / std::log(4.0), 0.678, 5e-4);
  EXPECT_NEAR(std::exp(entropy_of(row)), 2.56, 5e-3);
  std::vector<uint32_t> scratch;
  sort_weights(row, scratch);
  EXPECT_NEAR(top_mass(row, 2), 0.8, 1e-6);
  EXPECT_EQ(keys_reaching(row, 0.85), 3);
  EXPECT_NEAR(gini(row), 0.45, 1e-6) << "2 (0.1 + 0.2 + 0.3 + 2.8) / 4 - 5 / 4";
}

TEST(WorkedExamples, monotonicity_2_8) {
  const std::vector<float> scores{3.0F, 2.0F, 1.0F}, softmax{0.66F, 0.24F, 0.1F}, swapped{0.24F, 0.66F, 0.1F};
  EXPECT_NEAR(monotonicity(scores, softmax).spearman, 1.0, 1e-12);
  EXPECT_EQ(monotonicity(scores, softmax).discordant, 0.0);
  EXPECT_NEAR(monotonicity(scores, swapped).spearman, 0.5, 1e-12);
  EXPECT_NEAR(monotonicity(scores, swapped).discordant, 1.0 / 3.0, 1e-12);
  EXPECT_NEAR(head_scores::divergence(softmax, swapped), 0.42 * std::log(0.66 / 0.24), 1e-6);
}

TEST(WorkedExamples, effective_rank_2_8) {
  EXPECT_NEAR(effective_rank(std::vector<double>{4.0, 4.0, 4.0}), 3.0, 1e-12);
  EXPECT_NEAR(effective_rank(std::vector<double>{9.0, 0.0, 0.0}), 1.0, 1e-12);
}

TEST(WorkedExamples, circuits_2_9) {
  const std::vector<double> twice{2.0, 0.0, 0.0, 2.0}, one{1.0, 0.0, 0.0, 1.0}, turn{0.0, 1.0, -1.0, 0.0};
  const Bilinear kq = bilinear(twice, one, 2, 2);
  EXPECT_NEAR(kq.alpha, 2.0, 1e-12);
  EXPECT_NEAR(kq.residual, 0.0, 1e-12);
  EXPECT_NEAR(kq.symmetric, 1.0, 1e-12);
  const Bilinear skew = bilinear(turn, one, 2, 2);
  EXPECT_NEAR(skew.alpha, 0.0, 1e-12);
  EXPECT_NEAR(skew.symmetric, 0.0, 1e-12);
  EXPECT_NEAR(skew.residual, 1.0, 1e-12);
}

TEST(WorkedExamples, heads_that_cancel_have_zero_sum_2_9) {
  const auto matrix = [](std::vector<float> cells) {
    HostTensor made({2, 2});
    std::copy(cells.begin(), cells.end(), made.mutable_values().begin());
    return made;
  };
  // OV_1 = [[0, 0], [0, 1]], OV_2 = -OV_1, then OV_2 = OV_1.
  const HostTensor value = matrix({0, 0, 0, 1}), plus = matrix({1, 0, 0, 1}), minus = matrix({-1, 0, 0, -1});
  const std::vector<double> norms{1.0, 1.0};
  EXPECT_NEAR(zero_sum(std::vector{value, value}, std::vector{plus, minus}, norms).value(), 0.0, 1e-7);
  EXPECT_NEAR(zero_sum(std::vector{value, value}, std::vector{plus, plus}, norms).value(), 1.0, 1e-7);
  EXPECT_TRUE(std::isnan(zero_sum(std::vector{value}, std::vector{plus}, std::vector<double>{0.0}).value()));
}

// 2.11: n max_j sum_i p_ij^2.
TEST(WorkedExamples, hardness_2_11) {
  const OneHead head({{1.0}, {0.5, 0.5}, {0.25, 0.25, 0.5}});
  const PassResult result = head.pass({.hardness = true}, {});
  EXPECT_NEAR(result.column_square, 3.0 * (1.0 + 0.25 + 0.0625), 1e-6);
  // r without the largest: rows 1 and 2 leave 0.5 and 0.5 of what sums to 1.
  EXPECT_NEAR(result.ln_kappa, 0.0, 1e-6);
}

TEST(WorkedExamples, razor_core_5b) {
  const OneHead head({{1.0}, {0.5, 0.5}, {0.1, 0.7, 0.2}, {0.0, 0.2, 0.6, 0.2}});
  const auto scores = echo_scores(head.map(), 0, 2);
  ASSERT_TRUE(scores.ok());
  EXPECT_NEAR(scores->echo, 0.15, 1e-6);
  EXPECT_NEAR(scores->induction, 0.65, 1e-6);
  std::vector<double> echo(256, 0.0), induction(256, 0.0);
  for (size_t h = 0; h < 256; ++h) echo[h] = induction[255 - h] = static_cast<double>(h);
  const auto chosen = razor_choice(echo, induction);
  EXPECT_EQ(std::count(chosen.begin(), chosen.end(), "echo"), 3);
  EXPECT_EQ(std::count(chosen.begin(), chosen.end(), "induction"), 36);
}

// ACT: c = [.475, .5667, .1, .2]; the edit's map is what the kernels make of it.
const Pattern act_rows{{1.0}, {0.6, 0.4}, {0.2, 0.7, 0.1}, {0.1, 0.6, 0.1, 0.2}};

std::vector<std::vector<float>> calibrated(double threshold) {
  const OneHead head(act_rows);
  auto layer = std::make_shared<LayerCapture>(*head.capture->layers[0]);
  act::Settings settings;
  settings.threshold = threshold;
  const auto means = act::column_means(head.capture->spec, 0, layer->statistics.received.slice(0));
  const auto sinks = act::sinks_of(means, layer->statistics.received.slice(0), settings);
  const std::vector<Edit> edits{parse_edit(act::edit_text({}, sinks.keys, settings.beta)).value()};
  layer->plans = plan_of(edits, 0, head.capture->spec, {}).value().heads;
  synthetic::fill_statistics(*layer, *head.capture);
  head.capture->layers[0] = layer;
  const AttentionMap map = head.map();
  std::vector<std::vector<float>> rows;
  for (int64_t i = 0; i < 4; ++i) {
    rows.emplace_back(static_cast<size_t>(i + 1));
    EXPECT_TRUE(map.rows(i, i + 1, i + 1, rows.back()).ok());
  }
  return rows;
}

TEST(WorkedExamples, act_core_2_column_means) {
  const OneHead head(act_rows);
  const auto& received = head.capture->layers[0]->statistics.received;
  const auto means = act::column_means(head.capture->spec, 0, received.slice(0));
  EXPECT_THAT(means, Pointwise(DoubleNear(1e-4), {0.475, 0.5667, 0.1, 0.2}));
}

TEST(WorkedExamples, act_core_2_with_theta_0_3) {
  using testing::FloatNear;
  const auto rows = calibrated(0.3);
  EXPECT_THAT(rows[0], Pointwise(FloatNear(1e-5F), {1.0F}));
  EXPECT_THAT(rows[1], Pointwise(FloatNear(1e-5F), {0.84F, 0.16F}));
  EXPECT_THAT(rows[2], Pointwise(FloatNear(1e-5F), {0.48F, 0.28F, 0.24F}));
  EXPECT_THAT(rows[3], Pointwise(FloatNear(1e-5F), {0.19F, 0.24F, 0.19F, 0.38F}));
}

TEST(WorkedExamples, act_core_2_with_theta_0_15) {
  EXPECT_THAT(calibrated(0.15)[3], Pointwise(testing::FloatNear(1e-5F), {0.34F, 0.24F, 0.34F, 0.08F}));
}

// 5c: blocks of the largest probability, raw and with block rows that sum to 1.
TEST(WorkedExamples, block_maxima_core_5c) {
  const OneHead head(act_rows);
  const auto tile = head.map().tile(0, 4, 0, 4, 2);
  ASSERT_TRUE(tile.ok());
  EXPECT_THAT(tile->block_max.values(), Pointwise(testing::FloatNear(1e-6F), {1.0F, 0.0F, 0.7F, 0.2F}));
  const double sum = double{tile->block_max.at({1, 0})} + tile->block_max.at({1, 1});
  EXPECT_NEAR(tile->block_max.at({1, 0}) / sum, 0.7778, 5e-5);
  EXPECT_NEAR(tile->block_max.at({1, 1}) / sum, 0.2222, 5e-5);
  const auto by_row = [&](int64_t row) {  // 1-D: the largest of each block of keys in one row
    const auto cells = head.map().tile(row, row + 1, 0, 4, 1);
    const double first = std::max(cells->block_max.at({0, 0}), cells->block_max.at({0, 1})),
                 second = std::max(cells->block_max.at({0, 2}), cells->block_max.at({0, 3}));
    return std::vector<double>{first / (first + second), second / (first + second)};
  };
  EXPECT_THAT(by_row(2), Pointwise(DoubleNear(1e-5), {0.875, 0.125}));
  EXPECT_THAT(by_row(3), Pointwise(DoubleNear(1e-5), {0.75, 0.25}));
}

}  // namespace
}  // namespace saccade
