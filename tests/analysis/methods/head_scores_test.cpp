// The families of head-table against a slow reference that holds the whole map in float64.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "analysis/methods/head_scores/flex_prefill.h"
#include "analysis/methods/head_scores/map_pass.h"
#include "analysis/methods/head_scores/rhythm.h"
#include "analysis/methods/head_scores/row_math.h"
#include "analysis/methods/registry.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using Matrix = std::vector<std::vector<double>>;

// p of one head from q and k alone.
Matrix reference_map(const Capture& capture, int64_t layer, int64_t head) {
  const LayerCapture& kept = *capture.layers[static_cast<size_t>(layer)];
  const int64_t n = capture.n_token(), d = capture.spec.d_head;
  Matrix map(static_cast<size_t>(n), std::vector<double>(static_cast<size_t>(n), 0.0));
  for (int64_t i = 0; i < n; ++i) {
    auto& row = map[static_cast<size_t>(i)];
    double sum = 0.0;
    for (int64_t j = 0; j <= i; ++j) {
      double dot = 0.0;
      for (int64_t e = 0; e < d; ++e) dot += double{kept.q.at({i, head, e})} * kept.k.at({j, head, e});
      sum += row[static_cast<size_t>(j)] = std::exp(dot * capture.spec.attention_scale);
    }
    for (double& p : row) p /= sum;
  }
  return map;
}

AnalysisResult table_of(const std::shared_ptr<const Capture>& capture, nlohmann::json parameters,
                        int threads = 2) {
  const auto input = std::make_unique<MethodInput>();
  input->parameters = complete_parameters(make_head_table()->info(), parameters).value();
  input->capture = capture;
  input->kernels = &kernel_sets().front();
  input->threads = threads;
  auto result = make_head_table()->compute(*input, {});
  EXPECT_TRUE(result.ok()) << result.error().to_string();
  return result.ok() ? std::move(*result) : AnalysisResult{};
}

float value_of(const AnalysisResult& result, const char* name, int64_t layer, int64_t head) {
  const Field* field = result.field(name);
  EXPECT_NE(field, nullptr) << name;
  return field == nullptr ? 0.0F : field->values.at({layer, head});
}

// A row without its first key, shared out, descending.
std::vector<double> shared_out(const std::vector<double>& row, size_t i, bool without_first) {
  std::vector<double> kept(row.begin() + (without_first ? 1 : 0),
                           row.begin() + static_cast<ptrdiff_t>(i + 1));
  const double sum = std::accumulate(kept.begin(), kept.end(), 0.0);
  for (double& p : kept) p /= sum;
  std::sort(kept.begin(), kept.end(), std::greater<>());
  return kept;
}

void check_concentration(bool without_first) {
  const auto capture = synthetic::random_capture(synthetic::words(90), 2, 3, 5, 1.2F);
  const AnalysisResult result =
      table_of(capture, {{"columns", "concentration"}, {"exclude_bos", without_first}});
  for (int64_t layer = 0; layer < 2; ++layer)
    for (int64_t head = 0; head < 3; ++head) {
      const Matrix map = reference_map(*capture, layer, head);
      double normalised = 0.0, effective = 0.0, top = 0.0, keys = 0.0, gini = 0.0, spikiness = 0.0;
      int64_t rows = 0, wide_rows = 0;
      for (size_t i = without_first ? 1 : 0; i < map.size(); ++i) {
        const std::vector<double> row = shared_out(map[i], i, without_first);
        const auto m = static_cast<double>(row.size());
        double entropy = 0.0, reached = 0.0, pairs = 0.0;
        for (const double p : row) entropy -= p > 0.0 ? p * std::log(p) : 0.0;
        int64_t k = 0;
        while (reached < 0.9) reached += row[static_cast<size_t>(k++)];
        for (const double x : row)  // Gini as the mean absolute difference over twice the mean
          for (const double y : row) pairs += std::abs(x - y);
        effective += std::exp(entropy);
        if (row.size() > 1) {
          normalised += entropy / std::log(m);
          ++wide_rows;
        }
        for (size_t j = 0; j < std::min<size_t>(5, row.size()); ++j) top += row[j];
        keys += static_cast<double>(k);
        gini += pairs / (2.0 * m);
        spikiness += row[0] * m;
        ++rows;
      }
      const auto n = static_cast<double>(rows);
      // float32 weights and entropies, each to about 1e-6; counts of keys are whole numbers.
      EXPECT_NEAR(value_of(result, "entropy_normalised", layer, head), normalised / wide_rows, 1e-5);
      EXPECT_NEAR(value_of(result, "effective_keys", layer, head) / (effective / n), 1.0, 1e-5);
      EXPECT_NEAR(value_of(result, "top_mass", layer, head), top / n, 1e-5);
      EXPECT_NEAR(value_of(result, "keys_90", layer, head), keys / n, 1e-5);
      EXPECT_NEAR(value_of(result, "gini", layer, head), gini / n, 1e-5);
      EXPECT_NEAR(value_of(result, "spikiness", layer, head) / (spikiness / n), 1.0, 1e-5);
    }
}

