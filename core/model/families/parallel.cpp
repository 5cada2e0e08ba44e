// Decoders whose attention and MLP read the same residual: GPT-J (Wang and Komatsuzaki 2021), GPT-NeoX and
// Pythia (Black et al. 2022, arXiv 2204.06745; Biderman et al. 2023, arXiv 2304.01373), Phi (Li et al. 2023,
// arXiv 2309.05463), StableLM (Bellagente et al. 2024, arXiv 2402.17834), Cohere's Command R7B (cohere2).
#include "core/model/families/common.h"

namespace saccade {
namespace {

Result<ModelSpec> read_gptj(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_sizes(config, "gptj", {"n_layer", "n_head", "n_embd"}));
  SACCADE_TRY(spec.n_context, config.count({"n_positions"}, 2048));
  SACCADE_TRY(spec.d_mlp, config.count({"n_inner"}, 4 * spec.d_model));
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_epsilon", 1e-5));
  SACCADE_TRY(spec.activation, config.activation("activation_function", "gelu_new"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", false));
  spec.block = BlockKind::parallel;
  spec.position = PositionKind::rotary;
  spec.rotary.pairing = RotaryPairing::interleaved;
  SACCADE_TRY(spec.rotary.dimensions, config.count({"rotary_dim"}, spec.d_head, spec.d_head));
  if (spec.rotary.dimensions % 2 != 0)
    return config.wrong("rotary_dim", "an even number", spec.rotary.dimensions);
  spec.qkv_bias = spec.attention_out_bias = false;
  return spec;
}

std::vector<WeightRule> gptj_rules(const ModelSpec& spec) {
  const std::string layer = "h.{l}.";
  RuleTable table(spec);
  table.vocabulary("wte", "lm_head")
      .norm(Slot::norm1_weight, layer + "ln_1", true)
      .separate_qkv(layer + "attn.", "q_proj", "k_proj", "v_proj", "out_proj")
      .mlp(layer + "mlp.fc_in", "", layer + "mlp.fc_out")
      .norm(Slot::final_norm_weight, "ln_f", true)
      .vector(Slot::unembed_bias, "lm_head.bias", spec.n_vocab);
  return table.rules();
}

Result<ModelSpec> read_neox(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"gpt_neox", NormKind::layer_norm, "layer_norm_eps", 1e-5, "hidden_act", "gelu",
                           false};
  defaults.attention_bias = true;
  defaults.mlp_bias = true;
  defaults.rotary.part = 0.25;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  spec.mlp_bias = true;
  spec.qkv_layout = QkvLayout::per_kv_head;
  SACCADE_TRY(const bool parallel, config.flag("use_parallel_residual", true));
  spec.block = parallel ? BlockKind::parallel : BlockKind::sequential;
  return spec;
}

std::vector<WeightRule> neox_rules(const ModelSpec& spec) {
  const std::string layer = "gpt_neox.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("gpt_neox.embed_in", "embed_out")
      .norm(Slot::norm1_weight, layer + "input_layernorm", true)
      .norm(Slot::norm2_weight, layer + "post_attention_layernorm", true)
      .fused_qkv(layer + "attention.query_key_value", layer + "attention.dense")
      .mlp(layer + "mlp.dense_h_to_4h", "", layer + "mlp.dense_4h_to_h")
      .norm(Slot::final_norm_weight, "gpt_neox.final_layer_norm", true);
  return table.rules();
}

Result<ModelSpec> read_phi(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"phi", NormKind::layer_norm, "layer_norm_eps", 1e-5, "hidden_act", "gelu_new",
                           false};
  defaults.rotary.part = 0.5;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  SACCADE_CHECK(config.only("qk_layernorm", false));
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = true;
  spec.block = BlockKind::parallel;
  return spec;
}

std::vector<WeightRule> phi_rules(const ModelSpec& spec) {
  const std::string layer = "model.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("model.embed_tokens", "lm_head")
      .norm(Slot::norm1_weight, layer + "input_layernorm", true)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "dense")
      .mlp(layer + "mlp.fc1", "", layer + "mlp.fc2")
      .norm(Slot::final_norm_weight, "model.final_layernorm", true)
      .vector(Slot::unembed_bias, "lm_head.bias", spec.n_vocab);
  return table.rules();
}

