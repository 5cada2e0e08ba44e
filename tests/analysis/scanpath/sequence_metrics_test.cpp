#include "analysis/scanpath/sequence_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "analysis/scanpath/path_distance.h"
#include "analysis/scanpath/recurrence.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using gaze::path_of;
using testing::ElementsAre;
using testing::HasSubstr;

AreaSequence letters(const std::string& text) { return {text.begin(), text.end()}; }

Fixation at(double x, double y, double duration = 100.0) { return {x, y, duration, {}, {}}; }

TEST(SequenceMetrics, the_worked_examples_hold) {
  EXPECT_NEAR(sequence_score(letters("ABC"), letters("AC")), 2.0 / 3.0, 1e-12);
  EXPECT_EQ(levenshtein(letters("kitten"), letters("sitting")), 3);
  EXPECT_EQ(levenshtein(letters(""), letters("abc")), 3);
  EXPECT_NEAR(levenshtein_similarity(letters("ABC"), letters("AC")), 2.0 / 3.0, 1e-12);
  EXPECT_EQ(levenshtein_similarity({}, {}), 1.0);
  EXPECT_EQ(sequence_score({}, letters("A")), 0.0);
  EXPECT_THAT(without_repeats({3, 3, 1, 1, 3}), ElementsAre(3, 1, 3));
}

// The definition itself, by recursion.
int64_t slow_levenshtein(const AreaSequence& a, size_t i, const AreaSequence& b, size_t j) {
  if (i == a.size()) return static_cast<int64_t>(b.size() - j);
  if (j == b.size()) return static_cast<int64_t>(a.size() - i);
  if (a[i] == b[j]) return slow_levenshtein(a, i + 1, b, j + 1);
  return 1 + std::min({slow_levenshtein(a, i + 1, b, j), slow_levenshtein(a, i, b, j + 1),
                       slow_levenshtein(a, i + 1, b, j + 1)});
}

TEST(SequenceMetrics, the_edit_distance_is_the_recursive_definition) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    AreaSequence a(random() % 7), b(random() % 7);
    for (auto* sequence : {&a, &b})
      for (int64_t& area : *sequence) area = static_cast<int64_t>(random() % 3);
    EXPECT_EQ(levenshtein(a, b), slow_levenshtein(a, 0, b, 0));
  }
}

TEST(SequenceMetrics, fixations_fall_into_the_cells_of_the_grid) {
  const auto cells = grid_sequence(path_of({at(0, 0), at(99, 0), at(50, 99), at(-5, 200)}), {2, 4});
  ASSERT_TRUE(cells.ok());
  EXPECT_THAT(*cells, ElementsAre(0, 3, 6, 4));
  EXPECT_FALSE(grid_sequence(path_of({at(0, 0)}), {0, 4}).ok());
}

// Cells one apart score 3.5 - 1, the same cell 3.5; two letters each: (3.5 + 2.5) / (3.5 * 2).
TEST(ScanMatch, a_small_pair_scores_what_the_equations_give) {
  const ScanMatchOptions no_time{{10, 10}, 3.5, 0.0, 0.0};
  const Scanpath a = path_of({at(5, 5), at(35, 35)}), b = path_of({at(5, 5), at(45, 35)});
  EXPECT_NEAR(*scanmatch(a, a, no_time), 1.0, 1e-12);
  EXPECT_NEAR(*scanmatch(a, b, no_time), 6.0 / 7.0, 1e-12);
  // A far pair is better left unpaired: only the first letter counts.
  EXPECT_NEAR(*scanmatch(a, path_of({at(5, 5), at(95, 95)}), no_time), 0.5, 1e-12);
  // With time bins of 50 ms a fixation of 200 ms is four letters against two.
  EXPECT_NEAR(*scanmatch(path_of({at(5, 5, 200)}), path_of({at(5, 5, 100)}), {{10, 10}, 3.5, 0.0, 50.0}), 0.5,
              1e-12);
}

TEST(ScanMatch, what_makes_no_sense_is_refused) {
  const Scanpath brief = path_of({at(5, 5, 10)});
  EXPECT_THAT(scanmatch(brief, brief).error().message, HasSubstr("no fixation of half a time bin"));
  EXPECT_FALSE(scanmatch(brief, brief, {{10, 10}, 0.0, 0.0, 0.0}).ok());
  EXPECT_THAT(scanmatch(path_of({at(5, 5, 1e9)}), brief).error().message, HasSubstr("choose a longer bin"));
  EXPECT_FALSE(scanmatch(path_of({}), brief).ok());
}

