// Llama 1 to 3 (Touvron et al. 2023, arXiv 2302.13971; Dubey et al. 2024, arXiv 2407.21783): RMSNorm, rotary
// positions, gated MLP, grouped-query attention.
#include <fmt/format.h>

#include <cmath>

#include "core/model/config_reader.h"
#include "core/model/families/families.h"

namespace saccade {
namespace {

Result<void> read_llama3_scaling(const ConfigReader& scaling, RotarySpec& rotary) {
  rotary.scaling = RotaryScaling::llama3;
  SACCADE_TRY(rotary.low_frequency_factor, scaling.positive("low_freq_factor", 0.0));
  SACCADE_TRY(rotary.high_frequency_factor, scaling.positive("high_freq_factor", 0.0));
  SACCADE_TRY(rotary.original_context, scaling.count({"original_max_position_embeddings"}));
  if (rotary.high_frequency_factor > rotary.low_frequency_factor) return {};
  return scaling.wrong("high_freq_factor",
                       fmt::format("more than low_freq_factor, {}", rotary.low_frequency_factor),
                       rotary.high_frequency_factor);
}

Result<std::string> kind_of(const ConfigReader& scaling) {
  SACCADE_TRY(const std::string old_name, scaling.text("type", "default"));
  return scaling.text("rope_type", old_name);
}

// Both spellings are on disk: rope_theta + rope_scaling{type | rope_type}, and rope_parameters{rope_theta,
// rope_type}. As in Transformers, a rope_theta inside wins over one outside.
Result<RotarySpec> read_rotary(const ConfigReader& config, int32_t d_head) {
  RotarySpec rotary;
  rotary.dimensions = d_head;
  if (d_head % 2 != 0)
    return make_error(ErrorCode::bad_format,
                      fmt::format("config.json: rotary positions need an even head size, found {}", d_head));
  SACCADE_TRY(rotary.base, config.positive("rope_theta", 10000.0));
  SACCADE_TRY(const nlohmann::json* older, config.object("rope_scaling"));
  SACCADE_TRY(const nlohmann::json* newer, config.object("rope_parameters"));
  if (!older && !newer) return rotary;
  const std::string where = newer ? "rope_parameters" : "rope_scaling";
  const nlohmann::json& settings = newer ? *newer : *older;
  const ConfigReader scaling(settings, where);
  SACCADE_TRY(const std::string kind, kind_of(scaling));
  if (older && newer) {
    SACCADE_TRY(const std::string other, kind_of(ConfigReader(*older, "rope_scaling")));
    if (other != kind)
      return config.wrong("rope_parameters", "the same kind as in 'rope_scaling', '" + other + "'", kind);
  }
  for (const auto& [key, value] : settings.items())
    if (value.is_object())
      return make_error(
          ErrorCode::unsupported,
          fmt::format("config.json: '{}.{}': rotary settings per kind of layer are not read", where, key));
  SACCADE_TRY(rotary.base, scaling.positive("rope_theta", rotary.base));
  SACCADE_TRY(const double inner, scaling.positive("partial_rotary_factor", 1.0));
  SACCADE_TRY(const double outer, config.positive("partial_rotary_factor", 1.0));
  if (inner != 1.0 || outer != 1.0)
    return make_error(ErrorCode::unsupported,
                      "config.json: 'partial_rotary_factor': expected 1, a partly rotated Llama is not read");
  if (kind == "default") return rotary;
  if (kind != "linear" && kind != "llama3")
    return make_error(
        ErrorCode::unsupported,
        fmt::format("config.json: '{}': rotary scaling '{}' is not read; default, linear and llama3 are",
                    where, kind));
  SACCADE_TRY(rotary.factor, scaling.positive("factor", 0.0));
  if (kind == "linear") {
    rotary.scaling = RotaryScaling::linear;
  } else {
    SACCADE_CHECK(read_llama3_scaling(scaling, rotary));
  }
  return rotary;
}

Result<ModelSpec> read_config(const nlohmann::json& json) {
  const ConfigReader config(json);
  ModelSpec spec;
  spec.family = "llama";
  spec.norm = NormKind::rms_norm;
  spec.position = PositionKind::rotary;
  spec.gated_mlp = true;
  SACCADE_TRY(spec.n_layer, config.count({"num_hidden_layers"}, 0, 10000));
  SACCADE_TRY(spec.n_head, config.count({"num_attention_heads"}, 0, 10000));
  SACCADE_TRY(spec.n_kv_head, config.count({"num_key_value_heads"}, spec.n_head, 10000));
  SACCADE_TRY(spec.d_model, config.count({"hidden_size"}));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}));
  SACCADE_TRY(spec.n_vocab, config.count({"vocab_size"}));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, 2048));
  if (config.has("head_dim")) {
    SACCADE_TRY(spec.d_head, config.count({"head_dim"}));
  } else {
    SACCADE_TRY(spec.d_head, divide("hidden_size", spec.d_model, "num_attention_heads", spec.n_head));
  }
  const auto group = divide("num_attention_heads", spec.n_head, "num_key_value_heads", spec.n_kv_head);
  if (!group.ok()) return group.error();
  SACCADE_TRY(spec.norm_epsilon, config.positive("rms_norm_eps", 1e-6));
  SACCADE_TRY(spec.activation, config.activation("hidden_act", "silu"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", false));
  SACCADE_TRY(spec.qkv_bias, config.flag("attention_bias", false));
  spec.attention_out_bias = spec.qkv_bias;
  SACCADE_TRY(spec.mlp_bias, config.flag("mlp_bias", false));
  SACCADE_TRY(spec.rotary, read_rotary(config, spec.d_head));
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(spec.d_head));
  SACCADE_TRY(spec.bos_ids, config.ids("bos_token_id"));
  SACCADE_TRY(spec.eos_ids, config.ids("eos_token_id"));
  return spec;
}

