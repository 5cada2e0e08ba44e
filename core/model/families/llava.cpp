// LLaVA (Liu et al. 2023, arXiv 2304.08485 and 2310.03744): a picture goes through CLIP's or SigLIP's tower
// up to a chosen layer, a projector of two matrices makes rows of the decoder's width of it, and those stand
// in the place of <image> among the embedded words of a Llama, Mistral or Qwen2 decoder.
#include <algorithm>

#include "core/model/families/decoder_parts.h"

namespace saccade {
namespace {

using Json = nlohmann::json;

// Older checkpoints leave out of text_config what is as usual in its family.
Result<Json> with_defaults(Json text) {
  SACCADE_TRY(const std::string type, ConfigReader(text, "text_config").text("model_type", "llama"));
  text["model_type"] = type;
  const auto put = [&](const char* key, const Json& value) {
    if (!text.contains(key)) text[key] = value;
  };
  if (type != "llama" && type != "mistral") return text;
  put("vocab_size", 32000);
  put("hidden_size", 4096);
  put("num_hidden_layers", 32);
  put("num_attention_heads", 32);
  put("intermediate_size", type == "llama" ? 11008 : 14336);
  if (type == "mistral") put("num_key_value_heads", 8);
  return text;
}

Result<const Family*> tower_family(const Json& vision) {
  SACCADE_TRY(const std::string type,
              ConfigReader(vision, "vision_config").text("model_type", "clip_vision_model"));
  const Family* family = find_family(type);
  if (family && (family->name == "clip" || family->name == "siglip")) return family;
  return ConfigReader(vision, "vision_config")
      .wrong("model_type", "clip_vision_model or siglip_vision_model", type);
}

// Numbers of hidden states: 0 is what enters the first layer, negative ones count from behind.
Result<std::vector<int32_t>> feature_layers(const Json& json, int32_t n_layer) {
  const auto found = json.find("vision_feature_layer");
  const Json given = found == json.end() || found->is_null() ? Json(-2) : *found;
  std::vector<int32_t> layers;
  for (const Json& one : given.is_array() ? given : Json::array({given})) {
    if (!one.is_number_integer() || one.get<int64_t>() > n_layer || one.get<int64_t>() < -n_layer - 1)
      return ConfigReader(json).wrong("vision_feature_layer", "layers of the vision tower", given);
    const auto layer = static_cast<int32_t>(one.get<int64_t>());
    layers.push_back(layer < 0 ? n_layer + 1 + layer : layer);
  }
  if (layers.empty()) return ConfigReader(json).wrong("vision_feature_layer", "at least one layer", given);
  return layers;
}

Result<ModelSpec> read_llava(const Json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(Json text, part_of(json, "text_config"));
  SACCADE_TRY(text, with_defaults(std::move(text)));
  SACCADE_TRY(ModelSpec spec, read_decoder_part(text, {"llama", "mistral", "qwen2"}));
  SACCADE_TRY(const Json vision, part_of(json, "vision_config"));
  SACCADE_TRY(const Family* tower, tower_family(vision));
  auto seen = tower->read_config(vision);
  if (!seen.ok()) return std::move(seen).error().with("vision_config");
  TowerUse& use = spec.tower;
  use.d_tower = seen->d_model;
  SACCADE_TRY(use.layers, feature_layers(json, seen->n_layer));
  SACCADE_TRY(use.image_token_id, image_token_of(config, 32000, spec.n_vocab));
  SACCADE_TRY(const std::string strategy, config.text("vision_feature_select_strategy", "default"));
  if (strategy != "default" && strategy != "full")
    return config.wrong("vision_feature_select_strategy", "default or full", strategy);
  // "default" drops the first position, whatever it is.
  use.drops_prefix = strategy == "default";
  if (use.drops_prefix && seen->patches.n_prefix() == 0)
    return config.wrong("vision_feature_select_strategy", "full, for a tower without CLS", strategy);
  SACCADE_TRY(use.activation, config.activation("projector_hidden_act", "gelu"));
  SACCADE_TRY(use.bias, config.flag("multimodal_projector_bias", true));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", spec.tied_unembedding));
  return spec;
}

// LLaVA-NeXT (Liu et al. 2024): the picture once as a whole, and once in tiles whose patches stand as one
// grid.
Result<ModelSpec> read_llava_next(const Json& json) {
  SACCADE_TRY(ModelSpec spec, read_llava(json));
  spec.tower.newline = true;
  if (!spec.tower.drops_prefix && spec.tower.d_tower > 0) {
    SACCADE_TRY(const Json vision, part_of(json, "vision_config"));
    SACCADE_TRY(const Family* family, tower_family(vision));
    SACCADE_TRY(const ModelSpec tower, family->read_config(vision));
    if (tower.patches.n_prefix() > 0)
      return ConfigReader(json).wrong("vision_feature_select_strategy", "default, for a tower with CLS",
                                      "full");
  }
  return spec;
}

std::vector<WeightRule> llava_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  const int64_t in = static_cast<int64_t>(spec.tower.layers.size()) * spec.tower.d_tower;
  table.linear(Slot::projector_in_weight, "multi_modal_projector.linear_1", in, spec.d_model,
               spec.tower.bias);
  table.linear(Slot::projector_out_weight, "multi_modal_projector.linear_2", spec.d_model, spec.d_model,
               spec.tower.bias);
  if (spec.tower.newline) table.vector(Slot::image_newline, "image_newline", spec.d_model);
  return with_decoder(table, spec, "model.language_model.");
}

Result<TowerConfig> llava_tower(const Json& json) {
  SACCADE_TRY(const Json vision, part_of(json, "vision_config"));
  SACCADE_TRY(const Family* family, tower_family(vision));
  return TowerConfig{family->name,
                     vision,
                     {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower.vision_model.",
                      "model.vision_tower."}};
}

}  // namespace

Family llava_family() {
  return {"llava",
          {"llava"},
          read_llava,
          llava_rules,
          {"language_model.", ""},
          {"vision_tower.*", "*.rotary_emb.inv_freq", "image_newline"},
          llava_tower};
}
Family llava_next_family() {
  return {"llava_next",
          {"llava_next"},
          read_llava_next,
          llava_rules,
          {"language_model.", "model.", ""},
          {"vision_tower.*", "model.vision_tower.*", "*.rotary_emb.inv_freq"},
          llava_tower};
}

}  // namespace saccade
