// MultiMatch: how alike two scanpaths are in five respects (Jarodzka, Holmqvist and Nystrom 2010, ETRA;
// Dewhurst et al. 2012, Behavior Research Methods 44:1079). Each path is its saccade vectors; M[i, j] = |u_i
// - v_j|; the cheapest way through M from the first to the last pair (right, down, diagonal) aligns them;
// each dimension is 1 - median along that way / its largest possible value:
//   shape |u - v| / (2 diagonal)   direction angle / pi   length ||u| - |v|| / diagonal
//   position of the saccades' starts / diagonal           duration |d - e| / max(d, e)
// Before that, when asked, each path is simplified: saccades that go on in one direction, and saccades that
// are short, are joined when the fixation between is short. The numbers are those of the authors' MATLAB
// toolbox, with its ways: a short last saccade replaces the one before by the sum of the last two as they
// were before this pass, and joining keeps the first fixation's duration only. Thread: any.
#pragma once

#include <array>

#include "analysis/scanpath/scanpath.h"

namespace saccade {

struct MultiMatch {
  double shape = 0.0, direction = 0.0, length = 0.0, position = 0.0, duration = 0.0;  // 1 = alike
  [[nodiscard]] std::array<double, 5> values() const {
    return {shape, direction, length, position, duration};
  }
};

struct MultiMatchOptions {
  bool simplify = false;
  double direction_degrees = 45.0;  // saccades within this angle are one
  double duration_ms = 300.0;       // of the fixation between, below which they may be joined
  double amplitude = 100.0;         // pixels; saccades shorter than this are joined
};

// Errors: unknown or different picture sizes; fewer than 3 fixations in either.
[[nodiscard]] Result<MultiMatch> multimatch(const Scanpath& a, const Scanpath& b,
                                            const MultiMatchOptions& options = {});

}  // namespace saccade
