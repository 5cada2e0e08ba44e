// code-circuit and its codes: clusters, the sparse dictionary, scores by hand, ROC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "analysis/methods/head_codes.h"
#include "analysis/methods/reference_runs.h"
#include "core/base/files.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// Points around `centres` corners of a cube, in turn.
HostTensor clouds(int64_t count, int32_t centres, float spread) {
  std::mt19937_64 random(5);
  HostTensor samples({count, 3}, false);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t x = 0; x < 3; ++x)
      samples.mutable_values()[static_cast<size_t>(i * 3 + x)] =
          static_cast<float>(((i % centres) >> x) & 1) * 4.0F - 2.0F +
          spread * (static_cast<float>(random() % 1000) / 500.0F - 1.0F);
  return samples;
}

TEST(HeadCodes, k_means_finds_clouds_and_is_the_same_for_the_same_seed) {
  const HostTensor samples = clouds(40, 4, 0.2F);
  const auto codes = k_means_codes(samples, 4, 1);
  for (size_t i = 4; i < codes.size(); ++i) EXPECT_EQ(codes[i], codes[i % 4]);
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_NE(codes[i], codes[j]);
  EXPECT_EQ(codes, k_means_codes(samples, 4, 1));
}

TEST(HeadCodes, k_means_of_few_distinct_samples_makes_no_more_clusters_than_those) {
  const auto codes = k_means_codes(clouds(12, 2, 0.0F), 8, 3);
  EXPECT_EQ(std::set<int32_t>(codes.begin(), codes.end()).size(), 2U);
}

TEST(HeadCodes, a_dictionary_learns_to_explain_what_it_is_shown_and_sparsity_costs) {
  const HostTensor samples = clouds(64, 8, 0.1F);
  DictionaryOptions options;
  options.features = 32;
  options.epochs = 1;
  const double before = SparseDictionary::train(samples, options, {})->unexplained(samples);
  options.epochs = 200;
  options.sparsity = 0.001;
  const auto dense = SparseDictionary::train(samples, options, {});
  EXPECT_LT(dense->unexplained(samples), 0.02);
  EXPECT_GT(before, 4 * dense->unexplained(samples));
  options.sparsity = 1.0;
  const auto sparse = SparseDictionary::train(samples, options, {});
  EXPECT_LT(sparse->mean_active(samples), dense->mean_active(samples));
  EXPECT_EQ(dense->code(samples.slice(0)), SparseDictionary::train(samples,
                                                                   [&] {
                                                                     DictionaryOptions same = options;
                                                                     same.sparsity = 0.001;
                                                                     return same;
                                                                   }(),
                                                                   {})
                                               ->code(samples.slice(0)));
}

// By hand: the codes of z at the last position of every prompt and its twin, and those that no twin has.
TEST(CodeCircuit, scores_count_the_codes_that_only_positives_show) {
  const auto result = demo().method(
      "code-circuit",
      {{"prompts", "repeat"}, {"count", 4}, {"clusters", 4}, {"negative", "corrupt"}, {"seed", 7}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto prompts = preset("repeat", *demo().model, 4, 7);
  ASSERT_TRUE(prompts.ok());
  std::vector<std::shared_ptr<const saccade::Run>> runs;
  for (const bool corrupt : {false, true})
    for (const PromptPair& pair : prompts->pairs) {
      RunRequest request = demo().runner->request(corrupt ? pair.corrupt : pair.clean);
      request.capture.sites = {{HookSite::z, 1}};
      runs.push_back(demo().run(request));
    }
  for (int32_t h = 0; h < 4; ++h) {
    const HeadId head{LayerIndex{1}, HeadIndex{h}};
    HostTensor z({8, demo().model->spec().d_head});
    for (size_t s = 0; s < 8; ++s) {
      const std::span<const float> last = last_z(*runs[s]->capture, head);
      std::copy(last.begin(), last.end(),
                z.mutable_values().begin() + static_cast<ptrdiff_t>(s * last.size()));
    }
    const std::vector<int32_t> codes = k_means_codes(z, 4, 7);
    std::set<int32_t> own(codes.begin(), codes.begin() + 4), all(codes.begin(), codes.end());
    for (size_t s = 4; s < 8; ++s) own.erase(codes[s]);
    EXPECT_NEAR(result->field("score")->values.at({1, h}),
                static_cast<double>(own.size()) / static_cast<double>(all.size()), 1e-6);
  }
  double sum = 0.0;
  for (const float share : result->field("softmax")->values.values()) sum += share;
  EXPECT_NEAR(sum, 1.0, 1e-5);
}

TEST(CodeCircuit, the_autoencoder_gives_codes_too_and_says_how_good_it_is) {
  const auto result = demo().method(
      "code-circuit",
      {{"prompts", "repeat"}, {"count", 4}, {"codes", "autoencoder"}, {"features", 32}, {"epochs", 5}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("The dictionary of 32 features leaves")));
}

TEST(CodeCircuit, a_list_of_known_heads_gives_a_roc_curve_from_nothing_to_everything) {
  const auto file = std::filesystem::temp_directory_path() / "saccade_known_heads.json";
  ASSERT_TRUE(write_text_file(file, R"({"induction": [[1, 0], [1, 2], [1, 3]]})").ok());
  const auto result =
      demo().method("code-circuit", {{"prompts", "repeat"}, {"count", 6}, {"heads", file.string()}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* roc = table_of(*result, "roc");
  ASSERT_TRUE(roc);
  EXPECT_EQ(std::get<double>(roc->rows.back()[1]), 1.0);
  EXPECT_EQ(std::get<double>(roc->rows.back()[2]), 1.0);
  for (size_t r = 1; r < roc->rows.size(); ++r)
    EXPECT_LT(std::get<double>(roc->rows[r][0]), std::get<double>(roc->rows[r - 1][0]));
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("Against 3 known heads")));
  ASSERT_TRUE(write_text_file(file, "[[9, 9]]").ok());
  const auto refused = demo().method("code-circuit", {{"heads", file.string()}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("layers 0-2 of heads 0-3, found 9.9"));
  std::filesystem::remove(file);
}

TEST(CodeCircuit, prompts_that_are_their_own_negatives_are_told_apart_by_no_head) {
  const auto result =
      demo().method("code-circuit", {{"prompts", "repeat"}, {"negative", "repeat"}, {"count", 4}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  for (const float score : result->field("score")->values.values()) EXPECT_EQ(score, 0.0F);
  EXPECT_THAT(result->findings[0], HasSubstr("do not tell 4 prompts"));
}

}  // namespace
}  // namespace saccade
