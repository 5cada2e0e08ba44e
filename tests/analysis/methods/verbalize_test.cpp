#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/methods/registry.h"
#include "analysis/methods/saliency_text.h"
#include "tests/analysis/lab.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using testing::HasSubstr;

const std::string first = "The {kind} \"{text}\" is most important for the prediction ({share} %).",
                  other = "The {kind} \"{text}\" is also salient ({share} %).";
const std::vector<std::string> tokens{"The", " red", " fox", " saw", " me"};

// The worked example of 4.3.
TEST(SaliencyText, the_worked_example_names_the_phrase_and_its_coverage) {
  const std::vector<double> e{0.0, 0.5, 0.3, 0.0, 0.2};
  EXPECT_NEAR(coverage_of(e, std::vector<int64_t>{1, 2}), 0.8, 1e-12);
  const auto spans = salient_spans(e, {});
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].begin, 1);
  EXPECT_EQ(spans[0].end, 3);
  EXPECT_EQ(saliency_sentences(spans, tokens, first, other),
            "The phrase \"red fox\" is most important for the prediction (80 %).");
}

TEST(SaliencyText, a_single_token_is_a_word_and_a_full_stop_makes_a_span) {
  EXPECT_STREQ(kind_of("fox", 1), "word");
  EXPECT_STREQ(kind_of("red fox", 2), "phrase");
  EXPECT_STREQ(kind_of("fox. The", 3), "span");
  const auto spans = salient_spans(std::vector<double>{0.0, 0.0, 1.0, 0.0, 0.0}, {});
  EXPECT_EQ(saliency_sentences(spans, tokens, first, other),
            "The word \"fox\" is most important for the prediction (100 %).");
}

TEST(SaliencyText, equal_spans_are_all_named_in_their_order) {
  const auto spans = salient_spans(std::vector<double>{0.5, 0.0, 0.0, 0.0, 0.5}, {});
  EXPECT_EQ(saliency_sentences(spans, tokens, first, other),
            "The word \"The\" is most important for the prediction (50 %). The word \"me\" is also salient "
            "(50 %).");
}

TEST(SaliencyText, negative_attribution_is_no_coverage) {
  const std::vector<double> e{-0.9, 0.2, NAN, -0.1, 0.6};
  EXPECT_NEAR(coverage_of(std::vector<double>{-0.9, 0.2, 0.0, -0.1, 0.6}, std::vector<int64_t>{0, 4}), 0.75,
              1e-12);
  const auto spans = salient_spans(e, {});
  ASSERT_FALSE(spans.empty());
  EXPECT_EQ(spans[0].begin, 4);
  EXPECT_TRUE(salient_spans(std::vector<double>{-1.0, -2.0}, {}).empty());
}

// Two pairs around a token that speaks against: no run of three holds them and none is among the five best
// single tokens, but filters find them.
TEST(SaliencyText, filters_reach_over_a_gap) {
  std::vector<double> e(40, 0.0);
  for (size_t i = 0; i < 5; ++i) e[6 * i] = 1.0;
  e[30] = e[31] = e[33] = e[34] = 0.9;
  e[32] = -0.2;
  const auto spans = salient_spans(e, {});
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].begin, 30);
  EXPECT_EQ(spans[0].end, 32);
  EXPECT_EQ(spans[1].begin, 33);
  EXPECT_NEAR(spans[1].coverage, 1.8 / 8.6, 1e-12);
}

Result<AnalysisResult> verbalize(const std::shared_ptr<const Capture>& capture, const nlohmann::json& given) {
  const auto input = std::make_unique<MethodInput>();
  const auto method = make_verbalize();
  input->parameters = complete_parameters(method->info(), given).value();
  input->capture = capture;
  input->kernels = &kernel_sets().front();
  return method->compute(*input, {});
}

TEST(Verbalize, a_row_is_told_from_its_weights) {
  const auto capture = synthetic::capture_of(
      {"a", " b", " c", " d", " e"},
      {{{1.0}, {0.5, 0.5}, {0.3, 0.3, 0.4}, {0.25, 0.25, 0.25, 0.25}, {0.0, 0.5, 0.3, 0.0, 0.2}}});
  const auto result = verbalize(capture, {{"subject", "row"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(result->findings[0], "Token 4 ('␣e') looks most at the phrase \"b c\" through head 0.0 (80 %).");
  EXPECT_NEAR(result->field("attribution")->values.at({1}), 0.5, 1e-6);
  EXPECT_FALSE(verbalize(capture, {{"subject", "row"}, {"query", 5}}).ok());
  EXPECT_FALSE(verbalize(capture, {{"subject", "row"}, {"head", "3.0"}}).ok());
}

TEST(Verbalize, a_head_is_told_from_its_scores) {
  const auto capture = synthetic::capture_of({"a", "b", "a", "b"},
                                             {{{1.0}, {0.7, 0.3}, {0.1, 0.6, 0.3}, {0.2, 0.2, 0.5, 0.1}},
                                              {{1.0}, {1.0, 0.0}, {1.0, 0.0, 0.0}, {1.0, 0.0, 0.0, 0.0}}});
  const auto result = verbalize(capture, {{"subject", "head"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(result->findings[0],
              HasSubstr("Head 0.0 looks at the token before (60 % of its weight, the most of 2 heads)"));
  EXPECT_THAT(result->findings[0],
              HasSubstr("looks at the token after the previous occurrence of its own (55 % of its weight"));
  EXPECT_THAT(result->findings[0],
              HasSubstr("rests on the first token (50 % of its weight, 2nd of 2 heads)"));
}

TEST(Verbalize, the_demos_answer_rests_on_what_it_repeats) {
  const Lab lab = Lab::open("demo:induction");
  ASSERT_TRUE(lab.model);
  const auto looked_at = lab.run("The old sailor found a silver key. The old sailor found a silver");
  const auto say = [&] {
    return run_method(*find_method("verbalize").value(), nlohmann::json::object(), looked_at,
                      {lab.model, lab.runner.get(), {}}, {});
  };
  const auto result = say();
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(result->findings[0], HasSubstr("The answer is '␣key'"));
  EXPECT_THAT(result->findings[0], HasSubstr("key\" is most important for the prediction"));
  EXPECT_EQ(say()->findings, result->findings) << "the same run, the same words";
  // Its attributions are those of the heads: they sum to what logit-attribution says of all heads together,
  // but for the value biases, of which this model has none worth mentioning.
  const auto heads = run_method(*find_method("logit-attribution").value(), nlohmann::json::object(),
                                looked_at, {lab.model, lab.runner.get(), {}}, {});
  double sum = 0.0, all = 0.0;
  for (const float value : result->field("attribution")->values.values()) sum += value;
  for (const float value : heads->field("direct")->values.values()) all += value;
  EXPECT_NEAR(sum, all, 1e-3);
}

TEST(Verbalize, the_answer_needs_the_model) {
  const auto method = make_verbalize();
  MethodInput input;
  input.parameters = complete_parameters(method->info(), nlohmann::json::object()).value();
  const auto plan = method->plan(input);
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.error().message, HasSubstr("subject=row"));
}

}  // namespace
}  // namespace saccade
