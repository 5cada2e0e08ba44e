// Gemma (arXiv 2403.08295: norms around 1, scaled embeddings), Gemma 2 (arXiv 2408.00118: soft caps, every
// other layer with a window, norms on both sides) and Gemma 3 (arXiv 2503.19786: normalised q and k, two
// rotary bases).
#include <cmath>

#include "core/model/families/common.h"

namespace saccade {
namespace {

Result<ModelSpec> read_common(const ConfigReader& config, const char* family, const char* activation_key,
                              int32_t n_context) {
  DecoderDefaults defaults{family};
  defaults.activation_key = activation_key;
  defaults.activation = "gelu_pytorch_tanh";
  defaults.tied = true;
  defaults.n_context = n_context;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  SACCADE_CHECK(config.only("use_bidirectional_attention", false));
  spec.norm_offset = 1.0;
  spec.embed_scale = std::sqrt(static_cast<double>(spec.d_model));
  return spec;
}

// Older files lack head_dim; the family's is 256.
nlohmann::json with_head_size(nlohmann::json json) {
  if (!json.contains("head_dim") || json["head_dim"].is_null()) json["head_dim"] = 256;
  return json;
}

Result<ModelSpec> read_gemma(const nlohmann::json& json) {
  const nlohmann::json full = with_head_size(json);
  const ConfigReader config(full);
  // The first files say "gelu" and mean its tanh form; hidden_activation, where given, says it rightly.
  SACCADE_TRY(const std::string newer, config.text("hidden_activation", "gelu_pytorch_tanh"));
  nlohmann::json renamed = full;
  renamed["hidden_activation"] = newer;
  return read_common(ConfigReader(renamed), "gemma", "hidden_activation", 8192);
}

Result<void> read_caps_and_windows(const ConfigReader& config, ModelSpec& spec, double attention_cap,
                                   double logit_cap, int32_t period) {
  SACCADE_TRY(spec.attention_softcap, config.number("attn_logit_softcapping", attention_cap));
  SACCADE_TRY(spec.logit_softcap, config.number("final_logit_softcapping", logit_cap));
  SACCADE_TRY(const double divisor, config.positive("query_pre_attn_scalar", 256.0));
  spec.attention_scale = 1.0 / std::sqrt(divisor);
  SACCADE_TRY(const std::vector<bool> sliding,
              read_sliding_layers(config, spec.n_layer, [&](int32_t l) { return (l + 1) % period != 0; }));
  SACCADE_TRY(spec.windows, read_windows(config, sliding));
  if (spec.windows.empty())
    for (const bool slides : sliding) spec.windows.push_back(slides ? 4096 : 0);
  return {};
}

Result<ModelSpec> read_gemma2(const nlohmann::json& json) {
  const nlohmann::json full = with_head_size(json);
  const ConfigReader config(full);
  SACCADE_TRY(ModelSpec spec, read_common(config, "gemma2", "hidden_activation", 8192));
  // A cap that is null is none, one that is missing the family's.
  const auto cap = [&](const char* key, double usual) { return full.contains(key) ? 0.0 : usual; };
  SACCADE_CHECK(read_caps_and_windows(config, spec, cap("attn_logit_softcapping", 50.0),
                                      cap("final_logit_softcapping", 30.0), 2));
  return spec;
}

Result<ModelSpec> read_gemma3(const nlohmann::json& json) {
  nlohmann::json full = with_head_size(json);
  const ConfigReader config(full);
  // read_common reads one set of rotary settings: give it that of the layers without a window.
  nlohmann::json plain = full;
  plain.erase("rope_parameters");
  plain.erase("rope_scaling");
  SACCADE_TRY(ModelSpec spec, read_common(ConfigReader(plain), "gemma3_text", "hidden_activation", 131072));
  spec.qk_norm = QkNorm::per_head;
  SACCADE_TRY(const int32_t period, config.count({"sliding_window_pattern", "_sliding_window_pattern"}, 6));
  SACCADE_CHECK(read_caps_and_windows(config, spec, 0.0, 0.0, period));
  SACCADE_TRY(spec.rotary, read_rotary(config, spec, {1000000.0}, "full_attention"));
  if (config.has("rope_parameters")) {
    SACCADE_TRY(spec.local_rotary, read_rotary(config, spec, {10000.0}, "sliding_attention"));
  } else {
    spec.local_rotary.dimensions = spec.d_head;
    SACCADE_TRY(spec.local_rotary.base, config.positive("rope_local_base_freq", 10000.0));
  }
  for (const int32_t window : spec.windows) spec.layer_rotary.push_back(window > 0 ? 2 : 1);
  return spec;
}

std::vector<WeightRule> gemma_rules(const ModelSpec& spec) { return llama_rules(spec).rules(); }

std::vector<WeightRule> sandwich_rules(const ModelSpec& spec) {
  const std::string layer = "model.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("model.embed_tokens", "lm_head")
      .norm(Slot::norm1_weight, layer + "input_layernorm", false)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "o_proj")
      .norm(Slot::attn_out_norm_weight, layer + "post_attention_layernorm", false)
      .norm(Slot::norm2_weight, layer + "pre_feedforward_layernorm", false)
      .mlp(layer + "mlp.up_proj", layer + "mlp.gate_proj", layer + "mlp.down_proj")
      .norm(Slot::mlp_out_norm_weight, layer + "post_feedforward_layernorm", false)
      .norm(Slot::final_norm_weight, "model.norm", false);
  if (spec.qk_norm != QkNorm::none)
    table.vector(Slot::q_norm_weight, layer + "self_attn.q_norm.weight", spec.d_head)
        .vector(Slot::k_norm_weight, layer + "self_attn.k_norm.weight", spec.d_head);
  return table.rules();
}

}  // namespace

Family gemma_family() { return {"gemma", {"gemma"}, read_gemma, gemma_rules, {""}, {}}; }
Family gemma2_family() { return {"gemma2", {"gemma2"}, read_gemma2, sandwich_rules, {""}, {}}; }
Family gemma3_family() { return {"gemma3_text", {"gemma3_text"}, read_gemma3, sandwich_rules, {""}, {}}; }

}  // namespace saccade
