// Llama 1 to 3 (Touvron et al. 2023, arXiv 2302.13971; Dubey et al. 2024, arXiv 2407.21783): RMSNorm, rotary
// positions, gated MLP, grouped-query attention. And those that change little of it: Mistral (Jiang et al.
// 2023, arXiv 2310.06825: a window), Granite (multipliers), SmolLM3 (some layers without positions).
#include "core/model/families/common.h"

namespace saccade {
namespace {

constexpr DecoderDefaults llama{"llama"};

Result<ModelSpec> read_llama(const nlohmann::json& json) { return read_decoder(ConfigReader(json), llama); }

std::vector<WeightRule> rules(const ModelSpec& spec) { return llama_rules(spec).rules(); }

Result<ModelSpec> read_mistral(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"mistral"};
  defaults.n_context = 131072;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  const std::vector<bool> all(static_cast<size_t>(spec.n_layer), true);
  SACCADE_TRY(spec.windows, read_windows(config, all));
  return spec;
}

Result<ModelSpec> read_granite(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_decoder(config, DecoderDefaults{"granite"}));
  SACCADE_TRY(spec.embed_scale, config.positive("embedding_multiplier", 1.0));
  SACCADE_TRY(spec.residual_scale, config.positive("residual_multiplier", 1.0));
  SACCADE_TRY(spec.attention_scale, config.positive("attention_multiplier", 1.0));
  SACCADE_TRY(const double divisor, config.positive("logits_scaling", 1.0));
  spec.logit_scale = 1.0 / divisor;
  return spec;
}

Result<ModelSpec> read_smollm3(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"smollm3"};
  defaults.tied = true;
  defaults.n_context = 32768;
  defaults.rotary.base = 2000000.0;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  SACCADE_TRY(const int32_t interval, config.count({"no_rope_layer_interval"}, 4));
  SACCADE_TRY(std::vector<bool> rotates, config.flags("no_rope_layers", spec.n_layer));  // 1 = rotates
  for (int32_t l = 0; rotates.size() < static_cast<size_t>(spec.n_layer); ++l)
    rotates.push_back((l + 1) % interval != 0);
  for (const bool r : rotates) spec.layer_rotary.push_back(r ? 1 : 0);
  SACCADE_TRY(const bool slides, config.flag("use_sliding_window", false));
  if (!slides) return spec;
  SACCADE_TRY(const std::vector<bool> sliding, read_sliding_layers(config, spec.n_layer, [&](int32_t l) {
                return !rotates[static_cast<size_t>(l)];
              }));
  SACCADE_TRY(spec.windows, read_windows(config, sliding));
  return spec;
}

}  // namespace

Family llama_family() { return {"llama", {"llama"}, read_llama, rules, {""}, {"*.rotary_emb.inv_freq"}}; }
Family mistral_family() {
  return {"mistral", {"mistral"}, read_mistral, rules, {""}, {"*.rotary_emb.inv_freq"}};
}
Family granite_family() { return {"granite", {"granite"}, read_granite, rules, {""}, {}}; }
Family smollm3_family() { return {"smollm3", {"smollm3"}, read_smollm3, rules, {""}, {}}; }

}  // namespace saccade
