// ModelSpec as JSON, for dumps: every field under its own name, enums by theirs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/model/model_spec.h"
#include "kernels/base/result.h"

namespace saccade {

[[nodiscard]] nlohmann::json spec_to_json(const ModelSpec& spec);
// Errors name the key, what was expected and what was found; sizes that no model has are refused.
[[nodiscard]] Result<ModelSpec> spec_from_json(const nlohmann::json& document);

}  // namespace saccade
