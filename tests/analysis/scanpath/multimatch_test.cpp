#include "analysis/scanpath/multimatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "analysis/scanpath/fixation_report.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

Scanpath segment(const std::string& name) {
  auto set =
      read_scanpaths(gaze::data_folder() / "multimatch" / name, {{1280, 720}, TimeUnit::seconds, {}, {}});
  EXPECT_TRUE(set.ok()) << set.error().to_string();
  return set.ok() ? set->paths.at(0) : Scanpath();
}

void expect_values(const MultiMatch& found, const nlohmann::json& expected, double tolerance) {
  ASSERT_EQ(expected.size(), 5U);
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(found.values()[i], expected[i].get<double>(), tolerance) << i;
}

TEST(MultiMatch, equals_the_matlab_toolbox_with_and_without_simplifying) {
  SACCADE_NEEDS_GAZE("multimatch");
  const auto expected = gaze::read_json(gaze::data_folder() / "multimatch" / "expected.json");
  const Scanpath a = segment(expected["scanpath1"]), b = segment(expected["scanpath2"]);
  const auto plain = multimatch(a, b);
  ASSERT_TRUE(plain.ok()) << plain.error().to_string();
  expect_values(*plain, expected["no_grouping"], expected["tolerance"]);
  const auto& grouping = expected["grouping"];
  const auto simplified = multimatch(
      a, b, {true, grouping["TDir_deg"], grouping["TDur_s"].get<double>() * 1000.0, grouping["TAmp_px"]});
  ASSERT_TRUE(simplified.ok());
  expect_values(*simplified, grouping["values"], expected["tolerance"]);
}

// Every recording: itself alike in all respects; both ways round the same; simplifying ends.
TEST(MultiMatch, every_recorded_path_is_like_itself_and_comparing_is_symmetric) {
  SACCADE_NEEDS_GAZE("multimatch");
  std::map<std::string, std::vector<Scanpath>> pairs;
  int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(gaze::data_folder() / "multimatch")) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".tsv") continue;
    const Scanpath path = segment(name);
    ++files;
    for (const bool simplify : {false, true}) {
      const auto same = multimatch(path, path, {simplify, 30.0, 100.0, 100.1});
      ASSERT_TRUE(same.ok()) << same.error().to_string();
      for (const double value : same->values()) EXPECT_EQ(value, 1.0) << name;
    }
    pairs[name.substr(0, name.find("_sub"))].push_back(path);
  }
  EXPECT_EQ(files, 110);
  for (const auto& [name, pair] : pairs) {
    ASSERT_EQ(pair.size(), 2U);
    for (const bool simplify : {false, true}) {
      const auto there = multimatch(pair[0], pair[1], {simplify, 45.0, 300.0, 146.8});
      const auto back = multimatch(pair[1], pair[0], {simplify, 45.0, 300.0, 146.8});
      ASSERT_TRUE(there.ok() && back.ok());
      for (size_t i = 0; i < 5; ++i) {
        EXPECT_NEAR(there->values()[i], back->values()[i], 1e-12) << name;
        EXPECT_GE(there->values()[i], 0.0);
        EXPECT_LE(there->values()[i], 1.0);
      }
    }
  }
}

// Two saccades right by 10 against two right by 14, starting 3 lower: by hand.
TEST(MultiMatch, the_five_numbers_of_a_small_pair_are_those_worked_out_by_hand) {
  const PictureSize size{30, 40};  // diagonal 50
  const Scanpath a = gaze::path_of({{0, 0, 100, {}, {}}, {10, 0, 100, {}, {}}, {20, 0, 100, {}, {}}}, size);
  const Scanpath b = gaze::path_of({{0, 3, 200, {}, {}}, {14, 3, 200, {}, {}}, {28, 3, 200, {}, {}}}, size);
  const auto found = multimatch(a, b);
  ASSERT_TRUE(found.ok());
  EXPECT_NEAR(found->shape, 1.0 - 4.0 / 100.0, 1e-12);
  EXPECT_NEAR(found->direction, 1.0, 1e-12);
  EXPECT_NEAR(found->length, 1.0 - 4.0 / 50.0, 1e-12);
  EXPECT_NEAR(found->position, 1.0 - (3.0 + 5.0) / 2.0 / 50.0, 1e-12);  // starts differ by 3, then by (4, 3)
  EXPECT_NEAR(found->duration, 0.5, 1e-12);
}

TEST(MultiMatch, opposite_directions_are_half_a_turn_apart_and_angles_wrap) {
  const Scanpath left = gaze::path_of({{50, 50, 1, {}, {}}, {40, 50.1, 1, {}, {}}, {30, 50.2, 1, {}, {}}});
  const Scanpath up = gaze::path_of({{50, 50, 1, {}, {}}, {40, 49.9, 1, {}, {}}, {30, 49.8, 1, {}, {}}});
  const Scanpath right = gaze::path_of({{30, 50.2, 1, {}, {}}, {40, 50.1, 1, {}, {}}, {50, 50, 1, {}, {}}});
  EXPECT_GT(multimatch(left, up)->direction, 0.99);  // +179 and -179 degrees
  EXPECT_NEAR(multimatch(left, right)->direction, 0.0, 1e-9);
}

TEST(MultiMatch, saccades_in_one_direction_are_joined_only_when_asked) {
  const Scanpath straight =
      gaze::path_of({{0, 0, 50, {}, {}}, {5, 0, 50, {}, {}}, {10, 0, 50, {}, {}}, {10, 50, 50, {}, {}}});
  const Scanpath bent = gaze::path_of({{0, 0, 50, {}, {}}, {10, 0, 50, {}, {}}, {10, 50, 50, {}, {}}});
  EXPECT_LT(multimatch(straight, bent)->shape, 1.0);
  const auto joined = multimatch(straight, bent, {true, 45.0, 300.0, 1.0});
  EXPECT_NEAR(joined->shape, 1.0, 1e-12);
  EXPECT_NEAR(joined->length, 1.0, 1e-12);
}

TEST(MultiMatch, two_fixations_make_no_comparison) {
  const Scanpath two = gaze::path_of({{0, 0, 50, {}, {}}, {5, 0, 50, {}, {}}});
  EXPECT_THAT(multimatch(two, two).error().message, testing::HasSubstr("needs at least 3"));
}

}  // namespace
}  // namespace saccade
