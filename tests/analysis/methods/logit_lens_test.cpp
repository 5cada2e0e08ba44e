// logit-lens against unembedding by hand, and against what the model itself says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/model/weight_reader.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// Final LayerNorm and W_U in float64.
std::vector<double> unembedded(const Lab& lab, std::span<const float> residual) {
  const WeightReader weights(lab.model);
  const ModelSpec& spec = lab.model->spec();
  const HostTensor gain = weights.final_norm_weight(), bias = weights.final_norm_bias();
  double mean = 0.0, variance = 0.0;
  for (const float x : residual) mean += x / static_cast<double>(residual.size());
  for (const float x : residual) variance += (x - mean) * (x - mean) / static_cast<double>(residual.size());
  std::vector<double> normed;
  for (size_t x = 0; x < residual.size(); ++x)
    normed.push_back((residual[x] - mean) / std::sqrt(variance + spec.norm_epsilon) * gain.data()[x] +
                     (bias.empty() ? 0.0 : bias.data()[x]));
  std::vector<int32_t> ids(static_cast<size_t>(spec.n_vocab));
  for (int32_t id = 0; id < spec.n_vocab; ++id) ids[static_cast<size_t>(id)] = id;
  const HostTensor rows = weights.unembed(ids);
  std::vector<double> logits;
  for (int32_t id = 0; id < spec.n_vocab; ++id) {
    double logit = weights.unembed_bias(id);
    for (size_t x = 0; x < normed.size(); ++x) logit += normed[x] * rows.slice(id)[x];
    logits.push_back(logit);
  }
  return logits;
}

TEST(LogitLens, every_number_is_that_of_the_unembedded_residual) {
  const auto result = demo().method("logit-lens", {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto run = demo().run("The cat sat.");
  const Capture& capture = *run->capture;
  const int64_t position = 2;
  const std::vector<double> final = unembedded(demo(), capture.final_resid.slice(position));
  const auto top = std::max_element(final.begin(), final.end()) - final.begin();
  const auto lse = [](const std::vector<double>& logits) {
    double sum = 0.0;
    for (const double logit : logits) sum += std::exp(logit);
    return std::log(sum);
  };
  for (int64_t level = 0; level <= 3; ++level) {
    const std::vector<double> logits =
        unembedded(demo(), level < 3 ? capture.layers[static_cast<size_t>(level)]->resid_pre.slice(position)
                                     : capture.final_resid.slice(position));
    double entropy = 0.0, kl = 0.0, rank = 0.0;
    for (size_t t = 0; t < logits.size(); ++t) {
      const double log_p = logits[t] - lse(logits), log_f = final[t] - lse(final);
      entropy -= std::exp(log_p) * log_p;
      kl += std::exp(log_f) * (log_f - log_p);
      rank += logits[t] > logits[static_cast<size_t>(top)] ? 1.0 : 0.0;
    }
    // 1e-5: float32 logits of size 10 beside float64 ones.
    EXPECT_NEAR(result->field("probability")->values.at({level, position}),
                std::exp(logits[static_cast<size_t>(top)] - lse(logits)), 1e-5);
    EXPECT_EQ(result->field("rank")->values.at({level, position}), rank);
    EXPECT_NEAR(result->field("entropy")->values.at({level, position}), entropy, 1e-5);
    EXPECT_NEAR(result->field("kl")->values.at({level, position}), kl, 1e-5);
  }
}

TEST(LogitLens, the_last_level_is_the_models_own_answer) {
  const auto result = demo().method("logit-lens", {{"positions", "last"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto run = demo().run("The cat sat.");
  const auto next = top_next(run->capture->last_logits, demo().model->tokenizer(), 1);
  EXPECT_EQ(result->field("probability")->values.shape(), (std::vector<int64_t>{4, 1}));
  EXPECT_NEAR(result->field("probability")->values.at({3, 0}), next[0].probability, 1e-6);
  EXPECT_EQ(result->field("rank")->values.at({3, 0}), 0.0F);
  EXPECT_NEAR(result->field("kl")->values.at({3, 0}), 0.0, 1e-9);
}

TEST(LogitLens, the_next_token_or_a_named_one_can_be_followed) {
  const auto next = demo().method("logit-lens", {{"follow", "next"}});
  ASSERT_TRUE(next.ok()) << next.error().to_string();
  const auto run = demo().run("The cat sat.");
  for (size_t p = 0; p + 1 < run->capture->tokens.size(); ++p)
    EXPECT_NEAR(next->field("probability")->values.at({3, static_cast<int64_t>(p)}),
                std::exp(-run->capture->loss[p]), 1e-5);
  const auto named = demo().method("logit-lens", {{"token", " cat"}});
  ASSERT_TRUE(named.ok()) << named.error().to_string();
  const auto& tokens = run->capture->tokens;
  const auto cat =
      std::find_if(tokens.begin(), tokens.end(), [](const Token& token) { return token.text == " cat"; });
  ASSERT_NE(cat, tokens.end());
  const int64_t before = cat - tokens.begin() - 1;
  EXPECT_NEAR(named->field("probability")->values.at({2, before}),
              next->field("probability")->values.at({2, before}), 1e-6);
  const auto refused = demo().method("logit-lens", {{"token", " cat sat"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("expected one"));
}

TEST(LogitLens, a_finding_says_from_which_layer_on_the_answer_stands) {
  const auto result = demo().method("logit-lens", {{"positions", "last"}});
  ASSERT_FALSE(result->findings.empty());
  EXPECT_THAT(result->findings[0], HasSubstr("stands from"));
}

}  // namespace
}  // namespace saccade
