// PaliGemma (Beyer et al. 2024, arXiv 2407.07726) and PaliGemma 2 (arXiv 2412.03555): SigLIP's tower through
// its last norm, one matrix, and a Gemma or Gemma 2 decoder that sees the picture and the prompt in both
// directions and what it writes causally. Transformers counts positions from 1, which rotations do not see.
#include "core/model/families/decoder_parts.h"

namespace saccade {
namespace {

using Json = nlohmann::json;

Json with(Json part, const std::vector<std::pair<const char*, Json>>& defaults) {
  for (const auto& [key, value] : defaults)
    if (!part.contains(key) || part[key].is_null()) part[key] = value;
  return part;
}

Result<Json> vision_part(const Json& json) {
  SACCADE_TRY(const Json part, part_of(json, "vision_config"));
  return with(part, {{"model_type", "siglip_vision_model"},
                     {"hidden_size", 1152},
                     {"intermediate_size", 4304},
                     {"num_hidden_layers", 27},
                     {"num_attention_heads", 16},
                     {"patch_size", 14},
                     {"image_size", 224},
                     {"vision_use_head", false}});
}

Result<Json> text_part(const Json& json) {
  SACCADE_TRY(Json part, part_of(json, "text_config"));
  part = with(part, {{"model_type", "gemma"},
                     {"use_bidirectional_attention", true},
                     {"vocab_size", 257152},
                     {"hidden_size", 2048},
                     {"intermediate_size", 16384},
                     {"num_hidden_layers", 18},
                     {"num_attention_heads", 8},
                     {"num_key_value_heads", 1}});
  SACCADE_CHECK(ConfigReader(part, "text_config").only("use_bidirectional_attention", true));
  part.erase("use_bidirectional_attention");
  for (const char* key : {"bos_token_id", "eos_token_id"})
    if (json.contains(key) && !part.contains(key)) part[key] = json[key];
  return part;
}

Result<ModelSpec> read_paligemma(const Json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(const Json text, text_part(json));
  SACCADE_TRY(ModelSpec spec, read_decoder_part(text, {"gemma", "gemma2"}));
  SACCADE_TRY(const Json vision, vision_part(json));
  auto seen = siglip_family().read_config(vision);
  if (!seen.ok()) return std::move(seen).error().with("vision_config");
  SACCADE_TRY(const std::string type, ConfigReader(vision, "vision_config").text("model_type", ""));
  if (type != "siglip_vision_model")
    return ConfigReader(vision, "vision_config").wrong("model_type", "siglip_vision_model", type);
  spec.prefix = -1;
  TowerUse& use = spec.tower;
  use.d_tower = seen->d_model;
  use.layers = {seen->n_layer};
  use.final_norm = true;
  use.drops_prefix = false;
  SACCADE_TRY(use.image_token_id, image_token_of(config, 256000, spec.n_vocab));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  return spec;
}

std::vector<WeightRule> paligemma_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  table.linear(Slot::projector_in_weight, "multi_modal_projector.linear", spec.tower.d_tower, spec.d_model,
               true);
  return with_decoder(table, spec, "model.language_model.");
}

Result<TowerConfig> paligemma_tower(const Json& json) {
  SACCADE_TRY(const Json vision, vision_part(json));
  return TowerConfig{"siglip",
                     vision,
                     {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower.vision_model.",
                      "model.vision_tower."}};
}

}  // namespace

Family paligemma_family() {
  return {"paligemma",
          {"paligemma"},
          read_paligemma,
          paligemma_rules,
          {"language_model.", "model.", ""},
          {"vision_tower.*", "model.vision_tower.*", "*.rotary_emb.inv_freq"},
          paligemma_tower};
}

}  // namespace saccade
