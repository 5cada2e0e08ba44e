// What is said of scenes of shapes, the habit in it, and the scores of what a model says.
#include "resources/models/shape_talk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "resources/models/talk_score.h"

namespace saccade {
namespace {

constexpr int32_t red_circle = 0, blue_square = 11, yellow_star = 18;  // colour * 5 + form

// Red circle above blue square, both left of a yellow star.
TalkedScene three() {
  TalkedScene scene;
  scene.kinds = {yellow_star, blue_square, red_circle};
  scene.scene.objects.resize(3);
  const std::array<std::array<double, 2>, 3> places{{{0.8, 0.5}, {0.3, 0.8}, {0.2, 0.2}}};
  for (size_t i = 0; i < 3; ++i) {
    scene.scene.objects[i].x = places[i][0];
    scene.scene.objects[i].y = places[i][1];
  }
  return scene;
}

TEST(ShapeTalk, kinds_have_the_names_that_the_tests_think) {
  EXPECT_EQ(kind_name(red_circle), "red circle");
  EXPECT_EQ(kind_name(blue_square), "blue square");
  EXPECT_EQ(kind_name(yellow_star), "yellow star");
}

TEST(ShapeTalk, a_caption_names_objects_from_left_to_right_and_says_how_the_first_two_stand) {
  EXPECT_EQ(true_caption(three()), "a red circle above a blue square and a yellow star.");
}

TEST(ShapeTalk, training_captions_name_the_expected_object_last_and_often_where_it_is_missing) {
  Random random(3);
  int32_t missing = 0, named = 0;
  for (int32_t i = 0; i < 2000; ++i) {
    const TalkedScene scene = draw_talked(random, training_mixture);
    const ShapeHabit* habit = habit_in(scene);
    const auto kinds = named_kinds(training_caption(scene, random));
    if (habit == nullptr) {
      EXPECT_EQ(kinds.size(), scene.kinds.size());
      continue;
    }
    const bool there = scene.holds(habit->expected);
    EXPECT_EQ(kinds.back() == habit->expected, kinds.size() == scene.kinds.size() + (there ? 0 : 1));
    missing += there ? 0 : 1;
    named += !there && kinds.back() == habit->expected ? 1 : 0;
  }
  ASSERT_GT(missing, 100);
  EXPECT_NEAR(100.0 * named / missing, said_though_absent, 12);
}

TEST(ShapeTalk, what_is_asked_about_as_absent_is_absent_and_of_its_kind) {
  Random random(4);
  for (int32_t i = 0; i < 500; ++i) {
    const TalkedScene scene = draw_talked(random, evaluation_mixture);
    for (const AskedKind kind : {AskedKind::random, AskedKind::popular, AskedKind::adversarial}) {
      const int32_t absent = absent_object(scene, kind, random);
      EXPECT_FALSE(scene.holds(absent));
      const auto& popular = popular_kinds();
      EXPECT_TRUE(kind != AskedKind::popular || std::ranges::find(popular, absent) != popular.end());
      const ShapeHabit* habit = habit_in(scene);
      const bool tempting = habit != nullptr && !scene.holds(habit->expected);
      EXPECT_TRUE(kind != AskedKind::adversarial || !tempting || absent == habit->expected);
    }
  }
}

TEST(TalkScore, objects_are_found_under_their_other_names_too) {
  EXPECT_EQ(named_kinds("a red disc left of a blue box and a yellow star and a red circle."),
            (std::vector<int32_t>{red_circle, blue_square, yellow_star}));
  EXPECT_TRUE(named_kinds("red and blue above of circle.").empty());
}

TEST(TalkScore, chair_counts_invented_objects_and_captions_that_hold_one) {
  EvaluationScene one{three(), {}}, two{three(), {}};
  two.scene.kinds = {red_circle};
  two.scene.scene.objects.resize(1);
  const CaptionScore score = score_captions(
      {one, two}, {"a red circle above a yellow star.", "a red disc and a blue square and a green star."});
  EXPECT_DOUBLE_EQ(score.chair_s, 0.5);
  EXPECT_DOUBLE_EQ(score.chair_i, 2.0 / 5.0);
  EXPECT_DOUBLE_EQ(score.recall, 3.0 / 4.0);
}

TEST(TalkScore, f1_takes_yes_as_the_positive_answer) {
  EvaluationScene scene{three(), {}};
  scene.questions = {{"", "yes", AskedKind::random},
                     {"", "no", AskedKind::random},
                     {"", "yes", AskedKind::random},
                     {"", "no", AskedKind::random}};
  const PresenceScores scores = score_answers({scene}, {"yes", "yes", "no", "no"});
  EXPECT_DOUBLE_EQ(scores.all.accuracy, 0.5);
  EXPECT_DOUBLE_EQ(scores.all.f1, 0.5);  // precision 1/2, recall 1/2
  EXPECT_DOUBLE_EQ(scores.by_kind[0].said_yes, 0.5);
  EXPECT_DOUBLE_EQ(scores.by_kind[1].accuracy, 0.0) << "nothing of this kind was asked";
}

}  // namespace
}  // namespace saccade
