// Decoders with attention and MLP in sequence that share little with Llama's names: GPT-Neo (Black et al.
// 2021: every other layer local), OPT (Zhang et al. 2022, arXiv 2205.01068), Phi-3 (Abdin et al. 2024, arXiv
// 2404.14219: fused matrices), OLMo 2 (arXiv 2501.00656: norms after, normalised q and k), StarCoder2
// (Lozhkov et al. 2024, arXiv 2402.19173).
#include <fmt/format.h>

#include "core/model/families/common.h"

namespace saccade {
namespace {

// attention_types [[["global", "local"], 12]]: the list, repeated; attention_layers: one name per layer.
Result<std::vector<std::string>> neo_layer_kinds(const ConfigReader& config, const nlohmann::json& json,
                                                 int32_t n_layer) {
  SACCADE_TRY(std::vector<std::string> kinds, config.texts("attention_layers"));
  const nlohmann::json types = json.value("attention_types", nlohmann::json());
  if (kinds.empty() && types.is_array())
    for (const nlohmann::json& item : types) {
      const bool fits = item.is_array() && item.size() == 2 && item[0].is_array() &&
                        item[1].is_number_unsigned() && item[1].get<uint64_t>() <= 10000;
      if (!fits) return config.wrong("attention_types", "lists of [[kinds], times]", types);
      for (uint64_t i = 0; i < item[1].get<uint64_t>(); ++i)
        for (const nlohmann::json& kind : item[0])
          kinds.push_back(kind.is_string() ? kind.get<std::string>() : kind.dump());
    }
  for (int32_t l = 0; kinds.empty() && l < n_layer; ++l) kinds.emplace_back(l % 2 == 0 ? "global" : "local");
  if (kinds.size() != static_cast<size_t>(n_layer))
    return config.wrong("attention_types", fmt::format("a kind for each of {} layers", n_layer), types);
  return kinds;
}

Result<ModelSpec> read_gpt_neo(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_sizes(config, "gpt_neo", {"num_layers", "num_heads", "hidden_size"}));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, 2048));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 4 * spec.d_model));
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_epsilon", 1e-5));
  SACCADE_TRY(spec.activation, config.activation("activation_function", "gelu_new"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  SACCADE_TRY(const int32_t window, config.count({"window_size"}, 256));
  SACCADE_TRY(const std::vector<std::string> kinds, neo_layer_kinds(config, json, spec.n_layer));
  for (const std::string& kind : kinds) {
    if (kind != "global" && kind != "local") return config.wrong("attention_types", "global or local", kind);
    spec.windows.push_back(kind == "local" ? window : 0);
  }
  spec.attention_scale = 1.0;
  spec.qkv_bias = false;
  return spec;
}

std::vector<WeightRule> gpt_neo_rules(const ModelSpec& spec) {
  const std::string layer = "h.{l}.";
  RuleTable table(spec);
  table.vocabulary("wte", "lm_head")
      .rows(Slot::pos_embed, "wpe", spec.n_context, spec.d_model)
      .norm(Slot::norm1_weight, layer + "ln_1", true)
      .separate_qkv(layer + "attn.attention.", "q_proj", "k_proj", "v_proj", "out_proj")
      .norm(Slot::norm2_weight, layer + "ln_2", true)
      .mlp(layer + "mlp.c_fc", "", layer + "mlp.c_proj")
      .norm(Slot::final_norm_weight, "ln_f", true);
  return table.rules();
}

Result<ModelSpec> read_opt(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec,
              read_sizes(config, "opt", {"num_hidden_layers", "num_attention_heads", "hidden_size"}));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, 2048));
  SACCADE_TRY(spec.d_mlp, config.count({"ffn_dim"}));
  SACCADE_TRY(spec.activation, config.activation("activation_function", "relu"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  SACCADE_TRY(const int32_t width, config.count({"word_embed_proj_dim"}, spec.d_model));
  SACCADE_TRY(const bool before, config.flag("do_layer_norm_before", true));
  SACCADE_TRY(const bool bias, config.flag("enable_bias", true));
  SACCADE_CHECK(config.only("layer_norm_elementwise_affine", true));
  SACCADE_CHECK(config.only("_remove_final_layer_norm", false));
  spec.d_embed = width == spec.d_model ? 0 : width;
  spec.block = before ? BlockKind::sequential : BlockKind::post_norm;
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = bias;
  spec.position_offset = 2;
  return spec;
}

std::vector<WeightRule> opt_rules(const ModelSpec& spec) {
  const std::string layer = "decoder.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("decoder.embed_tokens", "lm_head")
      .rows(Slot::pos_embed, "decoder.embed_positions", spec.n_context + spec.position_offset, spec.d_model)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "out_proj")
      .norm(Slot::norm1_weight, layer + "self_attn_layer_norm", true)
      .mlp(layer + "fc1", "", layer + "fc2")
      .norm(Slot::norm2_weight, layer + "final_layer_norm", true);
  if (spec.d_embed > 0)
    table.linear(Slot::embed_in, "decoder.project_in", spec.d_embed, spec.d_model, false)
        .linear(Slot::embed_out, "decoder.project_out", spec.d_model, spec.d_embed, false);
  if (spec.block == BlockKind::sequential)
    table.norm(Slot::final_norm_weight, "decoder.final_layer_norm", true);
  return table.rules();
}