// All monotone pairings, by recursion: the least sum and the least largest distance.
struct Slow {
  const Scanpath &a, &b;
  [[nodiscard]] double through(size_t i, size_t j, const std::function<double(double, double)>& step) const {
    const double d = std::hypot(a.fixations[i].x - b.fixations[j].x, a.fixations[i].y - b.fixations[j].y);
    const bool down = i + 1 < a.fixations.size(), right = j + 1 < b.fixations.size();
    if (!down && !right) return d;
    double best = 1e300;
    if (down) best = std::min(best, through(i + 1, j, step));
    if (right) best = std::min(best, through(i, j + 1, step));
    if (down && right) best = std::min(best, through(i + 1, j + 1, step));
    return step(best, d);
  }
};

TEST(PathDistance, warping_and_frechet_are_the_best_of_all_pairings) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> place(0.0, 100.0);
  for (int round = 0; round < 20; ++round) {
    Scanpath a = path_of({}), b = path_of({});
    for (size_t i = 0; i < 1 + random() % 6; ++i) a.fixations.push_back(at(place(random), place(random)));
    for (size_t i = 0; i < 1 + random() % 6; ++i) b.fixations.push_back(at(place(random), place(random)));
    const Slow slow{a, b};
    EXPECT_NEAR(dtw(a, b)->sum, slow.through(0, 0, [](double x, double d) { return x + d; }), 1e-9);
    EXPECT_NEAR(*frechet(a, b), slow.through(0, 0, [](double x, double d) { return std::max(x, d); }), 1e-12);
  }
  const Scanpath line = path_of({at(0, 0), at(10, 0), at(20, 0)}), beside = path_of({at(0, 5), at(20, 5)});
  EXPECT_NEAR(*frechet(line, beside), std::hypot(10.0, 5.0), 1e-12);
  EXPECT_EQ(dtw(line, line)->sum, 0.0);
  EXPECT_EQ(dtw(line, line)->pairs, 3);
  EXPECT_FALSE(frechet(line, path_of({})).ok());
}

// A B C A B: pairs (0,3) and (1,4) recur, on one diagonal, three steps apart.
TEST(Recurrence, a_repeated_sequence_is_a_diagonal) {
  const Scanpath path = path_of({at(0, 0), at(50, 0), at(0, 50), at(1, 0), at(50, 1)});
  const auto found = recurrence(path, {5.0, 2});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->points, 2);
  EXPECT_NEAR(found->recurrence, 100.0 * 2 / 10, 1e-12);
  EXPECT_NEAR(found->determinism, 100.0, 1e-12);
  EXPECT_NEAR(found->laminarity, 0.0, 1e-12);
  EXPECT_NEAR(found->centre, 100.0 * 6.0 / (4 * 2), 1e-12);
}

// A B B B: (1,2), (1,3), (2,3) recur; rows 1 and columns 3 hold lines of two; the diagonal (1,2), (2,3).
TEST(Recurrence, staying_in_one_place_is_laminar) {
  const auto found = recurrence(path_of({at(0, 0), at(50, 0), at(50, 1), at(50, 2)}), {5.0, 2});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->points, 3);
  EXPECT_NEAR(found->laminarity, 100.0 * (2 + 2) / (2.0 * 3), 1e-12);
  EXPECT_NEAR(found->determinism, 100.0 * 2 / 3, 1e-12);
}

TEST(Recurrence, of_two_equal_paths_holds_the_main_diagonal_and_the_longer_is_cut) {
  const Scanpath a = path_of({at(0, 0), at(50, 0), at(0, 50)});
  const Scanpath longer = path_of({at(0, 0), at(50, 0), at(0, 50), at(90, 90)});
  const auto found = cross_recurrence(longer, a, {5.0, 2});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->fixations, 3);
  EXPECT_NEAR(found->recurrence, 100.0 * 3 / 9, 1e-12);
  EXPECT_NEAR(found->determinism, 100.0, 1e-12);
  EXPECT_NEAR(found->centre, 0.0, 1e-12);
  EXPECT_THAT(recurrence(path_of({at(1, 1)})).error().message, HasSubstr("has 1 fixations"));
  EXPECT_FALSE(recurrence(a, {0.0, 2}).ok());
  EXPECT_EQ(recurrence(a, {1.0, 2})->determinism, 0.0);
}

}  // namespace
}  // namespace saccade
