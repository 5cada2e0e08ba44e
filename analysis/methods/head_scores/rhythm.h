// The preplan-and-anchor rhythm of a text, and the span of heads that it is read from.
//
//   span d_h = mean over response rows t of sum_s A[t,s] |t - s|
//   local heads: the group_share with the smallest spans; global heads: as many with the largest
//   WAAD_t = sum_s A_loc[t,s] min(t - s, W)      A_loc, A_glob: mean maps of the two groups
//   FAI_s  = mean over response rows t in [s + from, min(N, s + to)] of A_glob[t,s]; NaN where there are none
//   preplan tokens: the peak_share with the largest |WAAD_t - WAAD_{t+1}|; anchors: that with the largest FAI
// Source: "Attention Illuminates LLM Reasoning: The Preplan-and-Anchor Rhythm" (arXiv 2510.13554); W and the
// range of FAI from an independent implementation. The co-occurrence test shuffles the positions of the WAAD
// peaks.
#pragma once

#include <string>
#include <vector>

#include "analysis/methods/head_scores/sheet.h"

namespace saccade::head_scores {

struct HeadGroups {
  std::vector<bool> local, global;  // [layer * heads + head]
};
// NaN spans belong to no group. At least one head each, where there are two.
[[nodiscard]] HeadGroups group_by_span(std::span<const double> spans, double share);

// The share of `values` with the largest, as positions in ascending order; NaN is never among them.
[[nodiscard]] std::vector<int64_t> peaks(std::span<const double> values, double share);
[[nodiscard]] std::vector<double> look_back_changes(std::span<const double> waad);  // |WAAD_t - WAAD_{t+1}|

struct CoOccurrence {
  double observed = nan;  // share of anchors that lie on a preplan token or up to two tokens after one
  double shuffled = nan;  // the mean of that with the preplan tokens put anywhere, 1,000 times
  double p_value = nan;   // share of shuffles that reach what was observed (with the observed one counted)
};
[[nodiscard]] CoOccurrence co_occurrence(std::span<const int64_t> anchors, std::span<const int64_t> preplans,
                                         int64_t n, uint64_t seed);

// Sums over heads of one group, and how many they are.
struct GroupSums {
  std::vector<double> waad, influence;
  int64_t local = 0, global = 0;
};
// The table "tokens" and its findings.
void add_rhythm(const GroupSums& sums, const Settings& settings, ScoreSheet& sheet);

}  // namespace saccade::head_scores
