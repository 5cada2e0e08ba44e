// Reading: scanpaths over words, and what each word got. The measures are those of reading research (Rayner
// 1998, 2009) as SR Research's Data Viewer defines them, to whose columns in the OneStop recordings (Berzak
// et al. 2025) the tests hold them. A run is a stretch of consecutive fixations on one word; a fixation on no
// word ends it. Times in ms. Thread: any.
#pragma once

#include <filesystem>
#include <string_view>

#include "analysis/field.h"
#include "analysis/scanpath/scanpath.h"

namespace saccade {

struct WordArea {
  std::string text;
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;  // pixels
};
struct ReadText {
  std::string stimulus, subject;
  std::vector<WordArea> words;  // in reading order; word i of a fixation is words[i]
};

struct WordReading {
  int64_t fixations = 0, runs = 0;
  double first_fixation = 0.0;  // duration of the first fixation, whenever it came
  double first_run = 0.0;       // gaze duration, where the word was not skipped
  double second_run = 0.0, last_run = 0.0;
  double total = 0.0;            // dwell time
  double regression_path = 0.0;  // all fixations on words from the first here until a later word
  bool skipped = true;           // not fixated before a later word
  int64_t regressions_in = 0;    // entries from a later word
  int64_t regressions_out = 0;   // exits to an earlier word before any later word was fixated
};

// Error: no word, or a fixation on a word that the text does not have (with its place).
[[nodiscard]] Result<std::vector<WordReading>> reading_measures(const Scanpath& path, int64_t words);

// The tables of word boxes that Data Viewer writes, one text per trial: IA_ID (0- or 1-based, said by its
// least), IA_LABEL, IA_LEFT, IA_TOP, IA_RIGHT, IA_BOTTOM, unique_trial_id, participant_id.
[[nodiscard]] Result<std::vector<ReadText>> parse_word_areas(std::string_view text);
[[nodiscard]] Result<std::vector<ReadText>> read_word_areas(const std::filesystem::path& path);

// The path with each fixation's word set to the box that holds it, or to the nearest within `slack` pixels.
[[nodiscard]] Scanpath with_words(const Scanpath& path, const std::vector<WordArea>& words,
                                  double slack = 0.0);

// One row per word: word, text, fixations, first_fixation, first_run, total, skipped, regressions ...
[[nodiscard]] Table reading_table(const ReadText& text, const std::vector<WordReading>& measures);

// Spearman's rho with ties at their mean rank; for a model's weight per word against reading times. Error:
// different lengths, fewer than 3, not a number, all equal.
[[nodiscard]] Result<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace saccade
