#include "core/model/families/common.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

Slot bias_of(Slot weight) { return static_cast<Slot>(static_cast<int>(weight) + 1); }

std::vector<int32_t> layers_with_experts(const ModelSpec& spec) {
  std::vector<int32_t> layers;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if (spec.has_experts(l)) layers.push_back(l);
  return layers;
}

}  // namespace

Result<void> read_token_ids(const ConfigReader& config, ModelSpec& spec) {
  SACCADE_TRY(spec.bos_ids, config.ids("bos_token_id"));
  SACCADE_TRY(spec.eos_ids, config.ids("eos_token_id"));
  return {};
}

Result<ModelSpec> read_shape(const ConfigReader& config, const char* family, const SizeKeys& keys,
                             const SizeDefaults& defaults) {
  ModelSpec spec;
  spec.family = family;
  SACCADE_TRY(spec.n_layer, config.count({keys.n_layer}, defaults.n_layer, 10000));
  SACCADE_TRY(spec.n_head, config.count({keys.n_head}, defaults.n_head, 10000));
  SACCADE_TRY(spec.d_model, config.count({keys.d_model}, defaults.d_model));
  spec.n_kv_head = spec.n_head;
  if (config.has("head_dim")) {
    SACCADE_TRY(spec.d_head, config.count({"head_dim"}));
  } else {
    SACCADE_TRY(spec.d_head, divide(keys.d_model, spec.d_model, keys.n_head, spec.n_head));
  }
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(spec.d_head));
  SACCADE_CHECK(read_token_ids(config, spec));
  return spec;
}

Result<ModelSpec> read_sizes(const ConfigReader& config, const char* family, const SizeKeys& keys) {
  SACCADE_TRY(ModelSpec spec, read_shape(config, family, keys));
  SACCADE_TRY(spec.n_vocab, config.count({"vocab_size"}));
  return spec;
}

Result<ModelSpec> read_decoder(const ConfigReader& config, const DecoderDefaults& defaults) {
  SACCADE_TRY(ModelSpec spec, read_sizes(config, defaults.family,
                                         {"num_hidden_layers", "num_attention_heads", "hidden_size"}));
  SACCADE_TRY(spec.n_kv_head, config.count({"num_key_value_heads"}, spec.n_head, 10000));
  const auto group = divide("num_attention_heads", spec.n_head, "num_key_value_heads", spec.n_kv_head);
  if (!group.ok()) return group.error();
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, defaults.n_context));
  spec.norm = defaults.norm;
  spec.gated_mlp = defaults.gated_mlp;
  SACCADE_TRY(spec.norm_epsilon, config.positive(defaults.norm_key, defaults.norm_epsilon));
  SACCADE_TRY(spec.activation, config.activation(defaults.activation_key, defaults.activation));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", defaults.tied));
  SACCADE_TRY(spec.qkv_bias, config.flag("attention_bias", defaults.attention_bias));
  spec.attention_out_bias = spec.qkv_bias;
  SACCADE_TRY(spec.mlp_bias, config.flag("mlp_bias", defaults.mlp_bias));
  spec.position = PositionKind::rotary;
  SACCADE_TRY(spec.rotary, read_rotary(config, spec, defaults.rotary));
  if (spec.rotary.scaling == RotaryScaling::dynamic)  // made to be read beyond what it was trained on
    spec.n_context = static_cast<int32_t>(std::min(spec.n_context * spec.rotary.factor, 1e9));
  return spec;
}

RuleTable& RuleTable::add(WeightRule rule) {
  rules_.push_back(std::move(rule));
  return *this;
}

RuleTable& RuleTable::rows(Slot slot, const std::string& name, int64_t n, int64_t columns) {
  return add({slot, name + ".weight", {n, columns}});
}

RuleTable& RuleTable::vocabulary(const std::string& embed, const std::string& unembed) {
  const int64_t width = spec_.d_embed > 0 ? spec_.d_embed : spec_.d_model;
  const bool tied = spec_.tied_unembedding;
  add({Slot::embed,
       embed + ".weight",
       {spec_.n_vocab, width},
       MatrixLayout::out_in,
       true,
       tied ? unembed + ".weight" : ""});
  return add({Slot::unembed, unembed + ".weight", {spec_.n_vocab, width}, MatrixLayout::out_in, !tied});
}

