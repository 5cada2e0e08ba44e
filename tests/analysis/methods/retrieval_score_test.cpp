// The numbers of retrieval heads by hand, and the files they come in.
#include "analysis/methods/retrieval_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "analysis/head_lists.h"
#include "analysis/methods/influence.h"
#include "analysis/methods/needle_plan.h"
#include "analysis/methods/token_importance.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<int32_t> prompt{1, 7, 50, 51, 52, 53, 8, 9};

// max_key of heads a and b, per step.
std::vector<HeadStep> steps_of(const std::vector<std::pair<int32_t, int32_t>>& keys) {
  std::vector<HeadStep> steps;
  for (const auto& [a, b] : keys) steps.push_back({{a, b}, {0.5F, 0.5F}, {}});
  return steps;
}

TEST(RetrievalScore, a_hit_is_the_strongest_key_in_the_span_that_holds_what_was_produced) {
  const auto steps = steps_of({{2, 0}, {3, 0}, {4, 4}, {3, 5}});
  const std::vector<int32_t> produced{50, 51, 99, 53};
  const CopyScores scores = copy_scores({prompt, {2, 6}, produced, steps}, 2);
  EXPECT_THAT(scores.count, ElementsAre(0.5, 0.25));
  EXPECT_THAT(scores.set, ElementsAre(0.5, 0.25));
}

TEST(RetrievalScore, count_counts_a_key_as_often_as_it_is_hit_and_set_once) {
  const auto steps = steps_of({{2, 0}, {3, 0}, {4, 4}, {3, 5}, {2, 0}});
  const std::vector<int32_t> produced{50, 51, 99, 53, 50};
  const CopyScores scores = copy_scores({prompt, {2, 6}, produced, steps}, 2);
  EXPECT_DOUBLE_EQ(scores.count[0], 0.75);
  EXPECT_DOUBLE_EQ(scores.set[0], 0.5);
}

TEST(RetrievalScore, semantic_adds_the_whole_weight_on_the_span_for_tokens_that_occur_there) {
  std::vector<HeadStep> steps(3);
  const std::vector<float> rows[3] = {
      {.1F, .1F, .5F, .2F, .1F}, {.9F, 0.F, .1F, 0.F, 0.F}, {.2F, .2F, .3F, .1F, .2F}};
  for (size_t i = 0; i < 3; ++i) steps[i].key_mass = {rows[i][2] + rows[i][3]};
  const std::vector<int32_t> five{1, 2, 30, 31, 4}, produced{30, 77, 31};
  EXPECT_NEAR(semantic_scores({five, {2, 4}, produced, steps}, 1)[0], 1.1, 1e-6);  // float32 sums
}

TEST(RetrievalScore, the_influence_is_the_growth_of_the_loss_as_a_share) {
  EXPECT_DOUBLE_EQ(influence(2.0, 2.5), 0.25);
  EXPECT_TRUE(std::isnan(influence(1e-5, 1.0))) << "a share of nothing";
  EXPECT_TRUE(std::isnan(mean_loss({})));
}

TEST(TokenImportance, sums_over_queries_pools_over_five_keys_and_averages_over_heads) {
  const std::vector<std::vector<float>> rows{{.5F, 0, 0, 0, 0, .1F, .4F, 0.F, .5F, 0, 0, 0, 0, .1F, .2F, .2F},
                                             {0, 0, 0, 0, 0, 0, 1.F, 0.F, 0, 0, 0, 0, 0, 0, 1.F, 0.F}};
  const auto importance = token_importance(rows, 2, 8);
  ASSERT_EQ(importance.size(), 6U);
  EXPECT_NEAR(importance[0], 1.0 / 5 / 2, 1e-7);
  EXPECT_NEAR(importance[2], 1.0 / 5 / 2, 1e-7);
  EXPECT_NEAR(importance[3], 0.2 / 5 / 2, 1e-7);
  EXPECT_THAT(strongest_tokens(importance, 2), ElementsAre(0, 1));
  EXPECT_THAT(strongest_tokens(importance, 99).size(), 6U);
}