std::vector<WeightRule> weight_rules(const ModelSpec& s) {
  constexpr MatrixLayout linear = MatrixLayout::out_in;
  const int64_t d = s.d_model, m = s.d_mlp, d_head = s.d_head;
  const int64_t q = s.n_head * d_head, kv = s.n_kv_head * d_head;
  std::vector<WeightRule> rules{
      {Slot::embed,
       "model.embed_tokens.weight",
       {s.n_vocab, d},
       linear,
       true,
       s.tied_unembedding ? "lm_head.weight" : ""},
      {Slot::norm1_weight, "model.layers.{l}.input_layernorm.weight", {d}},
      {Slot::q_weight, "model.layers.{l}.self_attn.q_proj.weight", {q, d}},
      {Slot::k_weight, "model.layers.{l}.self_attn.k_proj.weight", {kv, d}},
      {Slot::v_weight, "model.layers.{l}.self_attn.v_proj.weight", {kv, d}},
      {Slot::o_weight, "model.layers.{l}.self_attn.o_proj.weight", {d, q}},
      {Slot::norm2_weight, "model.layers.{l}.post_attention_layernorm.weight", {d}},
      {Slot::mlp_in_weight, "model.layers.{l}.mlp.up_proj.weight", {m, d}},
      {Slot::mlp_gate_weight, "model.layers.{l}.mlp.gate_proj.weight", {m, d}},
      {Slot::mlp_out_weight, "model.layers.{l}.mlp.down_proj.weight", {d, m}},
      {Slot::final_norm_weight, "model.norm.weight", {d}},
      {Slot::unembed, "lm_head.weight", {s.n_vocab, d}, linear, !s.tied_unembedding}};
  if (s.qkv_bias) {
    rules.push_back({Slot::q_bias, "model.layers.{l}.self_attn.q_proj.bias", {q}});
    rules.push_back({Slot::k_bias, "model.layers.{l}.self_attn.k_proj.bias", {kv}});
    rules.push_back({Slot::v_bias, "model.layers.{l}.self_attn.v_proj.bias", {kv}});
    rules.push_back({Slot::o_bias, "model.layers.{l}.self_attn.o_proj.bias", {d}});
  }
  if (s.mlp_bias) {
    rules.push_back({Slot::mlp_in_bias, "model.layers.{l}.mlp.up_proj.bias", {m}});
    rules.push_back({Slot::mlp_gate_bias, "model.layers.{l}.mlp.gate_proj.bias", {m}});
    rules.push_back({Slot::mlp_out_bias, "model.layers.{l}.mlp.down_proj.bias", {d}});
  }
  return rules;
}

}  // namespace

Family llama_family() {
  return {"llama", {"llama"}, read_config, weight_rules, {""}, {"*.rotary_emb.inv_freq"}};
}

}  // namespace saccade
