// Qwen2-VL (Wang et al. 2024, arXiv 2409.12191) and Qwen2.5-VL (Bai et al. 2025, arXiv 2502.13923): a vision
// tower for any resolution with rotary positions of rows and columns, whose patches are merged 2 x 2 by an
// MLP of two matrices, and a Qwen2 decoder whose rotary positions have three axes
// (core/run/axis_positions.h). Qwen2.5-VL's tower has gated MLPs and RMS norms, and most of its layers see
// only windows of patches. Configs hold the decoder's settings in text_config, or, the older ones, beside
// vision_config. Still pictures are read; films are not.
#include <algorithm>

#include "core/model/families/pictures.h"

namespace saccade {
namespace {

using Json = nlohmann::json;

Result<bool> is_second(const Json& json) {  // Qwen2.5-VL
  SACCADE_TRY(const std::string type, ConfigReader(json).text("model_type", "qwen2_vl"));
  return type.starts_with("qwen2_5_vl");
}

Result<Json> vision_of(const Json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(const Json* vision, config.object("vision_config"));
  if (!vision) return config.wrong("vision_config", "an object", Json());
  SACCADE_TRY(const bool second, is_second(json));
  Json made = *vision;
  made["model_type"] = second ? "qwen2_5_vl_vision" : "qwen2_vl_vision";
  return made;
}

// The decoder's part as Qwen2's family reads it.
Result<Json> text_of(const Json& json) {
  SACCADE_TRY(const Json* part, ConfigReader(json).object("text_config"));
  Json text = part ? *part : json;
  for (const char* other : {"vision_config", "text_config"}) text.erase(other);
  text["model_type"] = "qwen2";
  const auto put = [&](const char* key, const Json& value) {
    if (!text.contains(key)) text[key] = value;
  };
  put("rms_norm_eps", 1e-5);
  put("rope_theta", 1000000.0);
  put("max_window_layers", 80);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!text.contains(key) || !text[key].is_object()) continue;
    for (const char* name : {"type", "rope_type"})
      if (text[key].value(name, Json()) == "mrope") text[key][name] = "default";
  }
  return text;
}

// Pairs of a head per axis: mrope_section.
Result<void> read_sections(const Json& text, RotarySpec& rotary) {
  std::vector<double> sections{16, 24, 24};
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    SACCADE_TRY(const Json* settings, ConfigReader(text).object(key));
    if (!settings || !settings->contains("mrope_section")) continue;
    SACCADE_TRY(sections, ConfigReader(*settings, key).positives("mrope_section", 3));
  }
  const int32_t half = rotary.dimensions / 2;
  double pairs = 0.0;
  for (const double n : sections) {
    pairs += n;
    rotary.sections.push_back(static_cast<int32_t>(std::min(n, 1e6)));
  }
  const bool whole = std::equal(sections.begin(), sections.end(), rotary.sections.begin());
  if (!whole || pairs != half)
    return ConfigReader(text).wrong(
        "mrope_section", "three numbers that sum to half of a head, " + std::to_string(half), Json(sections));
  if (rotary.scaling == RotaryScaling::dynamic || rotary.scaling == RotaryScaling::longrope)
    return make_error(
        ErrorCode::unsupported,
        "config.json: 'rope_scaling': dynamic and longrope are not read together with mrope_section; "
        "expected default, linear, yarn or llama3");
  return {};
}

Result<ModelSpec> read_qwen2_vl(const Json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(const Json text, text_of(json));
  const Family* decoder = find_family("qwen2");
  auto read = decoder->read_config(text);
  if (!read.ok()) return std::move(read).error();
  ModelSpec spec = std::move(*read);
  SACCADE_CHECK(read_sections(text, spec.rotary));
  SACCADE_TRY(const Json vision, vision_of(json));
  const Family* tower = find_family("qwen2_vl_vision");
  auto seen = tower->read_config(vision);
  if (!seen.ok()) return std::move(seen).error().with("vision_config");
  const ConfigReader vision_config(vision, "vision_config");
  SACCADE_TRY(const bool second, is_second(json));
  const char* width_key = second ? "out_hidden_size" : "hidden_size";
  SACCADE_TRY(const int32_t width, vision_config.count({width_key}, 3584));
  if (width != spec.d_model)
    return vision_config.wrong(width_key, "the decoder's hidden_size, " + std::to_string(spec.d_model),
                               width);
  TowerUse& use = spec.tower;
  use.d_tower = seen->d_model;
  use.layers = {seen->n_layer};
  use.drops_prefix = false;
  use.final_norm = true;
  SACCADE_TRY(use.merge, vision_config.count({"spatial_merge_size"}, 2, 64));
  SACCADE_TRY(const std::vector<int32_t> ids, config.ids("image_token_id"));
  use.image_token_id = ids.empty() ? 151655 : ids.front();
  if (use.image_token_id < 0 || use.image_token_id >= spec.n_vocab)
    return config.wrong("image_token_id", "a token id below vocab_size", use.image_token_id);
  SACCADE_TRY(const std::vector<int32_t> films, config.ids("video_token_id"));
  use.film_token_id = films.empty() ? 151656 : films.front();
  // Files of Transformers before 5 say it in text_config, later ones outside.
  SACCADE_TRY(const bool tied, config.flag("tie_word_embeddings", false));
  spec.tied_unembedding = spec.tied_unembedding || tied;
  return spec;
}

