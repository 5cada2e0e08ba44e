// From a map of relevance to attention areas (Li et al. 2018, salient relevance, arXiv 1712.08268), by
// context-aware saliency (Goferman, Zelnik-Manor and Tal 2012, IEEE TPAMI 34:1915, eq. 1 to 4):
//   d(i, k) = d_value / (1 + 3 d_position) of the 7 x 7 patches about i and k: their root mean square
//   difference on a scale of 0 to 1, and their distance over the longer side S_i = 1 - exp(-mean of d(i, k)
//   over the 64 patches most like i), at several scales, their mean, stretched to 0 to 1; then places above
//   0.8 pull: S_i *= 1 - distance to the nearest such place
// What stands out from its surroundings is salient, whatever its height. A flat map has no areas. O(pixels^2
// 49): maps are made small before. Thread: any.
#pragma once

#include <vector>

#include "analysis/scanpath/saliency_map.h"
#include "core/base/job.h"

namespace saccade {

struct ContextSaliencyOptions {
  std::vector<double> scales{1.0, 0.8, 0.5, 0.3};
  int64_t nearest = 64;    // K, patches that count
  double foci = 0.8;       // from which places pull
  int64_t longest = 4096;  // pixels at most; error beyond
};
// Error: a map that check_map() refuses, too many pixels, cancelled.
[[nodiscard]] Result<SaliencyMap> context_saliency(const SaliencyMap& map,
                                                   const ContextSaliencyOptions& options,
                                                   const JobContext& job);

// Regions of places at or above `least`, neighbours by side, the largest first.
[[nodiscard]] std::vector<std::vector<int64_t>> areas_above(const SaliencyMap& map, double least);

}  // namespace saccade
