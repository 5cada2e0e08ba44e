// Scanpaths as sequences of areas (grid cells, boxes, words): how alike two sequences are. A sequence is a
// list of area numbers; areas are numbered from 0. Costs are O(n m). Thread: any.
//
//   levenshtein      fewest insertions, deletions, substitutions (Levenshtein 1966); similarity 1 - d /
//   longer sequence_score   Needleman and Wunsch 1970 with match 1, mismatch 0, gap 0, divided by the longer
//   length
//                    (as in target-present search: Chen et al. 2021; Fang et al. 2024, OAT)
//   scanmatch        Needleman and Wunsch over a grid with time bins; a pair scores threshold - distance of
//   the
//                    cells (Cristino, Mathot, Theeuwes and Gilchrist 2010, Behavior Research Methods 42:692,
//                    eq. 1-3), divided by threshold * longer length
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/scanpath/scanpath.h"

namespace saccade {

using AreaSequence = std::vector<int64_t>;

struct GazeGrid {
  int64_t rows = 8, columns = 12;
};

// The grid cell (row * columns + column) of every fixation; points outside the picture go to the nearest
// cell.
[[nodiscard]] Result<AreaSequence> grid_sequence(const Scanpath& path, GazeGrid grid);

// The word index of every fixation that has one.
[[nodiscard]] AreaSequence word_sequence(const Scanpath& path);

// Consecutive equal areas once.
[[nodiscard]] AreaSequence without_repeats(const AreaSequence& sequence);

[[nodiscard]] int64_t levenshtein(const AreaSequence& a, const AreaSequence& b);
[[nodiscard]] double levenshtein_similarity(const AreaSequence& a, const AreaSequence& b);  // both empty: 1
[[nodiscard]] double sequence_score(const AreaSequence& a, const AreaSequence& b);          // one empty: 0

struct ScanMatchOptions {
  GazeGrid grid{8, 12};    // the toolbox's default, 12 x 8 bins
  double threshold = 3.5;  // cells; nearer pairs score above 0. The toolbox advises 2 SD of saccade lengths
  double gap = 0.0;        // the price of a gap, at most 0
  double time_bin = 50.0;  // ms per letter; 0 = one letter per fixation
};
// 1 for equal sequences. Errors: unknown or different sizes; no fixation, or none as long as half a time
// bin; options that make no sense; more than 20,000 letters.
[[nodiscard]] Result<double> scanmatch(const Scanpath& a, const Scanpath& b,
                                       const ScanMatchOptions& options = {});

}  // namespace saccade