TEST(HeadScores, concentration_agrees_with_a_reference_that_holds_the_map) { check_concentration(false); }
TEST(HeadScores, concentration_without_the_first_key_shares_out_the_rest) { check_concentration(true); }

TEST(HeadScores, hardness_agrees_with_a_reference_that_holds_the_map) {
  const auto capture = synthetic::random_capture(synthetic::words(70), 1, 2, 9);
  const AnalysisResult result = table_of(capture, {{"columns", "hardness"}});
  for (int64_t head = 0; head < 2; ++head) {
    const Matrix map = reference_map(*capture, 0, head);
    double square = 0.0, received = 0.0, most = -1e300, least = 1e300;
    for (size_t j = 0; j < map.size(); ++j) {
      double squares = 0.0, sum = 0.0;
      for (const auto& row : map) {
        squares += row[j] * row[j];
        sum += row[j];
      }
      square = std::max(square, squares * static_cast<double>(map.size()));
      received = std::max(received, sum / static_cast<double>(map.size()));
    }
    for (size_t i = 1; i < map.size(); ++i) {
      std::vector<double> row(map[i].begin(), map[i].begin() + static_cast<ptrdiff_t>(i + 1));
      std::sort(row.begin(), row.end());
      row.resize(row.size() - (row.size() + 15) / 16);
      const double ln_r = capture->layers[0]->lse.at({head, static_cast<int64_t>(i)}) +
                          std::log(std::accumulate(row.begin(), row.end(), 0.0));
      most = std::max(most, ln_r);
      least = std::min(least, ln_r);
    }
    EXPECT_NEAR(value_of(result, "column_square", 0, head) / square, 1.0, 1e-5);
    EXPECT_NEAR(value_of(result, "strongest_key", 0, head), received, 1e-5);
    EXPECT_NEAR(value_of(result, "ln_kappa", 0, head), most - least, 1e-5 * std::max(1.0, most - least));
  }
}

