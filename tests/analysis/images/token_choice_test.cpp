// Which patches are chosen, amplified or boosted: worked examples and definitions on small grids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/images/attention_groups.h"
#include "analysis/images/gaze_shift.h"
#include "analysis/images/phrase_maps.h"
#include "analysis/images/token_pruning.h"
#include "kernels/attention.h"

namespace saccade {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

std::vector<int64_t> with_role(const std::vector<TokenRole>& roles, TokenRole role) {
  std::vector<int64_t> found;
  for (size_t j = 0; j < roles.size(); ++j)
    if (roles[j] == role) found.push_back(static_cast<int64_t>(j));
  return found;
}

// 4 x 4 patches, one anchor at 5: it and its neighbours are {1, 4, 5, 6, 9}; of 7, two are the best others.
TEST(TokenPruning, the_worked_example) {
  std::vector<double> object(16, 0.0), output(16, 0.0);
  object[5] = 1.0;
  output[5] = 9.0;  // already taken
  output[12] = 3.0;
  output[15] = 2.0;
  output[0] = 1.0;
  const PruneRule rule{7, 0.7, false};
  EXPECT_EQ(anchor_count(rule), 1);
  const auto roles = prune_tokens(object, output, 4, 4, rule);
  EXPECT_THAT(with_role(roles, TokenRole::anchor), ElementsAre(5));
  EXPECT_THAT(with_role(roles, TokenRole::buffer), ElementsAre(1, 4, 6, 9));
  EXPECT_THAT(with_role(roles, TokenRole::registers), ElementsAre(12, 15));
}

TEST(TokenPruning, neighbours_wrap_at_the_end_of_a_row_unless_strict) {
  std::vector<double> object(16, 0.0);
  const std::vector<double> output(16, 0.0);
  object[4] = 1.0;  // the first of its row
  const auto wrapped = prune_tokens(object, output, 4, 4, {5, 1.0, false}),
             strict = prune_tokens(object, output, 4, 4, {5, 1.0, true});
  EXPECT_THAT(with_role(wrapped, TokenRole::buffer), ElementsAre(0, 3, 5, 8));
  EXPECT_THAT(with_role(strict, TokenRole::buffer), ElementsAre(0, 5, 8));
  object[4] = 0.0;
  object[0] = 1.0;
  EXPECT_THAT(with_role(prune_tokens(object, output, 4, 4, {5, 1.0, false}), TokenRole::buffer),
              ElementsAre(1, 4))
      << "clamped to the picture";
}

TEST(TokenPruning, as_many_stay_as_the_budget_says) {
  std::vector<double> object, output;
  for (int j = 0; j < 36; ++j) {
    object.push_back(std::sin(j * 1.7));
    output.push_back(std::cos(j * 2.3));
  }
  for (const int64_t budget : {1, 5, 12, 36, 100}) {
    const auto roles = prune_tokens(object, output, 6, 6, {budget, 0.5, true});
    EXPECT_EQ(36 - static_cast<int64_t>(with_role(roles, TokenRole::dropped).size()),
              std::min<int64_t>(budget, 36));
  }
}

TEST(TokenPruning, dispersion_is_the_mean_distance_of_the_best) {
  std::vector<double> importance(20, 0.0);
  importance[0] = importance[9] = 1.0;  // rows 0 and 1, columns 0 and 4 of 5
  EXPECT_NEAR(dispersion(importance, 5), std::hypot(1.0, 4.0), 1e-12);
  EXPECT_TRUE(std::isnan(dispersion(std::vector<double>{1.0}, 1)));
}

TEST(GazeShift, amplification_of_the_worked_example) {
  const std::vector<double> saliency = gaze_saliency({{0.0, 0.02, 0.08, 0.02}});
  EXPECT_THAT(saliency, Pointwise(DoubleNear(1e-12), {0.0, 0.25, 1.0, 0.25}));
  EXPECT_THAT(amplification(saliency, 5.0), Pointwise(DoubleNear(0.05), {1.0, 3.49, 148.4, 3.49}));
}

TEST(GazeShift, counts_what_grows_from_token_to_token) {
  mechanisms::Matrix rows(3, 2);
  rows.values = {0.1, 0.5, 0.4, 0.2, 0.3, 0.6};  // before the question, then two of its tokens
  EXPECT_THAT(gaze_shift(rows, {false, false}), Pointwise(DoubleNear(1e-12), {0.15, 0.2}))
      << "none counts: all do";
  EXPECT_THAT(gaze_shift(rows, {true, false}), Pointwise(DoubleNear(1e-12), {0.3, 0.0}));
}

TEST(GazeShift, keeps_the_half_of_the_heads_that_shifts_most_and_clips_what_stands_out) {
  EXPECT_THAT(gaze_saliency({{0.0, 1.0}, {0.1, 0.0}}), ElementsAre(0.0, 1.0))
      << "the second head is left out";
  std::vector<double> one_of_many(100, 0.0);
  one_of_many[7] = 100.0;
  one_of_many[8] = 20.0;
  const auto saliency = gaze_saliency({one_of_many});
  EXPECT_EQ(saliency[7], 1.0);
  EXPECT_GT(saliency[8], 0.5) << "without the clip it would be 0.2";
  EXPECT_THAT(gaze_saliency({{0.2, 0.2}}), ElementsAre(0.0, 0.0)) << "nothing stands out";
}

TEST(GazeShift, the_question_grows_as_the_image_does) {
  EXPECT_NEAR(question_factor(std::vector<double>{0.2, 0.1}, std::vector<double>{2.0, 5.0}), 0.9 / 0.3,
              1e-12);
  EXPECT_EQ(question_factor(std::vector<double>{0.0, 0.0}, std::vector<double>{2.0, 5.0}), 1.0);
}

TEST(GazeShift, function_words_and_punctuation_are_no_content_words) {
  EXPECT_TRUE(is_content_word(" dog"));
  EXPECT_TRUE(
      is_content_word("\xE2\x96\x81"
                      "Katze"));
  EXPECT_FALSE(is_content_word(" The"));
  EXPECT_FALSE(is_content_word("?"));
  EXPECT_FALSE(is_content_word(" 12"));
}

// Scores 2, -1 and 1: boosted by 0.7, 0.7 and 0.3 they are 3.4, -0.3 and 1.3.
TEST(ImbalanceBoost, scores_of_the_worked_example) {
  const std::vector<float> q{2.0F, -1.0F, 1.0F};
  std::vector<float> k(9, 0.0F), z(3);
  for (size_t j = 0; j < 3; ++j) k[j * 3 + j] = 1.0F;
  HeadPlan plan;
  plan.scores = {{ScoreEditKind::boost, {}, {{0, 2}}, 0.7F, 0, 0},
                 {ScoreEditKind::boost, {}, {{2, 3}}, 0.3F, 0, 0}};
  const std::vector<HeadPlan> plans{plan};
  AttentionInput in;
  in.shape = {1, 3, 1, 1, 3, 0};
  in.mask.causal = false;
  in.q = {q.data(), 3, 3};
  in.k = in.v = {k.data(), 3, 3};
  in.edits = plans;
  AttentionOutput out;
  out.z = {z.data(), 3, 3};
  ASSERT_TRUE(kernel_sets()[0].forward(in, out, serial()).ok());
  const double sum = std::exp(3.4) + std::exp(-0.3) + std::exp(1.3);
  EXPECT_NEAR(z[0], std::exp(3.4) / sum, 1e-6);
  EXPECT_NEAR(z[1], std::exp(-0.3) / sum, 1e-6);
  EXPECT_NEAR(z[2], std::exp(1.3) / sum, 1e-6);
}

TEST(ImbalanceBoost, summary_tokens_are_outliers_and_never_local) {
  const std::vector<double> late{1, 2, 3, 4, 5, 6, 7, 40}, received{0, 9, 0, 0, 0, 0, 0, 0};
  const std::vector<double> first{0, 0, 0, 5, 4, 0, 0, 6};
  EXPECT_THAT(upper_outliers(late), ElementsAre(7));
  const AttentionGroups groups = attention_groups(first, received, late, 0.375, 0.125);
  EXPECT_THAT(groups.summary, ElementsAre(7));
  EXPECT_THAT(groups.local, ElementsAre(1, 3, 4)) << "7 is a summary, 1 is what all look at";
  EXPECT_THAT(attention_groups(first, received, late).local, ElementsAre(3))
      << "a quarter of 8 is 2, one a summary";
}

TEST(ImbalanceBoost, heads_are_weighed_from_the_least_to_the_most) {
  EXPECT_THAT(head_weights(std::vector<double>{0.2, 0.6, 0.4}),
              Pointwise(DoubleNear(1e-12), {0.0, 1.0, 0.5}));
  EXPECT_THAT(head_weights(std::vector<double>{0.3, 0.3}), ElementsAre(1.0, 1.0));
}

TEST(PhraseMaps, words_that_count_are_averaged_and_sinks_are_taken_out) {
  mechanisms::Matrix maps(3, 4);
  maps.values = {0.7, 0.1, 0.1, 0.1, 0.6, 0.2, 0.1, 0.1, 0.5, 0.0, 0.0, 0.5};  // patch 0 is everybody's first
  EXPECT_THAT(global_sinks(maps), ElementsAre(0));
  EXPECT_THAT(phrase_map(maps, {true, true, false}),
              Pointwise(DoubleNear(1e-12), {0.0, 0.15 / 0.35, 0.1 / 0.35, 0.1 / 0.35}));
  maps.at(2, 3) = 0.9;  // now two of three words agree, which is no more than 80 %
  EXPECT_THAT(global_sinks(maps), testing::IsEmpty());
}

TEST(PhraseMaps, magnets_take_the_patches_they_win) {
  mechanisms::Matrix maps(2, 3);
  maps.values = {0.5, 0.2, 0.3, 0.1, 0.6, 0.3};  // a content word and a stop word
  const Magnets magnets = magnet_map(maps, {true, false});
  EXPECT_THAT(magnets.owner, ElementsAre(0, 1, 0));
  EXPECT_THAT(magnets.map, ElementsAre(0.5, 0.0, 0.3));
}

}  // namespace
}  // namespace saccade
