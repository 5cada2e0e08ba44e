// The columns of head-table that are computed from the maps: concentration, rhythm, flex-prefill, task-kv,
// hardness and fidelity, in one pass per head; and the rank of z.
#pragma once

#include <set>
#include <string>

#include "analysis/methods/head_scores/sheet.h"

namespace saccade::head_scores {

// states: the same run with v and z of every layer kept; null: task-kv and rank are left out, and a finding
// says so. Progress goes from `from` to 1.
Result<void> add_map_scores(const MethodInput& input, const std::set<std::string>& families,
                            const Capture* states, const Settings& settings, double from,
                            const JobContext& job, ScoreSheet& sheet);

}  // namespace saccade::head_scores
