#include "analysis/scanpath/reading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "analysis/scanpath/delimited_text.h"
#include "analysis/scanpath/fixation_report.h"
#include "core/base/files.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::HasSubstr;

Scanpath reading(const std::vector<std::pair<int64_t, double>>& words) {
  Scanpath path;
  for (const auto& [word, duration] : words) {
    Fixation fixation;
    fixation.duration = duration;
    if (word >= 0) fixation.word = word;
    path.fixations.push_back(fixation);
  }
  return path;
}

// 0 0 | 2 | 1 | 2 | 3: word 1 is skipped at first and read on the way back.
TEST(Reading, the_measures_of_a_small_passage_are_those_worked_out_by_hand) {
  const auto words = reading_measures(reading({{0, 100}, {0, 50}, {2, 200}, {1, 80}, {2, 60}, {3, 40}}), 5);
  ASSERT_TRUE(words.ok());
  const auto& w = *words;
  EXPECT_EQ(w[0].first_fixation, 100.0);
  EXPECT_EQ(w[0].first_run, 150.0);
  EXPECT_EQ(w[0].fixations, 2);
  EXPECT_FALSE(w[0].skipped);
  EXPECT_TRUE(w[1].skipped);
  EXPECT_EQ(w[1].total, 80.0);
  EXPECT_EQ(w[1].regressions_in, 1);
  EXPECT_EQ(w[2].first_run, 200.0);
  EXPECT_EQ(w[2].second_run, 60.0);
  EXPECT_EQ(w[2].total, 260.0);
  EXPECT_EQ(w[2].regression_path, 200.0 + 80.0 + 60.0);
  EXPECT_EQ(w[2].regressions_out, 1);
  EXPECT_TRUE(w[4].skipped);
  EXPECT_EQ(w[4].fixations, 0);
}

TEST(Reading, a_glance_at_no_word_ends_a_run_and_is_in_no_words_time) {
  const auto words = reading_measures(reading({{1, 100}, {-1, 500}, {1, 30}}), 2);
  ASSERT_TRUE(words.ok());
  EXPECT_EQ((*words)[1].runs, 2);
  EXPECT_EQ((*words)[1].first_run, 100.0);
  EXPECT_EQ((*words)[1].regression_path, 130.0);
}

TEST(Reading, a_word_that_the_text_does_not_have_is_refused) {
  EXPECT_THAT(reading_measures(reading({{0, 1}, {7, 1}}), 5).error().message,
              HasSubstr("fixation 1 is on word 7 of a text of 5 words"));
  EXPECT_FALSE(reading_measures(reading({}), 0).ok());
}

TEST(Reading, fixations_find_the_box_that_holds_them_or_the_nearest_in_reach) {
  const std::vector<WordArea> words{{"a", 0, 0, 10, 10}, {"b", 10, 0, 20, 10}};
  Scanpath path;
  path.fixations = {{5, 5, 1, {}, {}}, {15, 13, 1, {}, {}}, {15, 40, 1, {}, {}}};
  const Scanpath strict = with_words(path, words), kind = with_words(path, words, 5.0);
  EXPECT_EQ(strict.fixations[0].word, 0);
  EXPECT_FALSE(strict.fixations[1].word.has_value());
  EXPECT_EQ(kind.fixations[1].word, 1);
  EXPECT_FALSE(kind.fixations[2].word.has_value());
}

TEST(Reading, word_boxes_that_contradict_themselves_are_refused) {
  const std::string header = "IA_ID,IA_LABEL,IA_LEFT,IA_TOP,IA_RIGHT,IA_BOTTOM\n";
  EXPECT_THAT(parse_word_areas("IA_ID,IA_LABEL\n").error().message, HasSubstr("no column IA_LEFT"));
  EXPECT_THAT(parse_word_areas(header + "1,a,0,0,1,1\n1,a,0,0,1,1\n").error().message,
              HasSubstr("comes twice"));
  EXPECT_THAT(parse_word_areas(header + "1,a,0,0,1,1\n3,b,0,0,1,1\n").error().message,
              HasSubstr("word 3 follows word 1"));
  EXPECT_THAT(parse_word_areas(header + "1,a,,0,1,1\n").error().message, HasSubstr("no usable IA_LEFT"));
}

