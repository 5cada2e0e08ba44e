// Which positions of a pair of prompts belong together: what patching "a position" means.
#pragma once

#include <string>
#include <vector>

#include "analysis/prompts/prompt_set.h"

namespace saccade {

struct AlignedPositions {
  std::vector<int64_t> clean, corrupt;  // one for one
};

// which: "last", "all", a position, or a role of the prompts ("s2"). Positions by number need prompts of one
// length; roles and "last" do not. Errors say which pair, and what there is instead.
[[nodiscard]] Result<AlignedPositions> aligned_positions(const PromptSet& prompts, size_t pair,
                                                         const std::string& which);

// Roles that every prompt of the set has, clean and corrupted, in alphabetical order.
[[nodiscard]] std::vector<std::string> common_roles(const PromptSet& prompts);

}  // namespace saccade
