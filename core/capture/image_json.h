// Where pictures stand in a sequence, as JSON: the root attribute `images` of a dump. Private to
// core/capture.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/image/placed_image.h"
#include "kernels/base/result.h"

namespace saccade {

[[nodiscard]] nlohmann::json images_to_json(const std::vector<ImageRegion>& images);
// Errors name the key. The regions follow each other within [0, n_token).
[[nodiscard]] Result<std::vector<ImageRegion>> images_from_json(const nlohmann::json& document,
                                                                int64_t n_token);

}  // namespace saccade