TEST(HeadScores, flex_prefill_agrees_with_a_reference_that_holds_the_map) {
  const auto capture = synthetic::random_capture(synthetic::words(70), 1, 3, 21, 1.5F);
  const AnalysisResult result = table_of(capture, {{"columns", "flex-prefill"}});
  EXPECT_EQ(head_scores::flex_block_for(128, 70), 8);
  constexpr int64_t block = 8;
  const int64_t n = capture->n_token(), d = capture->spec.d_head;
  const LayerCapture& layer = *capture->layers[0];
  for (int64_t head = 0; head < 3; ++head) {
    const Matrix map = reference_map(*capture, 0, head);
    std::vector<double> vertical(static_cast<size_t>(n)), slash(vertical), blocks(9), pooled(9);
    for (int64_t i = n - block; i < n; ++i)
      for (int64_t j = 0; j <= i; ++j) {
        const double p = map[static_cast<size_t>(i)][static_cast<size_t>(j)] / block;
        vertical[static_cast<size_t>(j)] += p;
        slash[static_cast<size_t>(i - j)] += p;
        blocks[static_cast<size_t>(j / block)] += p;
      }
    double sum = 0.0;
    for (int64_t b = 0; b < 9; ++b) {
      double dot = 0.0;
      const int64_t end = std::min(n, (b + 1) * block);
      for (int64_t e = 0; e < d; ++e) {
        double query = 0.0, key = 0.0;
        for (int64_t i = n - block; i < n; ++i) query += layer.q.at({i, head, e}) / double{block};
        for (int64_t j = b * block; j < end; ++j)
          key += layer.k.at({j, head, e}) / static_cast<double>(end - b * block);
        dot += query * key;
      }
      sum += pooled[static_cast<size_t>(b)] = std::exp(dot * capture->spec.attention_scale);
    }
    for (double& share : pooled) share /= sum;
    const auto n_of = static_cast<double>(n);
    EXPECT_NEAR(value_of(result, "flex_distance", 0, head),
                head_scores::jensen_shannon_distance(pooled, blocks), 1e-5);
    EXPECT_NEAR(value_of(result, "column_budget", 0, head),
                static_cast<double>(head_scores::coverage_count(vertical, 0.9)) / n_of, 1e-6);
    EXPECT_NEAR(value_of(result, "diagonal_budget", 0, head),
                static_cast<double>(head_scores::coverage_count(slash, 0.9)) / n_of, 1e-6);
  }
  const Table& table = result.tables[0];
  EXPECT_EQ(table.columns.back(), "pattern");
  for (const auto& row : table.rows)
    EXPECT_THAT(std::get<std::string>(row.back()), testing::AnyOf("query-aware", "vertical-slash"));
}

TEST(HeadScores, rhythm_agrees_with_the_mean_maps_of_its_groups) {
  const auto capture = synthetic::random_capture(synthetic::words(60), 2, 5, 3);
  const AnalysisResult result = table_of(
      capture, {{"columns", "rhythm"}, {"window", 4}, {"fai_from", 3}, {"fai_to", 9}, {"response_from", 12}});
  const int64_t n = capture->n_token();
  std::vector<double> spans;
  std::vector<Matrix> maps;
  for (int64_t at = 0; at < 10; ++at) {
    maps.push_back(reference_map(*capture, at / 5, at % 5));
    double span = 0.0;
    for (int64_t t = 12; t < n; ++t)
      for (int64_t s = 0; s <= t; ++s)
        span += maps.back()[static_cast<size_t>(t)][static_cast<size_t>(s)] * static_cast<double>(t - s);
    spans.push_back(span / static_cast<double>(n - 12));
    EXPECT_NEAR(value_of(result, "span", at / 5, at % 5), spans.back(), 1e-4);
  }
  std::vector<size_t> order(10);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return spans[a] < spans[b]; });
  const Table& tokens = result.tables[1];
  ASSERT_EQ(tokens.name, "tokens");
  for (int64_t t = 12; t < n; ++t) {
    double waad = 0.0, influence = 0.0;
    int64_t rows = 0;
    for (int64_t s = 0; s <= t; ++s)
      for (size_t g = 0; g < 3; ++g)
        waad += maps[order[g]][static_cast<size_t>(t)][static_cast<size_t>(s)] *
                static_cast<double>(std::min<int64_t>(t - s, 4)) / 3.0;
    for (int64_t row = t + 3; row <= std::min(n - 1, t + 9); ++row, ++rows)
      for (size_t g = 7; g < 10; ++g)
        influence += maps[order[g]][static_cast<size_t>(row)][static_cast<size_t>(t)] / 3.0;
    const auto& cells = tokens.rows[static_cast<size_t>(t)];
    EXPECT_NEAR(std::get<double>(cells[2]), waad, 1e-5);
    if (rows > 0)
      EXPECT_NEAR(std::get<double>(cells[3]), influence / static_cast<double>(rows), 1e-5);
    else
      EXPECT_TRUE(std::isnan(std::get<double>(cells[3])));
  }
  EXPECT_THAT(result.findings.back(), HasSubstr("1,000 times"));
}

