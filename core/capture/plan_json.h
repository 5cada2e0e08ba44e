// HeadPlans as JSON, for dumps: kinds by name, blocks of other maps aside as plain numbers.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "kernels/base/result.h"
#include "kernels/map_edits.h"

namespace saccade {

// Blocks are appended to `numbers`; the document says where they begin.
[[nodiscard]] nlohmann::json plan_to_json(const HeadPlan& plan, std::vector<float>& numbers);
// Errors name the key, what was expected and what was found. Everything the kernels trust is checked: kinds,
// ranges in order, blocks as large as their rectangle.
[[nodiscard]] Result<HeadPlan> plan_from_json(const nlohmann::json& document, std::span<const float> numbers);

}  // namespace saccade