TEST(Needles, the_span_is_the_first_window_with_more_than_nine_tenths_of_the_answers_ids) {
  EXPECT_EQ(find_span({9, 5, 6, 7, 5}, {6, 7}), (PositionRange{2, 4}));
  EXPECT_EQ(find_span({9, 5, 7, 6}, {6, 7}), (PositionRange{2, 4})) << "the order does not matter";
  EXPECT_EQ(find_span({9, 5, 7}, {6, 7}), (PositionRange{})) << "half is too little";
  EXPECT_EQ(find_span({9}, {6, 7}), (PositionRange{}));
}

TEST(Needles, recall_counts_each_word_of_the_answer_as_often_as_it_is_there) {
  EXPECT_DOUBLE_EQ(unigram_recall("It is Amber, pearl.", "amber pearl copper"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(unigram_recall("to be", "to be or not to be"), 2.0 / 6);
  EXPECT_DOUBLE_EQ(unigram_recall("", "amber"), 0.0);
  EXPECT_DOUBLE_EQ(unigram_recall("He visited the parks and was eating", "visiting parked eat was"), 4.0 / 4)
      << "stems";
  EXPECT_DOUBLE_EQ(unigram_recall("cat dog", "cats"), 1.0) << "four letters have a stem";
  EXPECT_DOUBLE_EQ(unigram_recall("gas", "ga"), 0.0) << "three letters have none";
}

TEST(Needles, random_others_never_include_the_heads_under_test_and_follow_the_seed) {
  const std::vector<size_t> tested{0, 3, 5, 7};
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto others = needles::draw_others(12, tested, 4, seed);
    EXPECT_EQ(others.size(), 4U);
    for (const size_t head : others) EXPECT_EQ(std::count(tested.begin(), tested.end(), head), 0);
    EXPECT_EQ(others, needles::draw_others(12, tested, 4, seed));
  }
  EXPECT_NE(needles::draw_others(1000, {}, 10, 1), needles::draw_others(1000, {}, 10, 2));
  EXPECT_EQ(needles::draw_others(6, tested, 4, 1), (std::vector<size_t>{1, 2, 4}))
      << "no more than there are";
}

class HeadLists : public testing::Test {
 protected:
  HeadLists() {
    spec_.n_layer = 2;
    spec_.n_head = 2;
  }
  std::filesystem::path written(const std::string& text) const {
    std::ofstream(path_) << text;
    return path_;
  }
  std::string refusal(const std::string& text) const {
    const auto scores = read_head_scores(written(text), spec_);
    return scores.ok() ? std::string() : scores.error().to_string();
  }
  ModelSpec spec_;
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / "saccade_head_scores.json";
};

TEST_F(HeadLists, what_is_written_is_read_again_highest_mean_first) {
  const ScoresOfHeads scores{{0.25, 0.5}, {0.0, 0.0}, {1.0, 0.875}, {0.1, 0.3}};
  ASSERT_TRUE(write_head_scores(path_, scores, spec_).ok());
  std::ifstream in(path_);
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, R"({"1-0":[1.0,0.875],"0-0":[0.25,0.5],"1-1":[0.1,0.3],"0-1":[0.0,0.0]})");
  EXPECT_EQ(*read_head_scores(path_, spec_), scores);
  EXPECT_THAT(means_of(scores), ElementsAre(0.375, 0.0, 0.9375, 0.2));
  EXPECT_NEAR(deviation_of(scores[0]), 0.17677669529, 1e-10);
  EXPECT_TRUE(std::isnan(deviation_of(std::vector<double>{1.0})));
}

TEST_F(HeadLists, a_list_for_another_model_or_no_list_is_refused) {
  EXPECT_THAT(refusal(R"({"0-0":[1],"31-31":[0.5]})"),
              HasSubstr("32 layers of 32 heads, this one has 2 of 2"));
  EXPECT_THAT(refusal("[1, 2]"), HasSubstr("expected head scores"));
  EXPECT_THAT(refusal(R"({"0.0":[1]})"), HasSubstr("'0.0' is not LAYER-HEAD"));
  EXPECT_THAT(refusal(R"({"1-1":["high"]})"), HasSubstr("not a number"));
  EXPECT_THAT(refusal(R"({"1-1":0.5})"), HasSubstr("not a list"));
}

}  // namespace
}  // namespace saccade