RuleTable& RuleTable::vector(Slot slot, const std::string& full_name, int64_t size, int32_t parts) {
  WeightRule rule{slot, full_name, {size}};
  rule.parts = parts;
  return add(std::move(rule));
}

RuleTable& RuleTable::norm(Slot weight, const std::string& name, bool bias) {
  vector(weight, name + ".weight", spec_.d_model);
  if (bias) vector(bias_of(weight), name + ".bias", spec_.d_model);
  return *this;
}

RuleTable& RuleTable::linear(Slot weight, const std::string& name, int64_t in, int64_t out, bool bias,
                             MatrixLayout layout) {
  const bool out_in = layout == MatrixLayout::out_in;
  add({weight, name + ".weight", {out_in ? out : in, out_in ? in : out}, layout});
  if (bias) vector(bias_of(weight), name + ".bias", out);
  return *this;
}

RuleTable& RuleTable::separate_qkv(const std::string& at, const std::string& q, const std::string& k,
                                   const std::string& v, const std::string& o) {
  const int64_t d = spec_.d_model, wide = spec_.n_head * spec_.d_head,
                narrow = spec_.n_kv_head * spec_.d_head;
  linear(Slot::q_weight, at + q, d, wide, spec_.qkv_bias);
  linear(Slot::k_weight, at + k, d, narrow, spec_.qkv_bias);
  linear(Slot::v_weight, at + v, d, narrow, spec_.qkv_bias);
  return linear(Slot::o_weight, at + o, wide, d, spec_.attention_out_bias);
}

RuleTable& RuleTable::fused_qkv(const std::string& qkv, const std::string& o, MatrixLayout layout) {
  const int64_t d = spec_.d_model, wide = spec_.n_head * spec_.d_head,
                narrow = spec_.n_kv_head * spec_.d_head;
  linear(Slot::qkv_weight, qkv, d, wide + 2 * narrow, spec_.qkv_bias, layout);
  return linear(Slot::o_weight, o, wide, d, spec_.attention_out_bias, layout);
}

RuleTable& RuleTable::mlp(const std::string& in, const std::string& gate, const std::string& out,
                          MatrixLayout layout) {
  const size_t first = rules_.size();
  linear(Slot::mlp_in_weight, in, spec_.d_model, spec_.d_mlp, spec_.mlp_bias, layout);
  if (!gate.empty()) linear(Slot::mlp_gate_weight, gate, spec_.d_model, spec_.d_mlp, spec_.mlp_bias, layout);
  linear(Slot::mlp_out_weight, out, spec_.d_mlp, spec_.d_model, spec_.mlp_bias, layout);
  if (spec_.experts.n_expert == 0) return *this;
  if (spec_.dense_layers.empty())
    rules_.resize(first);
  else
    for (size_t i = first; i < rules_.size(); ++i) rules_[i].layers = spec_.dense_layers;
  return *this;
}

RuleTable& RuleTable::experts(const std::string& router, const std::string& in, const std::string& gate,
                              const std::string& out) {
  const std::vector<int32_t> layers = layers_with_experts(spec_);
  const int64_t d = spec_.d_model, m = spec_.experts.d_mlp;
  const auto put = [&](Slot slot, const std::string& name, std::vector<int64_t> shape, int32_t parts) {
    WeightRule rule{slot, name + ".weight", std::move(shape)};
    rule.parts = parts;
    rule.layers = layers;
    add(std::move(rule));
  };
  const int32_t n = spec_.experts.n_expert;
  put(Slot::router, router, {n, d}, 1);
  put(Slot::expert_in, in, {m, d}, n);
  put(Slot::expert_gate, gate, {m, d}, n);
  put(Slot::expert_out, out, {d, m}, n);
  return *this;
}

RuleTable llama_rules(const ModelSpec& spec) {
  const bool bias = spec.norm == NormKind::layer_norm;
  RuleTable table(spec);
  const std::string layer = "model.layers.{l}.";
  table.vocabulary("model.embed_tokens", "lm_head")
      .norm(Slot::norm1_weight, layer + "input_layernorm", bias)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "o_proj")
      .norm(Slot::norm2_weight, layer + "post_attention_layernorm", bias)
      .mlp(layer + "mlp.up_proj", spec.gated_mlp ? layer + "mlp.gate_proj" : "", layer + "mlp.down_proj")
      .norm(Slot::final_norm_weight, "model.norm", bias);
  return table;
}

}  // namespace saccade
