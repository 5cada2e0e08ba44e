// Recurrence quantification: where a scanpath comes back to. R[i, j] = 1 where fixations i and j lie within
// `radius` pixels. Measures in percent of Anderson, Bischof, Laidlaw, Risko and Kingstone 2013 (Behavior
// Research Methods 45:842, eq. 1-4), over the upper triangle i < j of one path; for two paths
// (cross-recurrence) those of Anderson, Anderson, Kingstone and Bischof 2015 (47:1377), over all pairs, the
// longer path cut to the shorter's length. Without any recurrence determinism, laminarity and centre are 0.
// Thread: any.
#pragma once

#include "analysis/scanpath/scanpath.h"

namespace saccade {

struct Recurrence {
  int64_t fixations = 0;     // N
  int64_t points = 0;        // R: recurrent pairs
  double recurrence = 0.0;   // of all pairs
  double determinism = 0.0;  // recurrent points on diagonals of at least `line` points
  double laminarity = 0.0;   // recurrent points on vertical and horizontal lines, halved
  double centre = 0.0;       // centre of recurrence mass: mean distance j - i; positive for late returns
};

struct RecurrenceOptions {
  double radius = 64.0;  // pixels
  int64_t line = 2;      // fewest points that make a line
};

// Errors: fewer than 2 fixations; more than 8,000; a radius that is not positive; line below 2.
[[nodiscard]] Result<Recurrence> recurrence(const Scanpath& path, const RecurrenceOptions& options = {});
[[nodiscard]] Result<Recurrence> cross_recurrence(const Scanpath& a, const Scanpath& b,
                                                  const RecurrenceOptions& options = {});

}  // namespace saccade
