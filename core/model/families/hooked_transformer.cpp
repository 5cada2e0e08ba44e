// TransformerLens's HookedTransformer: the form toy models are kept in. A state dict with weights per head
// (W_Q [head, d_model, d_head]) and its config as JSON; no model_type, but d_vocab and n_ctx. One key more
// than the library's own: pad_token_id of a model that sees both ways. Its keys are masked, as the library's
// users do with a hook on attn_scores.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/model/families/common.h"

namespace saccade {
namespace {

Result<Activation> read_activation(const ConfigReader& config) {
  SACCADE_TRY(const std::string name, config.text("act_fn", "relu"));
  if (name == "gelu_fast") return Activation::gelu_tanh;
  return config.activation("act_fn", "relu");
}

// LN, LNPre, RMS, RMSPre or null; "Pre" norms have no weights.
Result<void> read_norm(const ConfigReader& config, ModelSpec& spec) {
  SACCADE_TRY(const std::string kind, config.text("normalization_type", ""));
  SACCADE_TRY(spec.norm_epsilon, config.positive("eps", 1e-5));
  if (kind.empty()) {
    spec.no_norms = true;
    return {};
  }
  if (kind != "LN" && kind != "LNPre" && kind != "RMS" && kind != "RMSPre")
    return config.wrong("normalization_type", "LN, LNPre, RMS, RMSPre or null", kind);
  spec.norm = kind.starts_with("RMS") ? NormKind::rms_norm : NormKind::layer_norm;
  spec.weightless_norms = kind.ends_with("Pre");
  return {};
}

Result<void> read_positions(const ConfigReader& config, ModelSpec& spec) {
  SACCADE_TRY(const std::string kind, config.text("positional_embedding_type", "standard"));
  if (kind == "standard") return {};
  if (kind == "none") {
    spec.position = PositionKind::none;
    return {};
  }
  if (kind != "rotary") return config.wrong("positional_embedding_type", "standard, rotary or none", kind);
  spec.position = PositionKind::rotary;
  SACCADE_TRY(spec.rotary.dimensions, config.count({"rotary_dim"}, spec.d_head, spec.d_head));
  SACCADE_TRY(spec.rotary.base, config.positive("rotary_base", 10000.0));
  SACCADE_TRY(const bool adjacent, config.flag("rotary_adjacent_pairs", false));
  if (adjacent) spec.rotary.pairing = RotaryPairing::interleaved;
  if (spec.rotary.dimensions % 2 != 0)
    return config.wrong("rotary_dim", "an even number", spec.rotary.dimensions);
  return {};
}

Result<void> read_attention(const ConfigReader& config, ModelSpec& spec) {
  SACCADE_TRY(const bool scaled, config.flag("use_attn_scale", true));
  SACCADE_TRY(const double given, config.number("attn_scale", -1.0));
  const double divisor = given > 0.0 ? given : std::sqrt(static_cast<double>(spec.d_head));
  spec.attention_scale = scaled ? 1.0 / divisor : 1.0;
  SACCADE_TRY(spec.scale_by_layer, config.flag("scale_attn_by_inverse_layer_idx", false));
  SACCADE_TRY(const std::string direction, config.text("attention_dir", "causal"));
  if (direction != "causal" && direction != "bidirectional")
    return config.wrong("attention_dir", "causal or bidirectional", direction);
  spec.causal = direction == "causal";
  SACCADE_TRY(const double padding, config.number("pad_token_id", -1.0));
  if (!spec.causal && padding >= 0.0 && padding < spec.n_vocab)
    spec.padding_id = static_cast<int32_t>(padding);
  SACCADE_TRY(const double cap, config.number("attn_scores_soft_cap", -1.0));
  SACCADE_TRY(const double output_cap, config.number("output_logits_soft_cap", -1.0));
  spec.attention_softcap = std::max(cap, 0.0);
  spec.logit_softcap = std::max(output_cap, 0.0);
  SACCADE_TRY(const bool local, config.flag("use_local_attn", false));
  if (!local) return {};
  SACCADE_TRY(const int32_t window, config.count({"window_size"}));
  SACCADE_TRY(const std::vector<std::string> kinds, config.texts("attn_types"));
  if (kinds.size() != static_cast<size_t>(spec.n_layer))
    return config.wrong("attn_types", fmt::format("a kind for each of {} layers", spec.n_layer), kinds);
  for (const std::string& kind : kinds) spec.windows.push_back(kind == "local" ? window : 0);
  return {};
}

Result<ModelSpec> read_config(const nlohmann::json& json) {
  const ConfigReader config(json);
  ModelSpec spec;
  spec.family = "hooked_transformer";
  SACCADE_TRY(spec.n_layer, config.count({"n_layers"}, 0, 10000));
  SACCADE_TRY(spec.d_model, config.count({"d_model"}));
  SACCADE_TRY(spec.d_head, config.count({"d_head"}));
  SACCADE_TRY(spec.n_head, config.count({"n_heads"}, std::max(spec.d_model / spec.d_head, 1), 10000));
  SACCADE_TRY(spec.n_kv_head, config.count({"n_key_value_heads"}, spec.n_head, 10000));
  const auto group = divide("n_heads", spec.n_head, "n_key_value_heads", spec.n_kv_head);
  if (!group.ok()) return group.error();
  SACCADE_TRY(spec.n_vocab, config.count({"d_vocab"}));
  SACCADE_TRY(const double n_output, config.number("d_vocab_out", -1.0));
  spec.n_output = n_output > 0.0 ? static_cast<int32_t>(std::min(n_output, 1e8)) : 0;
  SACCADE_TRY(spec.n_context, config.count({"n_ctx"}));
  SACCADE_TRY(const bool attention_only, config.flag("attn_only", false));
  if (!attention_only) {
    SACCADE_TRY(spec.d_mlp, config.count({"d_mlp"}, 4 * spec.d_model));
    SACCADE_TRY(spec.activation, read_activation(config));
  }
  SACCADE_TRY(spec.gated_mlp, config.flag("gated_mlp", false));
  SACCADE_TRY(const bool parallel, config.flag("parallel_attn_mlp", false));
  spec.block = parallel ? BlockKind::parallel : BlockKind::sequential;
  spec.tied_unembedding = false;
  for (const char* key : {"use_normalization_before_and_after", "use_hook_tokens", "use_qk_norm"})
    SACCADE_CHECK(config.only(key, false));
  SACCADE_CHECK(config.only("num_experts", nullptr));
  SACCADE_CHECK(read_norm(config, spec));
  SACCADE_CHECK(read_positions(config, spec));
  SACCADE_CHECK(read_attention(config, spec));
  return spec;
}

std::vector<WeightRule> attention_rules(const ModelSpec& s) {
  const int64_t d = s.d_model, h = s.n_head, kv = s.n_kv_head, e = s.d_head;
  constexpr MatrixLayout heads = MatrixLayout::per_head_in_out;
  const std::string at = "blocks.{l}.attn.";
  const std::string shared = kv == h ? at : at + "_";  // grouped: one matrix per KV head under another name
  return {{Slot::q_weight, at + "W_Q", {h, d, e}, heads},
          {Slot::q_bias, at + "b_Q", {h, e}},
          {Slot::k_weight, shared + "W_K", {kv, d, e}, heads},
          {Slot::k_bias, shared + "b_K", {kv, e}},
          {Slot::v_weight, shared + "W_V", {kv, d, e}, heads},
          {Slot::v_bias, shared + "b_V", {kv, e}},
          {Slot::o_weight, at + "W_O", {h, e, d}, MatrixLayout::in_out},
          {Slot::o_bias, at + "b_O", {d}}};
}

void add_norm(std::vector<WeightRule>& rules, const ModelSpec& s, Slot weight, const std::string& name) {
  if (s.no_norms || s.weightless_norms) return;
  rules.push_back({weight, name + ".w", {s.d_model}});
  if (s.norm == NormKind::layer_norm)
    rules.push_back({static_cast<Slot>(static_cast<int>(weight) + 1), name + ".b", {s.d_model}});
}

std::vector<WeightRule> weight_rules(const ModelSpec& s) {
  const int64_t d = s.d_model, m = s.d_mlp;
  constexpr MatrixLayout in_out = MatrixLayout::in_out;
  std::vector<WeightRule> rules = attention_rules(s);
  rules.push_back({Slot::embed, "embed.W_E", {s.n_vocab, d}});
  if (s.position == PositionKind::learned)
    rules.push_back({Slot::pos_embed, "pos_embed.W_pos", {s.n_context, d}});
  rules.push_back({Slot::unembed, "unembed.W_U", {d, s.n_logits()}, in_out});
  rules.push_back({Slot::unembed_bias, "unembed.b_U", {s.n_logits()}});
  add_norm(rules, s, Slot::norm1_weight, "blocks.{l}.ln1");
  add_norm(rules, s, Slot::final_norm_weight, "ln_final");
  if (m == 0) return rules;
  add_norm(rules, s, Slot::norm2_weight, "blocks.{l}.ln2");
  rules.push_back({Slot::mlp_in_weight, "blocks.{l}.mlp.W_in", {d, m}, in_out});
  if (s.gated_mlp) rules.push_back({Slot::mlp_gate_weight, "blocks.{l}.mlp.W_gate", {d, m}, in_out});
  rules.push_back({s.gated_mlp ? Slot::mlp_product_bias : Slot::mlp_in_bias, "blocks.{l}.mlp.b_in", {m}});
  rules.push_back({Slot::mlp_out_weight, "blocks.{l}.mlp.W_out", {m, d}, in_out});
  rules.push_back({Slot::mlp_out_bias, "blocks.{l}.mlp.b_out", {d}});
  return rules;
}

}  // namespace

Family hooked_transformer_family() {
  return {"hooked_transformer",
          {"hooked_transformer"},
          read_config,
          weight_rules,
          {""},
          {"*.attn.mask", "*.attn.IGNORE", "*.attn.rotary_sin", "*.attn.rotary_cos", "*.mlp.b_gate"}};
}

}  // namespace saccade