TEST(Reading, rank_correlation_is_one_for_any_rising_order_and_shares_the_ranks_of_ties) {
  EXPECT_NEAR(*rank_correlation({1, 2, 3, 4}, {1, 10, 100, 1000}), 1.0, 1e-12);
  EXPECT_NEAR(*rank_correlation({1, 2, 3}, {3, 2, 1}), -1.0, 1e-12);
  // Ranks 0.5 0.5 2 3 against 0 1 2 3: r = 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(*rank_correlation({1, 1, 2, 3}, {1, 2, 3, 4}), 4.5 / std::sqrt(4.5 * 5.0), 1e-12);
  EXPECT_FALSE(rank_correlation({1, 1, 1}, {1, 2, 3}).ok());
  EXPECT_FALSE(rank_correlation({1, 2}, {1, 2}).ok());
}

// The eye tracker's own software's columns, for every word that its two readers saw. Regressions out: its
// file says otherwise for 6 words near ends of lines, by no published rule; all else agrees for all.
TEST(Reading, the_measures_of_real_readers_equal_the_recordings_own_columns) {
  SACCADE_NEEDS_GAZE("onestop");
  const auto folder = gaze::data_folder() / "onestop";
  const auto set = read_scanpaths(folder / "fixations.csv");
  const auto texts = read_word_areas(folder / "ia.csv");
  ASSERT_TRUE(set.ok() && texts.ok());
  std::map<std::string, std::vector<WordReading>> measures;
  for (const ReadText& text : *texts)
    for (const Scanpath* path : set->of_stimulus(text.stimulus)) {
      auto words = reading_measures(*path, static_cast<int64_t>(text.words.size()));
      ASSERT_TRUE(words.ok()) << words.error().to_string();
      measures[text.stimulus] = std::move(*words);
    }
  EXPECT_EQ(measures.size(), 24U);
  const std::string raw = *read_text_file(folder / "ia.csv");
  const auto table = DelimitedText::parse(raw);
  ASSERT_TRUE(table.ok());
  const auto column = [&](std::string_view name) {
    return *table->column(std::vector<std::string_view>{name});
  };
  const std::vector<std::pair<size_t, double (*)(const WordReading&)>> columns{
      {column("IA_FIRST_FIXATION_DURATION"), [](const WordReading& w) { return w.first_fixation; }},
      {column("IA_FIRST_RUN_DWELL_TIME"), [](const WordReading& w) { return w.first_run; }},
      {column("IA_SECOND_RUN_DWELL_TIME"), [](const WordReading& w) { return w.second_run; }},
      {column("IA_LAST_RUN_DWELL_TIME"), [](const WordReading& w) { return w.last_run; }},
      {column("IA_DWELL_TIME"), [](const WordReading& w) { return w.total; }},
      {column("IA_REGRESSION_PATH_DURATION"), [](const WordReading& w) { return w.regression_path; }},
      {column("IA_FIXATION_COUNT"), [](const WordReading& w) { return static_cast<double>(w.fixations); }},
      {column("IA_SKIP"), [](const WordReading& w) { return w.skipped ? 1.0 : 0.0; }},
      {column("IA_REGRESSION_IN_COUNT"),
       [](const WordReading& w) { return static_cast<double>(w.regressions_in); }}};
  const size_t out = column("IA_REGRESSION_OUT_COUNT"), id = column("IA_ID"),
               trial = column("unique_trial_id");
  int64_t words = 0, other_exits = 0;
  for (int64_t row = 0; row < table->rows(); ++row) {
    const auto found = measures.find(table->cell(row, trial));
    if (found == measures.end()) continue;
    const WordReading& word = found->second.at(static_cast<size_t>(**table->number(row, id)));
    for (const auto& [at, value] : columns)
      ASSERT_EQ(value(word), table->number(row, at)->value_or(0.0))
          << table->columns()[at] << ", line " << table->line_of(row);
    other_exits +=
        static_cast<double>(word.regressions_out) != table->number(row, out)->value_or(0.0) ? 1 : 0;
    ++words;
  }
  EXPECT_EQ(words, 2614);
  EXPECT_EQ(other_exits, 6);
}

}  // namespace
}  // namespace saccade
