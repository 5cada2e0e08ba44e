// The families of head-table that need a model: probes, states, weights; each against its definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "analysis/methods/head_scores/row_math.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"
#include "core/model/weight_reader.h"
#include "core/run/linear_algebra.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using Matrix = std::vector<std::vector<double>>;

float value_of(const AnalysisResult& result, const char* name, int64_t layer, int64_t head) {
  const Field* field = result.field(name);
  EXPECT_NE(field, nullptr) << name;
  return field == nullptr ? 0.0F : field->values.at({layer, head});
}

class HeadScoresOnModels : public testing::Test {
 protected:
  static Result<AnalysisResult> table(const Lab& lab, const RunRequest& request, nlohmann::json parameters) {
    return run_method(*find_method("head-table").value(), parameters, lab.run(request),
                      {lab.model, lab.runner.get(), {}}, {});
  }
  static RunRequest request(const Lab& lab, const std::string& prompt) {
    return lab.runner->request(lab.model->tokenizer().encode(prompt, {}).value());
  }
};

TEST_F(HeadScoresOnModels, the_demos_induction_heads_match_prefixes_and_copy) {
  const Lab lab = Lab::open("demo:induction");
  ASSERT_TRUE(lab.model);
  const auto result =
      table(lab, request(lab, "The old sailor found a silver key."),
            {{"probe", true}, {"probe_length", 12}, {"probe_sequences", 2}, {"echo_period", 12}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  for (int64_t head = 0; head < 4; ++head) {
    EXPECT_GT(value_of(*result, "prefix_matching", 1, head), 0.5F) << head;
    EXPECT_LT(value_of(*result, "prefix_matching", 0, head), 0.3F) << head;
    EXPECT_GT(value_of(*result, "razor_induction", 1, head), 0.5F) << head;
  }
  float best = 0.0F;
  for (int64_t head = 0; head < 4; ++head)
    best = std::max(best, value_of(*result, "copying_activation", 1, head));
  EXPECT_GT(best, 0.4F) << "chance is 1 in 12";
  EXPECT_THAT(testing::PrintToString(result->findings), HasSubstr("match prefixes"));
}

TEST_F(HeadScoresOnModels, every_family_on_the_demo_and_the_unedited_map_is_monotone) {
  const Lab lab = Lab::open("demo:induction");
  RunRequest edited = request(lab, "The old sailor found a silver key. The old sailor found a silver");
  edited.edits = {parse_edit("redistribute 1.0 key=3 to=rest by=0.2").value()};
  const auto result = table(lab, edited, {{"columns", "all"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(value_of(*result, "monotonicity", 0, 0), 1.0F);
  EXPECT_EQ(value_of(*result, "discordant", 0, 0), 0.0F);
  EXPECT_LT(value_of(*result, "monotonicity", 1, 0), 1.0F);
  EXPECT_GT(value_of(*result, "discordant", 1, 0), 0.0F);
  EXPECT_GT(value_of(*result, "edit_kl", 1, 0), 0.0F);
  for (const char* name : {"copying", "kq_symmetric", "ov_alpha", "semantic_distance", "rank", "span"})
    for (const float value : result->field(name)->values.values()) EXPECT_FALSE(std::isnan(value)) << name;
}

// V of the last rows' strongest keys, and the singular values of z, straight from their definitions.
TEST_F(HeadScoresOnModels, task_kv_and_rank_agree_with_their_definitions) {
  const Lab lab = Lab::open("demo:induction");
  RunRequest plain = request(lab, "The old sailor found a silver key. The old sailor found a silver");
  const auto result = table(lab, plain, {{"columns", "task-kv,rank"}, {"task_least", 1}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  for (int32_t l = 0; l < 2; ++l)
    plain.capture.sites.insert(plain.capture.sites.end(), {{HookSite::v, l}, {HookSite::z, l}});
  const auto run = lab.run(plain);
  const Capture& capture = *run->capture;
  const ModelSpec& spec = capture.spec;
  const int64_t n = capture.n_token(), d = spec.d_head;
  ASSERT_LE(n, 32) << "all rows are last rows, all keys are kept";
  for (int32_t l = 0; l < 2; ++l) {
    Matrix vectors;
    for (int32_t h = 0; h < spec.n_head; ++h) {
      const auto map = AttentionMap::of(run->capture, {LayerIndex{l}, HeadIndex{h}}, lab.runner->kernels());
      std::vector<float> cells(static_cast<size_t>(n * n));
      ASSERT_TRUE(map->rows(0, n, n, cells).ok());
      std::vector<double> vector(static_cast<size_t>(d), 0.0), gram(static_cast<size_t>(d * d), 0.0);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          for (int64_t e = 0; e < d; ++e)
            vector[static_cast<size_t>(e)] +=
                cells[static_cast<size_t>(i * n + j)] / static_cast<double>(n) *
                capture.sites.at({HookSite::v, l}).at({j, spec.kv_head_of(h), e});
      vectors.push_back(vector);
      for (int64_t t = 0; t < n; ++t)
        for (int64_t a = 0; a < d; ++a)
          for (int64_t b = 0; b < d; ++b)
            gram[static_cast<size_t>(a * d + b)] += double{capture.sites.at({HookSite::z, l}).at({t, h, a})} *
                                                    capture.sites.at({HookSite::z, l}).at({t, h, b});
      const double rank = head_scores::effective_rank(symmetric_eigenvalues(gram, d).value());
      EXPECT_NEAR(value_of(*result, "rank", l, h) / rank, 1.0, 1e-5);
      EXPECT_LE(rank, static_cast<double>(std::min(n, d)));
    }
    for (size_t h = 0; h < vectors.size(); ++h) {
      double squares = 0.0;
      for (size_t e = 0; e < static_cast<size_t>(d); ++e) {
        double centre = 0.0;
        for (const auto& vector : vectors) centre += vector[e] / static_cast<double>(vectors.size());
        squares += (vectors[h][e] - centre) * (vectors[h][e] - centre);
      }
      EXPECT_NEAR(value_of(*result, "semantic_distance", l, static_cast<int64_t>(h)), std::sqrt(squares),
                  1e-5 * std::max(1.0, std::sqrt(squares)));
    }
  }
}

// Dense [rows, columns] product in float64.
std::vector<double> times(const std::vector<double>& a, const std::vector<double>& b, int64_t rows,
                          int64_t inner, int64_t columns) {
  std::vector<double> out(static_cast<size_t>(rows * columns), 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < inner; ++i)
      for (int64_t c = 0; c < columns; ++c)
        out[static_cast<size_t>(r * columns + c)] +=
            a[static_cast<size_t>(r * inner + i)] * b[static_cast<size_t>(i * columns + c)];
  return out;
}

std::vector<double> wide(const HostTensor& tensor, const HostTensor* row_gain = nullptr,
                         const HostTensor* column_gain = nullptr) {
  std::vector<double> out(tensor.values().begin(), tensor.values().end());
  const int64_t columns = tensor.shape()[1];
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (row_gain != nullptr) out[static_cast<size_t>(i)] *= row_gain->data()[i / columns];
    if (column_gain != nullptr) out[static_cast<size_t>(i)] *= column_gain->data()[i % columns];
  }
  return out;
}

double norm_of(const std::vector<double>& m) {
  return std::sqrt(std::inner_product(m.begin(), m.end(), m.begin(), 0.0));
}

TEST_F(HeadScoresOnModels, weight_scores_agree_with_the_full_matrices) {
  const auto folder = std::filesystem::temp_directory_path() / "saccade_head_scores_model";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(make_random_model("llama-tiny", folder, 3).ok());
  const Lab lab = Lab::open(folder.string());
  ASSERT_TRUE(lab.model);
  const ModelSpec& spec = lab.model->spec();
  const auto result =
      table(lab, lab.runner->request(lab.model->tokenizer().sequence(std::vector<int32_t>{1, 2, 3}).value()),
            {{"columns", "weights"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const WeightReader weights(lab.model);
  const int64_t d = spec.d_model, dh = spec.d_head;
  const HostTensor gain = weights.norm1_weight(1), final_gain = weights.final_norm_weight();
  std::vector<double> layer_sum(static_cast<size_t>(d * d), 0.0);
  double norms = 0.0;
  for (int32_t h = 0; h < spec.n_head; ++h) {
    const HeadId head{LayerIndex{1}, HeadIndex{h}};
    const auto q = wide(weights.query(head), &gain), k = wide(weights.key(head), &gain),
               v = wide(weights.value(head), &gain), o = wide(weights.output(head));
    std::vector<double> kt(static_cast<size_t>(d * dh));
    for (int64_t r = 0; r < d; ++r)
      for (int64_t c = 0; c < dh; ++c)
        kt[static_cast<size_t>(c * d + r)] = k[static_cast<size_t>(r * dh + c)];
    const auto check = [&](const std::vector<double>& m, const std::string& which) {
      double trace = 0.0, off = 0.0, symmetric = 0.0;
      for (int64_t i = 0; i < d; ++i) trace += m[static_cast<size_t>(i * d + i)];
      const double alpha = trace / static_cast<double>(d);
      for (int64_t i = 0; i < d; ++i)
        for (int64_t j = 0; j < d; ++j) {
          const double here = m[static_cast<size_t>(i * d + j)], across = m[static_cast<size_t>(j * d + i)];
          off += std::pow(here - (i == j ? alpha : 0.0), 2);
          symmetric += std::pow((here + across) / 2.0, 2);
        }
      EXPECT_NEAR(value_of(*result, (which + "_alpha").c_str(), 1, h), alpha, 1e-5 * norm_of(m));
      EXPECT_NEAR(value_of(*result, (which + "_residual").c_str(), 1, h), std::sqrt(off) / norm_of(m), 1e-5);
      EXPECT_NEAR(value_of(*result, (which + "_symmetric").c_str(), 1, h), std::sqrt(symmetric) / norm_of(m),
                  1e-5);
    };
    check(times(q, kt, d, dh, d), "kq");
    const auto ov = times(v, o, d, dh, d);
    check(ov, "ov");
    norms += norm_of(ov);
    for (size_t i = 0; i < ov.size(); ++i) layer_sum[i] += ov[i];
  }
  const auto layers = std::find_if(result->tables.begin(), result->tables.end(),
                                   [](const Table& table) { return table.name == "layers"; });
  ASSERT_NE(layers, result->tables.end());
  EXPECT_NEAR(std::get<double>(layers->rows[1][1]), norm_of(layer_sum) / norms, 1e-5);

  // The whole vocabulary x vocabulary circuit of one head: its spectrum is that of the core, and zeros.
  const int32_t used = spec.n_vocab;
  std::vector<int32_t> ids(static_cast<size_t>(used));
  std::iota(ids.begin(), ids.end(), 0);
  const HeadId head{LayerIndex{1}, HeadIndex{2}};
  const auto embed = wide(weights.embed(ids), nullptr, &gain), v = wide(weights.value(head)),
             o = wide(weights.output(head)), unembed = wide(weights.unembed(ids), nullptr, &final_gain);
  std::vector<double> up(unembed.size());
  for (int64_t t = 0; t < used; ++t)
    for (int64_t x = 0; x < d; ++x)
      up[static_cast<size_t>(x * used + t)] = unembed[static_cast<size_t>(t * d + x)];
  const auto circuit = times(times(times(embed, v, used, d, dh), o, used, dh, d), up, used, d, used);
  double sum = 0.0, sizes = 0.0;
  const auto spectrum = eigenvalues(circuit, used);
  ASSERT_TRUE(spectrum.ok()) << spectrum.error().to_string();
  for (const auto& value : *spectrum) {
    sum += value.real();
    sizes += std::abs(value);
  }
  // The many zero eigenvalues come out as about 1e-12 of the largest.
  EXPECT_NEAR(value_of(*result, "copying", 1, 2), sum / sizes, 1e-5);
}

}  // namespace
}  // namespace saccade