TEST(HeadScores, anchors_that_follow_preplan_tokens_are_told_from_chance) {
  std::vector<int64_t> preplans, anchors;
  for (int64_t t = 0; t < 200; t += 20) {
    preplans.push_back(t);
    anchors.push_back(t + 2);
  }
  const auto together = head_scores::co_occurrence(anchors, preplans, 200, 1);
  EXPECT_EQ(together.observed, 1.0);
  EXPECT_NEAR(together.shuffled, 1.0 - std::pow(0.95, 3), 0.02) << "three of 200 places, ten marks";
  EXPECT_LT(together.p_value, 0.01);
  for (int64_t& anchor : anchors) anchor += 5;
  EXPECT_GT(head_scores::co_occurrence(anchors, preplans, 200, 1).p_value, 0.9);
}

TEST(HeadScores, sorting_is_exact_for_every_size) {
  std::mt19937 random(4);
  std::vector<uint32_t> scratch;
  for (const size_t n : {1U, 2U, 63U, 64U, 65U, 1000U}) {
    std::vector<float> values(n);
    for (float& value : values)
      value = std::ldexp(static_cast<float>(random() % 1000), -static_cast<int>(random() % 60));
    std::vector<float> expected(values);
    std::sort(expected.begin(), expected.end());
    head_scores::sort_weights(values, scratch);
    EXPECT_EQ(values, expected) << n;
  }
}

TEST(HeadScores, the_number_of_threads_changes_no_score) {
  const auto capture = synthetic::random_capture(synthetic::words(50), 2, 4, 8);
  const nlohmann::json columns = {{"columns", "concentration,hardness,flex-prefill"}};
  const AnalysisResult one = table_of(capture, columns, 1), three = table_of(capture, columns, 3);
  ASSERT_EQ(one.fields.size(), three.fields.size());
  for (size_t f = 0; f < one.fields.size(); ++f)
    for (int64_t at = 0; at < one.fields[f].values.size(); ++at) {
      const float a = one.fields[f].values.data()[at], b = three.fields[f].values.data()[at];
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << one.fields[f].name << " " << a << " " << b;
    }
}

TEST(HeadScores, knocked_out_keys_are_no_visible_keys) {
  auto capture = synthetic::random_capture(synthetic::words(30), 1, 1, 8);
  auto layer = std::make_shared<LayerCapture>(*capture->layers[0]);
  layer->knockouts = {{EdgeRect{20, 30, 5, 15}}};
  synthetic::fill_statistics(*layer, *capture);
  capture->layers[0] = layer;
  EXPECT_EQ(head_scores::hidden_keys(*layer, 0, 19, {0, 20}), 0);
  EXPECT_EQ(head_scores::hidden_keys(*layer, 0, 25, {0, 26}), 10);
  const AnalysisResult result = table_of(capture, {{"columns", "concentration"}});
  double normalised = 0.0;
  for (int64_t i = 1; i < 30; ++i)
    normalised +=
        layer->statistics.entropy.at({0, i}) / std::log(static_cast<double>(i + 1 - (i >= 20 ? 10 : 0)));
  EXPECT_NEAR(value_of(result, "entropy_normalised", 0, 0), normalised / 29.0, 1e-5);
}

TEST(HeadScores, a_capture_without_its_model_says_which_columns_are_missing) {
  const AnalysisResult result = table_of(synthetic::random_capture(synthetic::words(30), 1, 2, 8),
                                         {{"columns", "all"}, {"probe", true}});
  const std::string said = testing::PrintToString(result.findings);
  EXPECT_THAT(said, HasSubstr("No weight columns"));
  EXPECT_THAT(said, HasSubstr("No task-kv and rank columns"));
  EXPECT_THAT(said, HasSubstr("No probe columns"));
  EXPECT_EQ(result.field("copying"), nullptr);
  EXPECT_NE(result.field("gini"), nullptr);
}

TEST(HeadScores, an_unknown_family_is_refused_with_the_list) {
  MethodInput input;
  input.parameters = {{"columns", "basic,entrophy"}};
  input.capture = synthetic::random_capture(synthetic::words(6), 1, 2, 8);
  input.kernels = &kernel_sets().front();
  const auto result = make_head_table()->compute(input, {});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("'entrophy'"));
  EXPECT_THAT(result.error().message, HasSubstr("flex-prefill"));
}

}  // namespace
}  // namespace saccade
