#include "core/model/families/pictures.h"

#include <algorithm>

namespace saccade {
namespace {

constexpr int32_t longest_side = 16384;  // in pixels: the number of patches stays far from int32's end

// A number for both sides, or [height, width].
Result<std::pair<int32_t, int32_t>> read_sides(const ConfigReader& config, const char* key,
                                               int32_t fallback) {
  if (const auto sides = config.positives(key, 2); sides.ok()) {
    const double height = (*sides)[0], width = (*sides)[1];
    if (height > longest_side || width > longest_side || height != static_cast<int32_t>(height) ||
        width != static_cast<int32_t>(width))
      return config.wrong(key, "whole numbers up to 16384", nlohmann::json(*sides));
    return std::pair(static_cast<int32_t>(height), static_cast<int32_t>(width));
  }
  SACCADE_TRY(const int32_t side, config.count({key}, fallback, longest_side));
  return std::pair(side, side);
}

}  // namespace

Result<ModelSpec> read_picture_model(const ConfigReader& config, const PictureDefaults& defaults) {
  SACCADE_TRY(ModelSpec spec,
              read_shape(config, defaults.family, {"num_hidden_layers", "num_attention_heads", "hidden_size"},
                         defaults.sizes));
  spec.causal = false;
  spec.tied_unembedding = false;
  spec.pooling = Pooling::cls;
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_eps", defaults.norm_epsilon));
  SACCADE_TRY(spec.activation, config.activation("hidden_act", defaults.activation));
  SACCADE_TRY(spec.qkv_bias, config.flag("qkv_bias", true));
  PatchSpec& patches = spec.patches;
  patches.cls = true;
  SACCADE_TRY(patches.channels, config.count({"num_channels"}, 3, 64));
  if (patches.channels != 3) return config.wrong("num_channels", "3 (red, green, blue)", patches.channels);
  SACCADE_TRY(const auto image, read_sides(config, "image_size", defaults.image));
  SACCADE_TRY(const auto patch, read_sides(config, "patch_size", defaults.patch));
  std::tie(patches.image_height, patches.image_width) = image;
  std::tie(patches.height, patches.width) = patch;
  if (patches.grid_height() < 1 || patches.grid_width() < 1)
    return config.wrong("patch_size", "a patch that fits into 'image_size'", patches.height);
  spec.n_context = patches.n_prefix() + patches.grid_height() * patches.grid_width();
  spec.n_vocab = spec.d_model;
  return spec;
}

bool has_architecture(const ConfigReader& config, const std::string& part) {
  const auto names = config.texts("architectures");
  return names.ok() && std::any_of(names->begin(), names->end(), [&](const std::string& name) {
           return name.find(part) != std::string::npos;
         });
}

Result<int32_t> count_classes(const ConfigReader& config) {
  if (!has_architecture(config, "ForImageClassification")) return 0;
  SACCADE_TRY(const nlohmann::json* names, config.object("id2label"));
  if (names && !names->empty()) return static_cast<int32_t>(names->size());
  return config.count({"num_labels"}, 2);
}

void add_patches(RuleTable& table, const ModelSpec& spec, const std::string& projection, bool bias) {
  const PatchSpec& p = spec.patches;
  WeightRule rule{
      Slot::patch_weight, projection + ".weight", {spec.d_model, p.channels * p.height * p.width}};
  rule.stored_shape = {spec.d_model, p.channels, p.height, p.width};
  table.add(std::move(rule));
  if (bias) table.vector(Slot::patch_bias, projection + ".bias", spec.d_model);
}

void add_positions(RuleTable& table, const ModelSpec& spec, const std::string& name, bool batch_axis) {
  const PatchSpec& p = spec.patches;
  const int64_t rows = p.n_placed_prefix() + int64_t{p.grid_height()} * p.grid_width();
  WeightRule rule{Slot::pos_embed, name, {rows, spec.d_model}};
  if (batch_axis) rule.stored_shape = {1, rows, spec.d_model};
  table.add(std::move(rule));
}

void add_token(RuleTable& table, const ModelSpec& spec, Slot slot, const std::string& name, int32_t n,
               int axes) {
  WeightRule rule{slot, name, {n, spec.d_model}};
  rule.stored_shape =
      axes == 1 ? std::vector<int64_t>{spec.d_model} : std::vector<int64_t>{1, n, spec.d_model};
  table.add(std::move(rule));
}

}  // namespace saccade
