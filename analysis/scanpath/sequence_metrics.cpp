#include "analysis/scanpath/sequence_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// Needleman and Wunsch: the best sum of pair(i, j) along an alignment, with `gap` per unpaired letter.
template <class Pair>
double best_alignment(size_t n, size_t m, double gap, const Pair& pair) {
  std::vector<double> above(m + 1), row(m + 1);
  for (size_t j = 0; j <= m; ++j) above[j] = gap * static_cast<double>(j);
  for (size_t i = 1; i <= n; ++i) {
    row[0] = gap * static_cast<double>(i);
    for (size_t j = 1; j <= m; ++j)
      row[j] = std::max({above[j - 1] + pair(i - 1, j - 1), above[j] + gap, row[j - 1] + gap});
    std::swap(above, row);
  }
  return above[m];
}

int64_t bin(double at, int64_t extent, int64_t bins) {
  const double scaled = at / static_cast<double>(extent) * static_cast<double>(bins);
  return static_cast<int64_t>(std::clamp(std::floor(scaled), 0.0, static_cast<double>(bins - 1)));
}

constexpr size_t most_letters = 20'000;

// Each fixation's cell, once per time bin that it lasts (rounded, as the toolbox does).
Result<AreaSequence> letters_of(const Scanpath& path, const ScanMatchOptions& options) {
  SACCADE_TRY(const AreaSequence cells, grid_sequence(path, options.grid));
  AreaSequence letters;
  for (size_t i = 0; i < cells.size(); ++i) {
    const double times =
        options.time_bin > 0.0 ? std::round(path.fixations[i].duration / options.time_bin) : 1.0;
    if (static_cast<double>(letters.size()) + times > static_cast<double>(most_letters))
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{} is longer than {} time bins; choose a longer bin", describe(path), most_letters));
    letters.insert(letters.end(), static_cast<size_t>(times), cells[i]);
  }
  if (letters.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} has no fixation of half a time bin ({} ms); choose a shorter bin, or 0",
                                  describe(path), options.time_bin));
  return letters;
}

}  // namespace

Result<AreaSequence> grid_sequence(const Scanpath& path, GazeGrid grid) {
  if (!path.size.known())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: the size of the picture is not known; give its width and height", describe(path)));
  if (grid.rows < 1 || grid.columns < 1 || grid.rows > 4096 || grid.columns > 4096)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a grid of {} x {} cells; expected 1 to 4096 each way", grid.rows, grid.columns));
  AreaSequence cells;
  cells.reserve(path.fixations.size());
  for (const Fixation& fixation : path.fixations)
    cells.push_back(bin(fixation.y, path.size.height, grid.rows) * grid.columns +
                    bin(fixation.x, path.size.width, grid.columns));
  return cells;
}

AreaSequence word_sequence(const Scanpath& path) {
  AreaSequence words;
  for (const Fixation& fixation : path.fixations)
    if (fixation.word) words.push_back(*fixation.word);
  return words;
}

AreaSequence without_repeats(const AreaSequence& sequence) {
  AreaSequence once;
  std::unique_copy(sequence.begin(), sequence.end(), std::back_inserter(once));
  return once;
}

int64_t levenshtein(const AreaSequence& a, const AreaSequence& b) {
  // The dearest alignment with costs of -1 is the cheapest with costs of 1.
  return static_cast<int64_t>(std::lround(-best_alignment(
      a.size(), b.size(), -1.0, [&](size_t i, size_t j) { return a[i] == b[j] ? 0.0 : -1.0; })));
}

double levenshtein_similarity(const AreaSequence& a, const AreaSequence& b) {
  const size_t longer = std::max(a.size(), b.size());
  return longer == 0 ? 1.0 : 1.0 - static_cast<double>(levenshtein(a, b)) / static_cast<double>(longer);
}

double sequence_score(const AreaSequence& a, const AreaSequence& b) {
  const size_t longer = std::max(a.size(), b.size());
  if (longer == 0) return 0.0;
  return best_alignment(a.size(), b.size(), 0.0,
                        [&](size_t i, size_t j) { return a[i] == b[j] ? 1.0 : 0.0; }) /
         static_cast<double>(longer);
}

Result<double> scanmatch(const Scanpath& a, const Scanpath& b, const ScanMatchOptions& options) {
  SACCADE_CHECK(check_comparable(a, b, 1));
  if (!(options.threshold > 0.0) || !(options.gap <= 0.0) || !(options.time_bin >= 0.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("ScanMatch with threshold {}, gap {}, time bin {}; expected above 0, at most "
                    "0, at least 0",
                    options.threshold, options.gap, options.time_bin));
  SACCADE_TRY(const AreaSequence first, letters_of(a, options));
  SACCADE_TRY(const AreaSequence second, letters_of(b, options));
  const int64_t columns = options.grid.columns;
  const auto score = [&](size_t i, size_t j) {
    const int64_t rows_apart = first[i] / columns - second[j] / columns;
    const auto down = static_cast<double>(rows_apart);
    const auto across = static_cast<double>(first[i] % columns - second[j] % columns);
    return options.threshold - std::sqrt(down * down + across * across);
  };
  return best_alignment(first.size(), second.size(), options.gap, score) /
         (options.threshold * static_cast<double>(std::max(first.size(), second.size())));
}

}  // namespace saccade
