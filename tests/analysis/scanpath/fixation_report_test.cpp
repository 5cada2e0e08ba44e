#include "analysis/scanpath/fixation_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(std::string_view text) {
  const auto set = parse_fixation_report(text, {});
  return set.ok() ? "(accepted)" : set.error().to_string();
}

TEST(FixationReport, columns_are_found_by_name_in_any_order_and_spelling) {
  const auto set = parse_fixation_report(
      "\xef\xbb\xbf\"Fix "
      "Duration\";Subject;IMAGE;fix_Y;Fix-X\r\n200;a;p.jpg;2,5;1\r\n\r\n300;a;p.jpg;4;3\r\n",
      {});
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  ASSERT_EQ(set->paths.size(), 1U);
  const Scanpath& path = set->paths[0];
  EXPECT_EQ(path.subject, "a");
  EXPECT_EQ(path.stimulus, "p.jpg");
  ASSERT_EQ(path.fixations.size(), 2U);
  EXPECT_EQ(path.fixations[0].x, 1.0);
  EXPECT_EQ(path.fixations[0].y, 2.5);  // a decimal comma, as the separator is none
  EXPECT_EQ(path.fixations[1].duration, 300.0);
  EXPECT_TRUE(set->findings.empty());
}

TEST(FixationReport, rows_become_paths_by_subject_stimulus_and_trial_in_the_order_of_the_index) {
  const auto set = parse_fixation_report(
      "x,y,duration,subject,image,trial,fix_index\n3,0,100,s1,a,1,2\n1,0,100,s1,a,1,1\n7,0,100,s2,a,1,1\n"
      "9,0,100,s1,a,2,1\n",
      {});
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->paths.size(), 3U);
  EXPECT_EQ(set->paths[0].fixations[0].x, 1.0);
  EXPECT_EQ(set->paths[0].fixations[1].x, 3.0);
  EXPECT_EQ(set->of_stimulus("a").size(), 3U);
  EXPECT_THAT(set->stimuli(), ElementsAre("a"));
  EXPECT_EQ(set->fixation_count(), 4);
}

TEST(FixationReport, seconds_are_noticed_and_said_and_a_named_unit_is_believed) {
  const auto guessed = parse_fixation_report("x\ty\tduration\n1\t1\t0.2\n2\t2\t0.3\n", {});
  ASSERT_TRUE(guessed.ok());
  EXPECT_NEAR(guessed->paths[0].fixations[0].duration, 200.0, 1e-9);
  EXPECT_THAT(guessed->findings, ElementsAre(HasSubstr("taken as seconds")));
  const auto named = parse_fixation_report("x,y,duration_ms\n1,1,0.2\n", {});
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->paths[0].fixations[0].duration, 0.2);
  const auto told = parse_fixation_report("x,y,duration\n1,1,0.2\n", {{}, TimeUnit::milliseconds, {}, {}});
  EXPECT_EQ(told->paths[0].fixations[0].duration, 0.2);
}

TEST(FixationReport, rows_without_a_point_are_left_out_and_points_outside_are_counted) {
  const auto set = parse_fixation_report("x,y,duration\n1,NaN,100\n.,2,100\n5,5,100\n900,5,100\n-3,5,100\n",
                                         {{10, 10}, TimeUnit::automatic, {}, {}});
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->paths[0].fixations.size(), 3U);
  EXPECT_THAT(set->findings, ElementsAre(HasSubstr("2 of 5 rows have no x or no y"),
                                         HasSubstr("2 of 3 fixations lie outside"),
                                         HasSubstr("size of the picture is probably wrong")));
  const auto inside = inside_picture(set->paths[0]);
  ASSERT_TRUE(inside.ok());
  EXPECT_EQ(inside->path.fixations.size(), 1U);
  EXPECT_EQ(inside->outside, 2);
}

TEST(FixationReport, what_cannot_be_read_is_refused_with_the_line_and_the_reason) {
  EXPECT_THAT(refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(refusal("a,b\n1,2\n"), HasSubstr("no column holds x and y: the header has a, b"));
  EXPECT_THAT(refusal("x,b\n1,2\n"), HasSubstr("no column holds y"));
  EXPECT_THAT(refusal("x,y\n1\n"), HasSubstr("line 2: 1 fields where the header has 2"));
  EXPECT_THAT(refusal("x,y\n\n1,two\n"), HasSubstr("line 3: column 'y' says 'two'"));
  EXPECT_THAT(refusal("x,y\n1,\"2\n"), HasSubstr("line 2: a quote is opened and never closed"));
  EXPECT_THAT(refusal("x,y,duration\n1,2,-5\n"), HasSubstr("a duration of -5"));
  EXPECT_THAT(refusal("x,y,word\n1,2,1.5\n"), HasSubstr("a word index of 1.5"));
  EXPECT_THAT(refusal("x,y\n"), HasSubstr("holds no fixation"));
  EXPECT_THAT(refusal("x,y,width,height\n1,2,0,9\n"), HasSubstr("a picture of 0 x 9"));
  EXPECT_THAT(refusal(std::string_view("x,y\n1,2\0", 9)), HasSubstr("zero bytes"));
}

TEST(FixationReport, paths_of_other_sizes_or_too_few_fixations_are_not_compared) {
  const Scanpath one = gaze::path_of({{1, 1, 100, {}, {}}}),
                 other = gaze::path_of({{1, 1, 100, {}, {}}}, {50, 50});
  EXPECT_THAT(check_comparable(one, one, 3).error().message,
              HasSubstr("has 1 fixation; this comparison needs"));
  EXPECT_THAT(check_comparable(one, other, 1).error().message, HasSubstr("rescale one of them first"));
  const auto scaled = rescaled(one, {50, 50});
  ASSERT_TRUE(scaled.ok());
  EXPECT_EQ(scaled->fixations[0].x, 0.5);
  EXPECT_TRUE(check_comparable(*scaled, other, 1).ok());
  Scanpath unknown = one;
  unknown.size = {};
  EXPECT_THAT(check_comparable(one, unknown, 1).error().message,
              HasSubstr("size of the picture is not known"));
}

TEST(FixationReport, reads_the_reading_data_as_the_eye_tracker_wrote_it) {
  SACCADE_NEEDS_GAZE("onestop");
  const auto set = read_scanpaths(gaze::data_folder() / "onestop" / "fixations.csv");
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  EXPECT_EQ(set->paths.size(), 24U);
  EXPECT_EQ(set->fixation_count(), 3209);
  const Scanpath& first = set->paths[0];
  EXPECT_EQ(first.subject, "l37_1129");
  EXPECT_EQ(first.stimulus, "l37_1129_2_2_1_Adv_r0");
  EXPECT_EQ(first.fixations[0].start, 18288.0);
  EXPECT_EQ(first.fixations[0].word, 0);  // "Robert" is area 1 there
  EXPECT_EQ(first.fixations[2].word, 1);
}

}  // namespace
}  // namespace saccade
