// How far a head looks on a grid of patches: mass by hop distance, by displacement, and what kind of pattern
// that is. A text is a grid of one row. Definitions (thresholds and labels are own):
//   hop of two patches: max(|dy|, |dx|); strength(k): mean over query patches of the weight on patches k hops
//   away; per_patch(k): the same divided by how many there are; mean hop: sum_k k strength(k)
//   offsets O[dy, dx]: mean weight at that displacement, over the query patches that have a patch there
// Weight on positions that are no patches (CLS, registers, text) counts as prefix and elsewhere. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/capture/attention_map.h"

namespace saccade {

// The positions [first, first + rows * columns) as a grid; [prefix_begin, first) is CLS and registers.
struct HopGrid {
  int64_t prefix_begin = 0, first = 0, rows = 0, columns = 0;
  [[nodiscard]] int64_t patches() const { return rows * columns; }
};

struct HopProfile {
  std::vector<double> strength, per_patch;  // [hop], hop 0 to `hops`; what is farther counts as `hops`
  double mean_hop = 0.0;                    // of true distances
  double prefix = 0.0, elsewhere = 0.0;     // mean weight of query patches on those
  double same_row = 0.0, same_column = 0.0;
  double entropy =
      0.0;  // of a row over patches made to sum to 1, divided by ln(visible), mean; NaN without any
  std::vector<float> offsets;    // [2 reach_y + 1, 2 reach_x + 1], reach = min(extent - 1, hops)
  std::vector<float> first_row;  // of the first prefix position (CLS) over the patches; empty without
  double first_on_patches = 0.0;
};

struct OffsetExtent {
  int64_t rows = 0, columns = 0;
};
[[nodiscard]] OffsetExtent offset_extent(const HopGrid& grid, int64_t hops);
[[nodiscard]] inline int64_t farthest_hop(const HopGrid& grid) {
  return std::max(grid.rows, grid.columns) - 1;
}

// hops: the farthest hop told apart, at most farthest_hop(). Error: cancelled.
[[nodiscard]] Result<HopProfile> hop_profile(const AttentionMap& map, const HopGrid& grid, int64_t hops,
                                             const JobContext& job);

// "self" (O[0, 0] > .5), "neighbour" (strength(1) > .4), "row" or "column" (> .6 of the weight there; grids
// of several rows and columns), "uniform" (entropy > .95), "prefix" (more than half on it), else "content".
[[nodiscard]] std::string pattern_label(const HopProfile& profile, const HopGrid& grid);

}  // namespace saccade