Result<ModelSpec> read_phi3(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"phi3"};
  defaults.norm_epsilon = 1e-5;
  defaults.n_context = 4096;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  spec.qkv_bias = spec.attention_out_bias = false;
  SACCADE_TRY(spec.windows, read_windows(config, std::vector<bool>(static_cast<size_t>(spec.n_layer), true)));
  return spec;
}

std::vector<WeightRule> phi3_rules(const ModelSpec& spec) {
  const std::string layer = "model.layers.{l}.";
  const int64_t d = spec.d_model, m = spec.d_mlp;
  RuleTable table(spec);
  table.vocabulary("model.embed_tokens", "lm_head")
      .norm(Slot::norm1_weight, layer + "input_layernorm", false)
      .fused_qkv(layer + "self_attn.qkv_proj", layer + "self_attn.o_proj")
      .norm(Slot::norm2_weight, layer + "post_attention_layernorm", false)
      .linear(Slot::mlp_out_weight, layer + "mlp.down_proj", m, d, false)
      .norm(Slot::final_norm_weight, "model.norm", false);
  const auto half = [&](Slot slot, int64_t first_row) {  // of the rows gate | in
    WeightRule rule{slot, layer + "mlp.gate_up_proj.weight", {m, d}};
    rule.stored_shape = {2 * m, d};
    rule.first_row = first_row;
    table.add(std::move(rule));
  };
  half(Slot::mlp_gate_weight, 0);
  half(Slot::mlp_in_weight, m);
  return table.rules();
}

Result<ModelSpec> read_olmo2(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"olmo2"};
  defaults.norm_epsilon = 1e-5;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  spec.qk_norm = QkNorm::whole_width;
  return spec;
}

std::vector<WeightRule> olmo2_rules(const ModelSpec& spec) {
  const std::string layer = "model.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("model.embed_tokens", "lm_head")
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "o_proj")
      .vector(Slot::q_norm_weight, layer + "self_attn.q_norm.weight", spec.n_head * spec.d_head)
      .vector(Slot::k_norm_weight, layer + "self_attn.k_norm.weight", spec.n_kv_head * spec.d_head)
      .norm(Slot::attn_out_norm_weight, layer + "post_attention_layernorm", false)
      .mlp(layer + "mlp.up_proj", layer + "mlp.gate_proj", layer + "mlp.down_proj")
      .norm(Slot::mlp_out_norm_weight, layer + "post_feedforward_layernorm", false)
      .norm(Slot::final_norm_weight, "model.norm", false);
  return table.rules();
}

Result<ModelSpec> read_starcoder2(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"starcoder2", NormKind::layer_norm, "norm_epsilon", 1e-5,
                           "hidden_act", "gelu_pytorch_tanh",  false,          true};
  defaults.n_context = 4096;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  SACCADE_TRY(const bool bias, config.flag("use_bias", true));
  SACCADE_CHECK(config.only("mlp_type", "default"));
  SACCADE_CHECK(config.only("norm_type", "layer_norm"));
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = bias;
  SACCADE_TRY(spec.windows, read_windows(config, std::vector<bool>(static_cast<size_t>(spec.n_layer), true)));
  return spec;
}

std::vector<WeightRule> starcoder2_rules(const ModelSpec& spec) {
  const std::string layer = "model.layers.{l}.";
  RuleTable table(spec);
  table.vocabulary("model.embed_tokens", "lm_head")
      .norm(Slot::norm1_weight, layer + "input_layernorm", true)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "o_proj")
      .norm(Slot::norm2_weight, layer + "post_attention_layernorm", true)
      .mlp(layer + "mlp.c_fc", "", layer + "mlp.c_proj")
      .norm(Slot::final_norm_weight, "model.norm", true);
  return table.rules();
}

}  // namespace

Family gpt_neo_family() {
  return {"gpt_neo",     {"gpt_neo"},          read_gpt_neo,
          gpt_neo_rules, {"", "transformer."}, {"*.attn.attention.bias", "*.attn.attention.masked_bias"}};
}
Family opt_family() { return {"opt", {"opt"}, read_opt, opt_rules, {"model.", ""}, {}}; }
Family phi3_family() { return {"phi3", {"phi3"}, read_phi3, phi3_rules, {""}, {"*.rotary_emb.inv_freq"}}; }
Family olmo2_family() { return {"olmo2", {"olmo2"}, read_olmo2, olmo2_rules, {""}, {}}; }
Family starcoder2_family() {
  return {"starcoder2", {"starcoder2"}, read_starcoder2, starcoder2_rules, {""}, {}};
}

}  // namespace saccade
