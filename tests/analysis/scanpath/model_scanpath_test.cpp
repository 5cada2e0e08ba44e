// Scanpaths that models make: winner-take-all, attention, object sequences, visual search.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/scanpath/attention_scanpath.h"
#include "analysis/scanpath/object_scanpath.h"
#include "analysis/scanpath/visual_search.h"
#include "analysis/scanpath/winner_take_all.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SaliencyMap peaks(PictureSize size, const std::vector<std::pair<Pixel, double>>& heights) {
  SaliencyMap map(size);
  for (const auto& [pixel, height] : heights) map.at(pixel.x, pixel.y) = height;
  return map;
}

std::vector<std::pair<int64_t, int64_t>> pixels_of(const WinnerPath& walked) {
  std::vector<std::pair<int64_t, int64_t>> pixels;
  for (const WinnerStep& step : walked.steps) pixels.emplace_back(step.pixel.x, step.pixel.y);
  return pixels;
}

TEST(WinnerTakeAll, peaks_are_visited_from_high_to_low_and_then_it_stops) {
  const auto map = peaks({30, 20}, {{{5, 5}, 3.0}, {{25, 15}, 2.0}, {{6, 5}, 2.9}, {{25, 3}, 1.0}});
  const auto walked = winner_take_all(map, {.fixations = 10, .radius = 4.0});
  ASSERT_TRUE(walked.ok());
  // The neighbour at (6, 5) is inhibited with the first.
  EXPECT_THAT(pixels_of(*walked), ElementsAre(std::pair(5, 5), std::pair(25, 15), std::pair(25, 3)));
  EXPECT_EQ(walked->path.fixations[0].x, 5.5);
  EXPECT_EQ(walked->path.fixations[2].start, 500.0);
}

TEST(WinnerTakeAll, inhibition_that_wears_off_lets_the_highest_peak_win_again) {
  const auto map = peaks({30, 20}, {{{5, 5}, 3.0}, {{25, 15}, 1.0}});
  const auto walked = winner_take_all(map, {.fixations = 4, .radius = 2.0, .recovery = 0.5});
  ASSERT_TRUE(walked.ok());
  // Left of 3 after one step: 0, then 0.5 * 3 = 1.5.
  EXPECT_THAT(pixels_of(*walked),
              ElementsAre(std::pair(5, 5), std::pair(25, 15), std::pair(5, 5), std::pair(25, 15)));
  EXPECT_NEAR(walked->steps[2].value, 1.5, 1e-12);
}

TEST(WinnerTakeAll, may_begin_at_the_centre_and_refuses_what_makes_no_sense) {
  const auto map = peaks({30, 20}, {{{5, 5}, 3.0}});
  const auto walked = winner_take_all(map, {.fixations = 3, .radius = 2.0, .begin_at_centre = true});
  ASSERT_TRUE(walked.ok());
  EXPECT_THAT(pixels_of(*walked), ElementsAre(std::pair(15, 10), std::pair(5, 5)));
  EXPECT_FALSE(winner_take_all(map, {.fixations = 0}).ok());
  EXPECT_FALSE(winner_take_all(map, {.keeps = 2.0}).ok());
  EXPECT_EQ(winner_take_all(SaliencyMap({4, 4}, 1.0))->steps.size(), 1U);  // a flat map: nothing to go to
}

HostTensor rows_of(const std::vector<std::vector<float>>& rows) {
  HostTensor tensor({static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())}, false);
  auto out = tensor.mutable_values().begin();
  for (const auto& row : rows) out = std::copy(row.begin(), row.end(), out);
  return tensor;
}