std::vector<WeightRule> qwen2_vl_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  const int64_t in = int64_t{spec.tower.merge} * spec.tower.merge * spec.tower.d_tower;
  table.linear(Slot::projector_in_weight, "visual.merger.mlp.0", in, in, true);
  table.linear(Slot::projector_out_weight, "visual.merger.mlp.2", in, spec.d_model, true);
  std::vector<WeightRule> rules = table.rules();
  constexpr std::string_view base = "model.";  // what stands in its place is a prefix here
  for (WeightRule& rule : find_family("qwen2")->weight_rules(spec)) {
    if (rule.name.starts_with(base)) rule.name.erase(0, base.size());
    rules.push_back(std::move(rule));
  }
  return rules;
}

Result<TowerConfig> qwen2_vl_tower(const Json& json) {
  SACCADE_TRY(const Json vision, vision_of(json));
  return TowerConfig{"qwen2_vl_vision", vision, {"visual.", "model.visual."}};
}

// Windows of window_size pixels, whole merged patches; fullatt_block_indexes are the layers without.
Result<void> read_windows(const ConfigReader& config, ModelSpec& spec) {
  PatchSpec& patches = spec.patches;
  SACCADE_TRY(const int32_t merge, config.count({"spatial_merge_size"}, 2, 64));
  SACCADE_TRY(const int32_t pixels, config.count({"window_size"}, 112, 1 << 16));
  patches.window = pixels / merge / patches.height * merge;
  if (patches.window < 1)
    return config.wrong("window_size",
                        "at least one merged patch of " + std::to_string(merge * patches.height) + " pixels",
                        pixels);
  SACCADE_TRY(patches.whole_layers, config.ids("fullatt_block_indexes"));
  if (!config.has("fullatt_block_indexes")) patches.whole_layers = {7, 15, 23, 31};
  return {};
}

Result<ModelSpec> read_tower(const Json& json) {
  const ConfigReader config(json, "vision_config");
  SACCADE_TRY(const bool second, is_second(json));
  const char* width = second ? "hidden_size" : "embed_dim";
  const SizeDefaults sizes = second ? SizeDefaults{32, 16, 3584} : SizeDefaults{32, 16, 1280};
  SACCADE_TRY(ModelSpec spec, read_shape(config, "qwen2_vl_vision", {"depth", "num_heads", width}, sizes));
  spec.causal = false;
  spec.tied_unembedding = false;
  spec.pooling = Pooling::mean;  // when it is asked on its own; the decoder reads every patch
  spec.n_vocab = spec.d_model;
  spec.norm_epsilon = 1e-6;
  SACCADE_TRY(spec.activation, config.activation("hidden_act", second ? "silu" : "quick_gelu"));
  PatchSpec& patches = spec.patches;
  SACCADE_TRY(patches.channels, config.count({"in_channels", "in_chans"}, 3, 64));
  if (patches.channels != 3) return config.wrong("in_channels", "3 (red, green, blue)", patches.channels);
  SACCADE_TRY(patches.height, config.count({"patch_size"}, 14, 4096));
  patches.width = patches.height;
  SACCADE_TRY(patches.frames, config.count({"temporal_patch_size"}, 2, 64));
  if (second) {
    spec.norm = NormKind::rms_norm;
    spec.gated_mlp = true;
    SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 3420));
    SACCADE_CHECK(read_windows(config, spec));
  } else {
    SACCADE_TRY(const double ratio, config.positive("mlp_ratio", 4.0));
    spec.d_mlp = static_cast<int32_t>(std::min(spec.d_model * ratio, 1e9));
  }
  spec.position = PositionKind::rotary;
  spec.rotary.dimensions = spec.d_head;
  SACCADE_TRY(const Json* rope, config.object("rope_parameters"));
  const Json none = Json::object();
  const ConfigReader rope_config(rope ? *rope : none, "vision_config.rope_parameters");
  SACCADE_CHECK(rope_config.only("rope_type", "axial"));
  SACCADE_TRY(spec.rotary.base, rope_config.positive("rope_theta", 10000.0));
  if (spec.d_head % 4 != 0)
    return config.wrong(width, "a multiple of 4 for each of " + std::to_string(spec.n_head) + " heads",
                        spec.d_model);
  spec.rotary.sections = {0, spec.d_head / 4, spec.d_head / 4};
  spec.rotary.sections_begin_anew = true;
  return spec;
}

std::vector<WeightRule> tower_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  const PatchSpec& p = spec.patches;
  WeightRule patches{Slot::patch_weight,
                     "patch_embed.proj.weight",
                     {spec.d_model, int64_t{p.channels} * p.frames * p.height * p.width}};
  patches.stored_shape = {spec.d_model, p.channels, p.frames, p.height, p.width};
  table.add(std::move(patches));
  const std::string block = "blocks.{l}.";
  const bool bias = spec.norm == NormKind::layer_norm;
  table.norm(Slot::norm1_weight, block + "norm1", bias)
      .fused_qkv(block + "attn.qkv", block + "attn.proj")
      .norm(Slot::norm2_weight, block + "norm2", bias);
  if (spec.gated_mlp)
    table.mlp(block + "mlp.up_proj", block + "mlp.gate_proj", block + "mlp.down_proj");
  else
    table.mlp(block + "mlp.fc1", "", block + "mlp.fc2");
  table.norm(Slot::final_norm_weight, "merger.ln_q", bias);
  return table.rules();
}

}  // namespace

Family qwen2_vl_family() {
  return {"qwen2_vl",
          {"qwen2_vl", "qwen2_5_vl"},
          read_qwen2_vl,
          qwen2_vl_rules,
          {"model.", "model.language_model.", "language_model.model.", ""},
          {"visual.*", "model.visual.*", "*.rotary_emb.inv_freq"},
          qwen2_vl_tower};
}
Family qwen2_vl_vision_family() {
  return {"qwen2_vl_vision", {"qwen2_vl_vision", "qwen2_5_vl_vision"},
          read_tower,        tower_rules,
          {"", "visual."},   {}};
}

}  // namespace saccade
