#include "analysis/scanpath/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "analysis/scanpath/delimited_text.h"
#include "analysis/statistics/rank.h"
#include "core/base/files.h"

namespace saccade {
namespace {

struct Run {
  int64_t word = 0, fixations = 0;
  double duration = 0.0;
};

std::vector<Run> runs_of(const Scanpath& path) {
  std::vector<Run> runs;
  bool ended = true;
  for (const Fixation& fixation : path.fixations) {
    if (!fixation.word) {
      ended = true;
      continue;
    }
    if (ended || runs.back().word != *fixation.word) runs.push_back({*fixation.word, 0, 0.0});
    ended = false;
    ++runs.back().fixations;
    runs.back().duration += fixation.duration;
  }
  return runs;
}

void add_run(const std::vector<Run>& runs, size_t at, int64_t furthest, WordReading& word) {
  const Run& run = runs[at];
  ++word.runs;
  if (word.runs == 1) word.first_run = run.duration;
  if (word.runs == 1 && run.word > furthest) word.skipped = false;
  if (word.runs == 2) word.second_run = run.duration;
  word.last_run = run.duration;
  word.total += run.duration;
  word.fixations += run.fixations;
  if (at > 0 && runs[at - 1].word > run.word) ++word.regressions_in;
  if (at + 1 < runs.size() && runs[at + 1].word < run.word && furthest <= run.word) ++word.regressions_out;
}

// From the first run on a word, everything until the eyes pass it.
void add_regression_paths(const std::vector<Run>& runs, std::vector<WordReading>& measures) {
  std::vector<char> seen(measures.size(), 0);
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto word = static_cast<size_t>(runs[i].word);
    if (seen[word] != 0) continue;
    seen[word] = 1;
    for (size_t j = i; j < runs.size() && runs[j].word <= runs[i].word; ++j)
      measures[word].regression_path += runs[j].duration;
  }
}

constexpr std::array<std::array<std::string_view, 2>, 6> area_columns{{{"IA_ID", "word_index"},
                                                                       {"IA_LABEL", "word"},
                                                                       {"IA_LEFT", "left"},
                                                                       {"IA_TOP", "top"},
                                                                       {"IA_RIGHT", "right"},
                                                                       {"IA_BOTTOM", "bottom"}}};

// Words sorted by their number; the numbers must follow one another.
Result<ReadText> finish(ReadText text, std::map<int64_t, WordArea> words) {
  int64_t expected = words.empty() ? 0 : words.begin()->first;
  for (auto& [id, area] : words) {
    if (id != expected++)
      return make_error(ErrorCode::bad_format, fmt::format("{}: word {} follows word {}; some are missing",
                                                           text.stimulus, id, expected - 2));
    text.words.push_back(std::move(area));
  }
  return text;
}

}  // namespace

Result<std::vector<WordReading>> reading_measures(const Scanpath& path, int64_t words) {
  if (words < 1) return make_error(ErrorCode::invalid_argument, describe(path) + ": a text without words");
  for (size_t i = 0; i < path.fixations.size(); ++i)
    if (const auto& word = path.fixations[i].word; word && (*word < 0 || *word >= words))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{}: fixation {} is on word {} of a text of {} words (counted from 0)",
                                    describe(path), i, *word, words));
  std::vector<WordReading> measures(static_cast<size_t>(words));
  for (const Fixation& fixation : path.fixations)
    if (fixation.word)
      if (WordReading& word = measures[static_cast<size_t>(*fixation.word)]; word.runs++ == 0)
        word.first_fixation = fixation.duration;
  for (WordReading& word : measures) word.runs = 0;
  const std::vector<Run> runs = runs_of(path);
  int64_t furthest = -1;
  for (size_t i = 0; i < runs.size(); ++i) {
    add_run(runs, i, furthest, measures[static_cast<size_t>(runs[i].word)]);
    furthest = std::max(furthest, runs[i].word);
  }
  add_regression_paths(runs, measures);
  return measures;
}