TEST(AttentionScanpath, each_row_looks_at_its_highest_patch_and_sinks_are_left_out) {
  // 2 x 3 patches; patch 0 draws most of every row.
  const HostTensor rows = rows_of({{.8F, .01F, .01F, .01F, .05F, .01F}, {.8F, .01F, .06F, .01F, .01F, .01F}});
  const auto found = attention_scanpath(rows, {2, 3}, {300, 200}, {.sigma = 0.0});
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_THAT(found->sinks, ElementsAre(0));
  ASSERT_EQ(found->steps.size(), 2U);
  EXPECT_EQ(found->steps[0].patch, 4);
  EXPECT_NEAR(found->steps[0].mass, 0.89, 1e-6);
  EXPECT_NEAR(found->steps[0].share, 0.05 / 0.09, 1e-6);
  EXPECT_EQ(found->path.fixations[0].x, 150.0);
  EXPECT_EQ(found->path.fixations[0].y, 150.0);
  EXPECT_EQ(found->path.fixations[1].x, 250.0);
  EXPECT_EQ(found->path.fixations[1].word, 1);
  const auto kept = attention_scanpath(rows, {2, 3}, {300, 200}, {.sink_times = 0.0, .sigma = 0.0});
  EXPECT_EQ(kept->steps[0].patch, 0);
  const Table table = attention_steps_table(*found, {2, 3}, {"a", "cat"});
  EXPECT_EQ(std::get<std::string>(table.rows[1][1]), "cat");
  EXPECT_EQ(std::get<int64_t>(table.rows[0][3]), 1);
}

TEST(AttentionScanpath, inhibition_moves_on_and_recovers) {
  std::vector<float> row(25, 0.01F);
  row[6] = 0.5F;   // (1, 1)
  row[24] = 0.2F;  // (4, 4), outside the 3 x 3 about it
  const HostTensor rows = rows_of(std::vector<std::vector<float>>(5, row));
  const AttentionScanpathOptions options{.sink_times = 0.0, .sigma = 0.0, .inhibition = true};
  const auto found = attention_scanpath(rows, {5, 5}, {50, 50}, options);
  ASSERT_TRUE(found.ok());
  // .5*.2=.1 < .2; then .2*.2*1.3^k climbs with the other: .5*.2*1.3 = .13 > .2*.2 = .04.
  std::vector<int64_t> patches;
  for (const auto& step : found->steps) patches.push_back(step.patch);
  EXPECT_THAT(patches, ElementsAre(6, 24, 6, 6, 6));
}

TEST(AttentionScanpath, a_flat_row_has_the_entropy_of_its_patches_and_smoothing_prefers_a_group) {
  const auto flat = attention_scanpath(rows_of({{.1F, .1F, .1F, .1F}}), {2, 2}, {20, 20});
  EXPECT_NEAR(flat->steps[0].entropy, std::log(4.0), 1e-6);
  std::vector<float> row(49, 0.0F);
  row[0] = 0.3F;  // a single patch in the corner
  for (const int j : {23, 24, 25, 17, 31}) row[static_cast<size_t>(j)] = 0.25F;  // a cross in the middle
  const auto smooth = attention_scanpath(rows_of({row}), {7, 7}, {70, 70}, {.sink_times = 0.0, .sigma = 1.0});
  EXPECT_EQ(smooth->steps[0].patch, 24);
}

TEST(AttentionScanpath, rows_that_are_no_attention_are_refused_and_steps_that_look_nowhere_are_named) {
  EXPECT_THAT(attention_scanpath(rows_of({{.1F, .1F}}), {2, 2}, {20, 20}).error().message,
              HasSubstr("shape [1, 2] for a grid of 2 x 2"));
  EXPECT_THAT(attention_scanpath(rows_of({{.1F, -1.F, 0, 0}}), {2, 2}, {20, 20}).error().message,
              HasSubstr("step 0 gives patch 1 an attention of -1"));
  EXPECT_FALSE(attention_scanpath(rows_of({{.1F, .1F, 0, 0}}), {2, 2}, {}).ok());
  const auto found =
      attention_scanpath(rows_of({{0, 0, 0, 0}, {.1F, .2F, .1F, .1F}}), {2, 2}, {20, 20}, {.sigma = 0.0});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->steps.size(), 1U);
  EXPECT_THAT(found->findings, ElementsAre(HasSubstr("Steps 0 give the picture no attention")));
  EXPECT_FALSE(attention_scanpath(rows_of({{0, 0, 0, 0}}), {2, 2}, {20, 20}).ok());
}