Result<ModelSpec> read_stablelm(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"stablelm", NormKind::layer_norm, "layer_norm_eps", 1e-5};
  defaults.n_context = 4096;
  defaults.rotary.part = 0.25;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  SACCADE_TRY(spec.qkv_bias, config.flag("use_qkv_bias", false));
  spec.attention_out_bias = false;
  SACCADE_TRY(const bool parallel, config.flag("use_parallel_residual", false));
  SACCADE_TRY(const bool normed, config.flag("qk_layernorm", false));
  spec.block = parallel ? BlockKind::parallel : BlockKind::sequential;
  spec.qk_norm = normed ? QkNorm::per_head : QkNorm::none;
  return spec;
}

std::vector<WeightRule> stablelm_rules(const ModelSpec& spec) {
  RuleTable table = llama_rules(spec);
  const std::string attention = "model.layers.{l}.self_attn.";
  if (spec.qk_norm != QkNorm::none)
    table.vector(Slot::q_norm_weight, attention + "q_layernorm.norms.{p}.weight", spec.d_head, spec.n_head)
        .vector(Slot::k_norm_weight, attention + "k_layernorm.norms.{p}.weight", spec.d_head, spec.n_kv_head);
  std::vector<WeightRule> rules = table.rules();
  if (spec.block == BlockKind::parallel)
    std::erase_if(rules, [](const WeightRule& rule) {
      return rule.slot == Slot::norm2_weight || rule.slot == Slot::norm2_bias;
    });
  return rules;
}

Result<ModelSpec> read_cohere2(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"cohere2", NormKind::layer_norm, "layer_norm_eps", 1e-5};
  defaults.tied = true;
  defaults.n_context = 8192;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  spec.block = BlockKind::parallel;
  spec.rotary.pairing = RotaryPairing::interleaved;
  SACCADE_TRY(spec.logit_scale, config.positive("logit_scale", 0.0625));
  SACCADE_TRY(const int32_t period, config.count({"sliding_window_pattern", "_sliding_window_pattern"}, 4));
  SACCADE_TRY(const std::vector<bool> sliding,
              read_sliding_layers(config, spec.n_layer, [&](int32_t l) { return (l + 1) % period != 0; }));
  SACCADE_TRY(spec.windows, read_windows(config, sliding));
  for (const bool slides : sliding) spec.layer_rotary.push_back(slides ? 1 : 0);
  return spec;
}

std::vector<WeightRule> cohere2_rules(const ModelSpec& spec) {
  const std::string layer = "model.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("model.embed_tokens", "lm_head")
      .norm(Slot::norm1_weight, layer + "input_layernorm", false)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "o_proj")
      .mlp(layer + "mlp.up_proj", layer + "mlp.gate_proj", layer + "mlp.down_proj")
      .norm(Slot::final_norm_weight, "model.norm", false);
  return table.rules();
}

}  // namespace

Family gptj_family() {
  return {
      "gptj", {"gptj"}, read_gptj, gptj_rules, {"", "transformer."}, {"*.attn.bias", "*.attn.masked_bias"}};
}
Family gpt_neox_family() {
  return {"gpt_neox", {"gpt_neox"}, read_neox,
          neox_rules, {""},         {"*.attention.bias", "*.attention.masked_bias", "*.rotary_emb.inv_freq"}};
}
Family phi_family() { return {"phi", {"phi"}, read_phi, phi_rules, {""}, {"*.rotary_emb.inv_freq"}}; }
Family stablelm_family() { return {"stablelm", {"stablelm"}, read_stablelm, stablelm_rules, {""}, {}}; }
Family cohere2_family() { return {"cohere2", {"cohere2"}, read_cohere2, cohere2_rules, {""}, {}}; }

}  // namespace saccade