Result<std::vector<ReadText>> parse_word_areas(std::string_view text) {
  SACCADE_TRY(const DelimitedText table, DelimitedText::parse(text));
  std::array<size_t, area_columns.size()> columns{};
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto found = table.column(area_columns[i]);
    if (!found)
      return make_error(
          ErrorCode::bad_format,
          fmt::format("there is no column {}; a table of word boxes needs it", area_columns[i][0]));
    columns[i] = *found;
  }
  static constexpr std::array<std::string_view, 4> stimulus_names{"unique_trial_id", "stimulus", "image",
                                                                  "TRIAL_INDEX"};
  static constexpr std::array<std::string_view, 3> subject_names{"participant_id", "subject",
                                                                 "RECORDING_SESSION_LABEL"};
  const auto stimulus = table.column(stimulus_names), subject = table.column(subject_names);
  std::map<std::pair<std::string, std::string>, size_t> index;
  std::vector<ReadText> texts;
  std::vector<std::map<int64_t, WordArea>> words;
  for (int64_t row = 0; row < table.rows(); ++row) {
    std::array<double, area_columns.size()> numbers{};
    for (const size_t i : {0, 2, 3, 4, 5}) {
      SACCADE_TRY(const std::optional<double> number, table.number(row, columns[i]));
      if (!number || std::abs(*number) > 1e9)
        return make_error(ErrorCode::bad_format,
                          fmt::format("line {}: no usable {}", table.line_of(row), area_columns[i][0]));
      numbers[i] = *number;
    }
    const auto key =
        std::pair(stimulus ? table.cell(row, *stimulus) : "", subject ? table.cell(row, *subject) : "");
    const auto [found, fresh] = index.try_emplace(key, texts.size());
    if (fresh) {
      texts.push_back({key.first, key.second, {}});
      words.emplace_back();
    }
    const WordArea area{table.cell(row, columns[1]), numbers[2], numbers[3], numbers[4], numbers[5]};
    if (!words[found->second].emplace(static_cast<int64_t>(numbers[0]), area).second)
      return make_error(ErrorCode::bad_format, fmt::format("line {}: word {} of {} comes twice",
                                                           table.line_of(row), numbers[0], key.first));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    SACCADE_TRY(texts[i], finish(std::move(texts[i]), std::move(words[i])));
  }
  return texts;
}

Result<std::vector<ReadText>> read_word_areas(const std::filesystem::path& path) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  auto texts = parse_word_areas(text);
  if (!texts.ok()) return std::move(texts).error().with("reading " + path.string());
  return texts;
}

Scanpath with_words(const Scanpath& path, const std::vector<WordArea>& words, double slack) {
  Scanpath named = path;
  for (Fixation& fixation : named.fixations) {
    fixation.word.reset();
    double nearest = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < words.size(); ++i) {
      const WordArea& area = words[i];
      const double across = std::max({area.left - fixation.x, fixation.x - area.right, 0.0});
      const double down = std::max({area.top - fixation.y, fixation.y - area.bottom, 0.0});
      if (const double far = std::hypot(across, down); far <= slack && far < nearest) {
        nearest = far;
        fixation.word = static_cast<int64_t>(i);
      }
    }
  }
  return named;
}

Table reading_table(const ReadText& text, const std::vector<WordReading>& measures) {
  Table table{"reading",
              {"word", "text", "fixations", "first_fixation", "first_run", "total", "regression_path",
               "skipped", "regressions_in", "regressions_out"},
              {}};
  for (size_t i = 0; i < measures.size(); ++i) {
    const WordReading& word = measures[i];
    table.rows.push_back({static_cast<int64_t>(i), i < text.words.size() ? text.words[i].text : "",
                          word.fixations, word.first_fixation, word.first_run, word.total,
                          word.regression_path, static_cast<int64_t>(word.skipped), word.regressions_in,
                          word.regressions_out});
  }
  return table;
}

Result<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto refuse = [](const std::string& what) { return make_error(ErrorCode::invalid_argument, what); };
  if (a.size() != b.size() || a.size() < 3)
    return refuse(fmt::format("{} numbers against {}; expected as many, and at least 3", a.size(), b.size()));
  for (const std::vector<double>* values : {&a, &b}) {
    if (std::any_of(values->begin(), values->end(), [](double value) { return !std::isfinite(value); }))
      return refuse("a rank correlation of something that is no number");
    if (std::equal(values->begin() + 1, values->end(), values->begin()))
      return refuse("a rank correlation with numbers that are all equal");
  }
  return spearman(a, b);
}

}  // namespace saccade
