// Distances between scanpaths as curves in the plane, in pixels. O(n m). Thread: any.
//
//   dtw      dynamic time warping (Berndt and Clifford 1994): the least sum of distances of paired fixations
//            over monotone pairings of all of both paths
//   frechet  the discrete Frechet distance (Eiter and Mannila 1994, p. 4): the least largest distance
#pragma once

#include "analysis/scanpath/scanpath.h"

namespace saccade {

struct WarpedDistance {
  double sum = 0.0;   // pixels, over all pairs
  double mean = 0.0;  // pixels per pair of the pairing
  int64_t pairs = 0;
};
// Errors: unknown or different picture sizes, a path without fixations.
[[nodiscard]] Result<WarpedDistance> dtw(const Scanpath& a, const Scanpath& b);
[[nodiscard]] Result<double> frechet(const Scanpath& a, const Scanpath& b);

}  // namespace saccade