TEST(ObjectScanpath, the_worked_example_of_the_ratios_holds) {
  const auto ratios = behaviour_ratios({0, 0, 1, 0, 2}, 2);
  EXPECT_NEAR(ratios.search, 0.6, 1e-12);
  EXPECT_NEAR(ratios.refixation, 0.2, 1e-12);
  EXPECT_NEAR(ratios.revisit, 0.2, 1e-12);
  EXPECT_EQ(ratios.found, 1.0);
  EXPECT_EQ(ratios.length, 5.0);
  EXPECT_EQ(behaviour_distance(ratios, ratios), 0.0);
  // Against a path of twice the length and half the search: (.6 / .3 - 1 + 0 + 0 + 0 + .5) / 5.
  BehaviourRatios human = ratios;
  human.search = 0.3;
  human.length = 10.0;
  EXPECT_NEAR(behaviour_distance(ratios, human), (1.0 + 0.5) / 5.0, 1e-12);
}

TEST(ObjectScanpath, fixations_go_to_the_smallest_box_and_dwell_adds_up) {
  const std::vector<ObjectBox> boxes{{"room", 0, 0, 100, 100}, {"cup", 10, 10, 20, 20}};
  const Scanpath path =
      gaze::path_of({{15, 15, 100, {}, {}}, {16, 15, 50, {}, {}}, {50, 50, 70, {}, {}}, {150, 0, 9, {}, {}}});
  const auto found = object_scanpath(path, boxes);
  ASSERT_TRUE(found.ok());
  EXPECT_THAT(found->objects, ElementsAre(1, 1, 0));
  ASSERT_EQ(found->steps.size(), 2U);
  EXPECT_EQ(found->steps[0].dwell, 150.0);
  EXPECT_EQ(found->elsewhere, 1);
  EXPECT_FALSE(object_scanpath(path, {}).ok());
  EXPECT_THAT(object_scanpath(path, {{"flat", 0, 0, 0, 5}}).error().message, HasSubstr("has no area"));
}

TEST(VisualSearch, goes_to_the_highest_place_not_yet_seen_until_the_target_lies_under_it) {
  const auto map = peaks({100, 80}, {{{20, 20}, 3.0}, {{80, 20}, 2.0}, {{20, 60}, 1.0}});
  VisualSearchOptions options;
  options.inhibition = 10.0;
  const auto found = visual_search({100, 80}, {"target", 18, 58, 23, 63}, options,
                                   [&](const Fixation&) { return Result<SaliencyMap>(map); });
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->found);
  EXPECT_EQ(found->fixations, 4);  // the centre, the two distractors, the target
  options.fixations = 2;
  EXPECT_FALSE(visual_search({100, 80}, {"target", 18, 58, 23, 63}, options, [&](const Fixation&) {
                 return Result<SaliencyMap>(map);
               })->found);
}

TEST(VisualSearch, layers_are_weighed_by_their_maxima) {
  SaliencyMap strong({2, 1}), weak({2, 1});
  strong.values = {0.0, 3.0};
  weak.values = {1.0, 0.5};
  const auto sum = combined_search_map({strong, weak}, {2, 1});
  ASSERT_TRUE(sum.ok());
  EXPECT_NEAR(sum->at(0, 0), 0.25, 1e-12);
  EXPECT_NEAR(sum->at(1, 0), 0.75, 1e-12);
  EXPECT_FALSE(combined_search_map({SaliencyMap({2, 1})}, {2, 1}).ok());
}

TEST(VisualSearch, sight_is_sharp_where_the_eye_is_and_a_mean_far_away) {
  HostTensor features({1, 11, 1}, false);
  for (int64_t j = 0; j < 11; ++j) features.mutable_values()[static_cast<size_t>(j)] = j == 10 ? 9.0F : 0.0F;
  const auto there = eccentric_features(features, 0, 10, 0.16),
             away = eccentric_features(features, 0, 0, 0.16);
  ASSERT_TRUE(there.ok() && away.ok());
  EXPECT_EQ(there->at({0, 10, 0}), 9.0F);
  // From 10 patches away k = round(1.6) = 2: three patches of the window exist.
  EXPECT_NEAR(away->at({0, 10, 0}), 3.0F, 1e-6);
  const auto match = match_map(features, {2.0F});
  EXPECT_NEAR(match->at(10, 0), 1.0, 1e-12);
  EXPECT_EQ(match->at(0, 0), 0.0);
  EXPECT_FALSE(match_map(features, {1.0F, 2.0F}).ok());
}

}  // namespace
}  // namespace saccade
