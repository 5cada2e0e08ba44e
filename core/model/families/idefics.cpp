// Idefics3 (Laurencon et al. 2024, arXiv 2408.12637) and SmolVLM (arXiv 2504.05299): a SigLIP tower whose
// positions are found by a patch's place in the picture, squares of patches shuffled into one position, one
// matrix, and a Llama decoder. A picture stands as rows of tiles and once as a whole, each behind a token
// that says which it is.
#include "core/model/families/decoder_parts.h"

namespace saccade {
namespace {

using Json = nlohmann::json;

Result<Json> vision_part(const Json& json) {
  SACCADE_TRY(Json part, part_of(json, "vision_config"));
  SACCADE_TRY(const std::string type, ConfigReader(json).text("model_type", "idefics3"));
  const std::vector<std::pair<const char*, int32_t>> defaults{
      {"hidden_size", 1152},       {"intermediate_size", 3072}, {"num_hidden_layers", 12},
      {"num_attention_heads", 16}, {"image_size", 224},         {"patch_size", 32}};
  for (const auto& [key, value] : defaults)
    if (!part.contains(key) || part[key].is_null()) part[key] = value;
  part["model_type"] = type == "smolvlm" ? "smolvlm_vision" : "idefics3_vision";
  part["vision_use_head"] = false;
  return part;
}

Result<ModelSpec> read_idefics(const Json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(Json text, part_of(json, "text_config"));
  if (!text.contains("model_type")) text["model_type"] = "llama";
  if (!text.contains("rms_norm_eps")) text["rms_norm_eps"] = 1e-5;
  SACCADE_TRY(ModelSpec spec, read_decoder_part(text, {"llama", "mistral", "qwen2"}));
  SACCADE_TRY(const Json vision, vision_part(json));
  auto seen = siglip_family().read_config(vision);
  if (!seen.ok()) return std::move(seen).error().with("vision_config");
  TowerUse& use = spec.tower;
  use.d_tower = seen->d_model;
  use.layers = {seen->n_layer};
  use.final_norm = true;
  use.drops_prefix = false;
  use.bias = false;
  use.labels_tiles = true;
  SACCADE_TRY(use.merge, config.count({"scale_factor"}, 2, 64));
  const PatchSpec& patches = seen->patches;
  if (patches.grid_height() % use.merge != 0 || patches.grid_width() % use.merge != 0)
    return config.wrong("scale_factor", "a divisor of the number of patches a side", use.merge);
  SACCADE_TRY(use.image_token_id, image_token_of(config, 128257, spec.n_vocab));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", false));
  return spec;
}

std::vector<WeightRule> idefics_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  table.linear(Slot::projector_in_weight, "connector.modality_projection.proj",
               int64_t{spec.tower.d_tower} * spec.tower.merge * spec.tower.merge, spec.d_model, false);
  return with_decoder(table, spec, "model.text_model.");
}

Result<TowerConfig> idefics_tower(const Json& json) {
  SACCADE_TRY(const Json vision, vision_part(json));
  return TowerConfig{"siglip", vision, {"model.vision_model.", "vision_model."}};
}

}  // namespace

Family idefics3_family() {
  return {"idefics3",     {"idefics3", "smolvlm"},
          read_idefics,   idefics_rules,
          {"", "model."}, {"model.vision_model.*", "vision_model.*", "*.rotary_emb.inv_freq"},
          idefics_tower};
}

}  // namespace saccade
