// Decoders that can do without position embeddings because distance lowers the score (ALiBi, Press et al.
// 2022, arXiv 2108.12409): BLOOM (arXiv 2211.05100), Falcon (Almazrouei et al. 2023, arXiv 2311.16867; most
// are rotary), MPT (MosaicML 2023).
#include <cmath>

#include "core/model/families/common.h"

namespace saccade {
namespace {

Result<ModelSpec> read_bloom(const nlohmann::json& json) {
  const ConfigReader config(json);
  nlohmann::json renamed = json;  // the first files used other names
  const auto also = [&](const char* usual, const char* older) {
    if (!config.has(usual) && config.has(older)) renamed[usual] = json[older];
  };
  also("hidden_size", "n_embed");
  also("n_layer", "num_hidden_layers");
  also("n_head", "num_attention_heads");
  const ConfigReader full(renamed);
  SACCADE_TRY(ModelSpec spec, read_sizes(full, "bloom", {"n_layer", "n_head", "hidden_size"}));
  SACCADE_CHECK(config.only("apply_residual_connection_post_layernorm", false));
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_epsilon", 1e-5));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  SACCADE_TRY(spec.n_context, config.count({"seq_length"}, 2048));
  spec.d_mlp = 4 * spec.d_model;
  spec.position = PositionKind::alibi;
  spec.alibi_slopes = alibi_slopes(spec.n_head);
  spec.qkv_layout = QkvLayout::per_kv_head;
  return spec;
}

std::vector<WeightRule> bloom_rules(const ModelSpec& spec) {
  const std::string layer = "h.{l}.";
  RuleTable table(spec);
  table.vocabulary("word_embeddings", "lm_head")
      .norm(Slot::embed_norm_weight, "word_embeddings_layernorm", true)
      .norm(Slot::norm1_weight, layer + "input_layernorm", true)
      .fused_qkv(layer + "self_attention.query_key_value", layer + "self_attention.dense")
      .norm(Slot::norm2_weight, layer + "post_attention_layernorm", true)
      .mlp(layer + "mlp.dense_h_to_4h", "", layer + "mlp.dense_4h_to_h")
      .norm(Slot::final_norm_weight, "ln_f", true);
  return table.rules();
}

// Its own code adds slopes rounded to bfloat16 before it divides by sqrt(d_head).
std::vector<float> falcon_slopes(const ModelSpec& spec) {
  std::vector<float> slopes = alibi_slopes(spec.n_head);
  for (float& slope : slopes) {
    int exponent = 0;
    const float fraction = std::frexp(slope, &exponent);
    slope = std::ldexp(std::nearbyint(fraction * 256.0F) / 256.0F, exponent) *
            static_cast<float>(spec.attention_scale);
  }
  return slopes;
}

Result<ModelSpec> read_falcon(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec,
              read_sizes(config, "falcon", {"num_hidden_layers", "num_attention_heads", "hidden_size"}));
  SACCADE_TRY(const bool newer, config.flag("new_decoder_architecture", false));
  SACCADE_TRY(const bool one_kv_head, config.flag("multi_query", true));
  SACCADE_TRY(const bool alibi, config.flag("alibi", false));
  SACCADE_TRY(const bool parallel, config.flag("parallel_attn", true));
  SACCADE_TRY(const bool bias, config.flag("bias", false));
  if (newer) {
    SACCADE_TRY(spec.n_kv_head, config.count({"num_kv_heads"}, spec.n_head, spec.n_head));
  } else if (one_kv_head) {
    spec.n_kv_head = 1;
  }
  const auto group = divide("num_attention_heads", spec.n_head, "num_kv_heads", spec.n_kv_head);
  if (!group.ok()) return group.error();
  SACCADE_TRY(spec.d_mlp, config.count({"ffn_hidden_size"}, 4 * spec.d_model));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, 2048));
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_epsilon", 1e-5));
  SACCADE_TRY(spec.activation, config.activation("activation", "gelu"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  spec.block = newer || parallel ? BlockKind::parallel : BlockKind::sequential;
  spec.qkv_layout = QkvLayout::per_kv_head;
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = bias;
  spec.position = alibi ? PositionKind::alibi : PositionKind::rotary;
  if (alibi) {
    spec.alibi_slopes = falcon_slopes(spec);
  } else {
    SACCADE_TRY(spec.rotary, read_rotary(config, spec));
  }
  return spec;
}

// The newer ones have a norm before each part (num_ln_in_parallel_attn 1: one for both), under names of their
// own; which, only the tensors say: those are optional.
std::vector<WeightRule> falcon_rules(const ModelSpec& spec) {
  const std::string layer = "h.{l}.";
  RuleTable table(spec);
  table.vocabulary("word_embeddings", "lm_head")
      .fused_qkv(layer + "self_attention.query_key_value", layer + "self_attention.dense")
      .mlp(layer + "mlp.dense_h_to_4h", "", layer + "mlp.dense_4h_to_h")
      .norm(Slot::final_norm_weight, "ln_f", true);
  const auto either = [&](Slot slot, const std::string& name) {
    for (const char* part : {".weight", ".bias"}) {
      WeightRule rule{part[1] == 'w' ? slot : static_cast<Slot>(static_cast<int>(slot) + 1),
                      layer + name + part,
                      {spec.d_model}};
      rule.required = false;
      table.add(std::move(rule));
    }
  };
  either(Slot::norm1_weight, "input_layernorm");
  either(Slot::norm1_weight, "ln_attn");
  either(Slot::norm2_weight, "post_attention_layernorm");
  either(Slot::norm2_weight, "ln_mlp");
  return table.rules();
}

Result<ModelSpec> read_mpt(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_sizes(config, "mpt", {"n_layers", "n_heads", "d_model"}));
  SACCADE_TRY(spec.n_context, config.count({"max_seq_len"}, 2048));
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_epsilon", 1e-5));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  SACCADE_CHECK(config.only("no_bias", true));
  SACCADE_CHECK(config.only("expansion_ratio", 4));
  spec.d_mlp = 4 * spec.d_model;
  spec.activation = Activation::gelu;
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = false;
  SACCADE_TRY(const nlohmann::json* given, config.object("attn_config"));
  const nlohmann::json none = nlohmann::json::object();
  const ConfigReader attention(given ? *given : none, "attn_config");
  SACCADE_CHECK(attention.only("alibi", true));
  SACCADE_CHECK(attention.only("qk_ln", false));
  SACCADE_CHECK(attention.only("prefix_lm", false));
  SACCADE_TRY(spec.qkv_clip, attention.number("clip_qkv", 0.0));
  SACCADE_TRY(spec.attention_scale, attention.positive("softmax_scale", spec.attention_scale));
  SACCADE_TRY(const double most, attention.positive("alibi_bias_max", 8.0));
  int32_t whole = 1;
  while (whole < spec.n_head) whole *= 2;
  std::vector<float> slopes;
  for (int32_t i = 1; i <= whole; ++i) slopes.push_back(static_cast<float>(std::exp2(-most * i / whole)));
  // Not a power of two: every other slope first, then those between.
  const bool mixed = whole != spec.n_head;
  for (int32_t i = mixed ? 1 : 0; i < whole; i += mixed ? 2 : 1)
    spec.alibi_slopes.push_back(slopes[static_cast<size_t>(i)]);
  for (int32_t i = 0; mixed && i < whole; i += 2) spec.alibi_slopes.push_back(slopes[static_cast<size_t>(i)]);
  spec.alibi_slopes.resize(static_cast<size_t>(spec.n_head));
  spec.position = PositionKind::alibi;
  return spec;
}

std::vector<WeightRule> mpt_rules(const ModelSpec& spec) {
  const std::string layer = "blocks.{l}.";
  RuleTable table(spec);
  table.vocabulary("wte", "lm_head")
      .norm(Slot::norm1_weight, layer + "norm_1", false)
      .fused_qkv(layer + "attn.Wqkv", layer + "attn.out_proj")
      .norm(Slot::norm2_weight, layer + "norm_2", false)
      .mlp(layer + "ffn.up_proj", "", layer + "ffn.down_proj")
      .norm(Slot::final_norm_weight, "norm_f", false);
  return table.rules();
}

}  // namespace

Family bloom_family() { return {"bloom", {"bloom"}, read_bloom, bloom_rules, {"", "transformer."}, {}}; }
Family falcon_family() {
  return {
      "falcon", {"falcon", "RefinedWebModel", "RefinedWeb"}, read_falcon, falcon_rules, {"transformer.", ""},
      {}};
}
Family mpt_family() { return {"mpt", {"mpt"}, read_mpt, mpt_rules, {"transformer.", ""}, {}}; }

}  // namespace saccade
