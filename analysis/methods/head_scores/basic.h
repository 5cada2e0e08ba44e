// The columns that head-table always has: means of the statistics that a run keeps, and how much of each
// head's weight lies on the cells of five patterns.
//
// Pattern score: sum(A * T) / sum(A) over the rows that have a target; NaN when no row has one.
// Source: TransformerLens's head detector; prefix matching: Olsson et al. 2022 (arXiv 2209.11895).
#pragma once

#include "analysis/methods/head_scores/sheet.h"

namespace saccade::head_scores {

// Error: which layer kept no statistics.
[[nodiscard]] Result<void> check_statistics(const Capture& capture);
// Progress goes from 0 to `to`.
Result<void> add_basic_scores(const MethodInput& input, const Settings& settings, double to,
                              const JobContext& job, ScoreSheet& sheet);

}  // namespace saccade::head_scores
