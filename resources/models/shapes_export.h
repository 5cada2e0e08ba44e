// Writes the folders of the demos that see: configs as Hugging Face has them, weights by export.h.
#pragma once

#include <filesystem>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/talk_batch.h"
#include "resources/models/tower_shape.h"
#include "resources/models/training.h"

namespace saccade {

// config.json, model.safetensors (float32) and preprocessor_config.json of a ViT for classification.
Result<void> write_shapes_vit(const std::filesystem::path& folder, const TowerShape& shape,
                              const std::vector<NamedTensor>& weights);
// The same, in bfloat16, and the tokenizer's files of a LLaVA.
Result<void> write_shapes_vlm(const std::filesystem::path& folder, const VlmShape& shape,
                              const TalkTokens& tokens, const std::vector<NamedTensor>& weights);

}  // namespace saccade
