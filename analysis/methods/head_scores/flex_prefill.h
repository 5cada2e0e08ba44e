// FlexPrefill's look at a head: is what its last rows attend to foreseen by pooled queries and keys
// ("query-aware", few blocks that depend on the query), or is it columns and diagonals ("vertical-slash")?
//
//   v_j, s_o: mean weight of key j, of offset o, over the last B rows    v^: sums of v over blocks of B keys
//   p^ = softmax(scale mean(Q_last) . mean_block(K))                     D = sqrt(JS(p^, v^)), natural log
//   D < tau: query-aware, else vertical-slash. c_v, c_s: the largest entries whose cumulative sum stays <=
//   gamma, plus one.
// Source: Lai et al. 2025 (arXiv 2502.20766), section 3 and the authors' code. q and k are those after
// rotation; ALiBi and soft caps are not in p^.
#pragma once

#include <span>
#include <vector>

#include "analysis/methods/head_scores/map_pass.h"

namespace saccade::head_scores {

struct FlexPattern {
  double distance = nan;                           // D; NaN with fewer than two blocks
  double vertical_share = nan, slash_share = nan;  // c_v / n, c_s / n
};

// "query-aware", "vertical-slash", or "" without a distance.
[[nodiscard]] const char* flex_label(double distance, double threshold);
// Blocks of `wanted`, or smaller ones where the run has fewer than eight of them: a power of two, at least 4.
[[nodiscard]] int64_t flex_block_for(int64_t wanted, int64_t n);
[[nodiscard]] std::vector<double> block_sums(std::span<const double> values, int64_t block);
[[nodiscard]] FlexPattern flex_pattern(const Capture& capture, HeadId head, const PassResult& pass,
                                       const Settings& settings);

}  // namespace saccade::head_scores
