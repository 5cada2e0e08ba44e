// LLaVA (Liu et al. 2023, arXiv 2304.08485 and 2310.03744): a picture goes through CLIP's or SigLIP's tower
// up to a chosen layer, a projector of two matrices makes rows of the decoder's width of it, and those stand
// in the place of <image> among the embedded words of a Llama, Mistral or Qwen2 decoder.
#include <algorithm>

#include "core/model/families/pictures.h"

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

Result<Json> part_of(const Json& json, const char* key) {
  const ConfigReader config(json);
  SACCADE_TRY(const Json* part, config.object(key));
  if (!part) return config.wrong(key, "an object", Json());
  return *part;
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
  const std::string type = text["model_type"];
  const Family* decoder = find_family(type);
  if (!decoder || (type != "llama" && type != "mistral" && type != "qwen2"))
    return ConfigReader(text, "text_config").wrong("model_type", "llama, mistral or qwen2", type);
  auto read = decoder->read_config(text);
  if (!read.ok()) return std::move(read).error().with("text_config");
  ModelSpec spec = std::move(*read);
  SACCADE_TRY(const Json vision, part_of(json, "vision_config"));
  SACCADE_TRY(const Family* tower, tower_family(vision));
  auto seen = tower->read_config(vision);
  if (!seen.ok()) return std::move(seen).error().with("vision_config");
  TowerUse& use = spec.tower;
  use.d_tower = seen->d_model;
  SACCADE_TRY(use.layers, feature_layers(json, seen->n_layer));
  for (const char* key : {"image_token_id", "image_token_index"}) {
    SACCADE_TRY(const std::vector<int32_t> ids, config.ids(key));
    if (!ids.empty()) use.image_token_id = ids.front();
  }
  if (use.image_token_id < 0) use.image_token_id = 32000;
  if (use.image_token_id >= spec.n_vocab)
    return config.wrong("image_token_index", "a token id below text_config.vocab_size", use.image_token_id);
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

std::vector<WeightRule> llava_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  const int64_t in = static_cast<int64_t>(spec.tower.layers.size()) * spec.tower.d_tower;
  table.linear(Slot::projector_in_weight, "multi_modal_projector.linear_1", in, spec.d_model,
               spec.tower.bias);
  table.linear(Slot::projector_out_weight, "multi_modal_projector.linear_2", spec.d_model, spec.d_model,
               spec.tower.bias);
  std::vector<WeightRule> rules = table.rules();
  if (const Family* decoder = find_family(spec.family))
    for (WeightRule& rule : decoder->weight_rules(spec)) rules.push_back(std::move(rule));
  return rules;
}

Result<TowerConfig> llava_tower(const Json& json) {
  SACCADE_TRY(const Json vision, part_of(json, "vision_config"));
  SACCADE_TRY(const Family* family, tower_family(vision));
  return TowerConfig{family->name, vision, {"vision_tower.vision_model.", "vision_tower."}};
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

}  // namespace saccade
