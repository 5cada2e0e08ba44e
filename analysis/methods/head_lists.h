// Files that name heads: what papers publish and what our own methods write.
#pragma once

#include <filesystem>
#include <vector>

#include "core/base/ids.h"
#include "core/model/model_spec.h"

namespace saccade {

// JSON in any of these forms, or names separated by blanks, commas or line ends ("5.1 L3H2"):
//   [[0, 3], [7], ...]           heads of layer first_layer, first_layer + 1, ... (ACT's lists: first_layer
//   2)
//   {"2": [0, 3], "5": [7]}      heads by layer
//   {"2-0": [scores], ...}       by "layer-head" (Retrieval_Head's files); every head that is named
//   ["2.0", "L5H7"]              names
// Sorted, each once. Errors: a head or a layer that the model does not have, named with the model's shape.
[[nodiscard]] Result<std::vector<HeadId>> read_head_list(const std::filesystem::path& path,
                                                         const ModelSpec& spec, int32_t first_layer);

}  // namespace saccade
