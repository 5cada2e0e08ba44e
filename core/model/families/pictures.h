// What families that read pictures share. Private to core/model.
#pragma once

#include <string>

#include "core/model/families/common.h"

namespace saccade {

struct PictureDefaults {
  const char* family = "";
  double norm_epsilon = 1e-12;
  const char* activation = "gelu";
  int32_t image = 224, patch = 16;
  SizeDefaults sizes{12, 12, 768};
};

// Sizes, norms, activation and patches under the keys that ViT made common (hidden_size, num_hidden_layers,
// num_attention_heads, image_size, patch_size, num_channels, layer_norm_eps, hidden_act); every position sees
// every other. The answer is the d_model features of the pooled position until something else is set.
Result<ModelSpec> read_picture_model(const ConfigReader& config, const PictureDefaults& defaults);

// The number of classes when the checkpoint is one for classification, else 0.
Result<int32_t> count_classes(const ConfigReader& config);
[[nodiscard]] bool has_architecture(const ConfigReader& config, const std::string& part);

// The patch embedding [d_model, channels, height, width]; positions [1, n, d_model] or [n, d_model].
void add_patches(RuleTable& table, const ModelSpec& spec, const std::string& projection, bool bias);
void add_positions(RuleTable& table, const ModelSpec& spec, const std::string& name, bool batch_axis);
// A token stored as [1, n, d_model] or, with one axis, [d_model].
void add_token(RuleTable& table, const ModelSpec& spec, Slot slot, const std::string& name, int32_t n,
               int axes);

}  // namespace saccade
