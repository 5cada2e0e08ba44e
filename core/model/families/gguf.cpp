// Models as GGUF files describe themselves: the metadata under "<architecture>.", tensors under ggml's names.
// Llama's q and k are stored with the rotated pairs side by side, those of the others half a head apart.
#include <fmt/format.h>

#include <cmath>

#include "core/model/families/common.h"

namespace saccade {
namespace {

Result<void> read_gguf_rotary(const ConfigReader& config, ModelSpec& spec) {
  spec.position = PositionKind::rotary;
  SACCADE_TRY(spec.rotary.base, config.positive("rope.freq_base", 10000.0));
  SACCADE_TRY(spec.rotary.dimensions, config.count({"rope.dimension_count"}, spec.d_head, spec.d_head));
  if (spec.rotary.dimensions % 2 != 0)
    return config.wrong("rope.dimension_count", "an even number", spec.rotary.dimensions);
  SACCADE_TRY(const std::string kind, config.text("rope.scaling.type", "none"));
  if (kind == "none") return {};
  SACCADE_TRY(spec.rotary.factor, config.positive("rope.scaling.factor", 1.0));
  SACCADE_TRY(spec.rotary.original_context,
              config.count({"rope.scaling.original_context_length"}, spec.n_context));
  if (kind == "linear") {
    spec.rotary.scaling = RotaryScaling::linear;
  } else if (kind == "yarn") {
    spec.rotary.scaling = RotaryScaling::yarn;
    spec.rotary.high_frequency_factor = 32.0;
    const double inferred = spec.rotary.factor <= 1.0 ? 1.0 : 0.1 * std::log(spec.rotary.factor) + 1.0;
    SACCADE_TRY(spec.rotary.attention_factor, config.positive("rope.scaling.attn_factor", inferred));
  } else {
    return config.wrong("rope.scaling.type", "none, linear or yarn", kind);
  }
  return {};
}

Result<ModelSpec> read_common(const ConfigReader& config, const char* family) {
  ModelSpec spec;
  spec.family = family;
  SACCADE_TRY(spec.n_layer, config.count({"block_count"}, 0, 10000));
  SACCADE_TRY(spec.n_head, config.count({"attention.head_count"}, 0, 10000));
  SACCADE_TRY(spec.n_kv_head, config.count({"attention.head_count_kv"}, spec.n_head, 10000));
  SACCADE_TRY(spec.d_model, config.count({"embedding_length"}));
  SACCADE_TRY(spec.d_mlp, config.count({"feed_forward_length"}));
  SACCADE_TRY(spec.n_context, config.count({"context_length"}));
  SACCADE_TRY(spec.n_vocab, config.count({"vocab_size"}));
  const auto group = divide("attention.head_count", spec.n_head, "attention.head_count_kv", spec.n_kv_head);
  if (!group.ok()) return group.error();
  if (config.has("attention.key_length")) {
    SACCADE_TRY(spec.d_head, config.count({"attention.key_length"}));
  } else {
    SACCADE_TRY(spec.d_head, divide("embedding_length", spec.d_model, "attention.head_count", spec.n_head));
  }
  SACCADE_CHECK(config.only("expert_count", 0));
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(spec.d_head));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tied", false));
  SACCADE_CHECK(read_token_ids(config, spec));
  return spec;
}

Result<ModelSpec> read_llama_like(const nlohmann::json& json, const char* family) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_common(config, family));
  spec.norm = NormKind::rms_norm;
  SACCADE_TRY(spec.norm_epsilon, config.positive("attention.layer_norm_rms_epsilon", 1e-5));
  spec.activation = Activation::silu;
  spec.gated_mlp = true;
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = false;
  SACCADE_CHECK(read_gguf_rotary(config, spec));
  return spec;
}

Result<ModelSpec> read_llama(const nlohmann::json& json) {
  SACCADE_TRY(ModelSpec spec, read_llama_like(json, "gguf-llama"));
  spec.rotary.pairing = RotaryPairing::interleaved;
  return spec;
}
Result<ModelSpec> read_qwen2(const nlohmann::json& json) {
  SACCADE_TRY(ModelSpec spec, read_llama_like(json, "gguf-qwen2"));
  spec.qkv_bias = true;
  return spec;
}
Result<ModelSpec> read_qwen3(const nlohmann::json& json) {
  SACCADE_TRY(ModelSpec spec, read_llama_like(json, "gguf-qwen3"));
  spec.qk_norm = QkNorm::per_head;
  return spec;
}
Result<ModelSpec> read_gpt2(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_common(config, "gguf-gpt2"));
  SACCADE_TRY(spec.norm_epsilon, config.positive("attention.layer_norm_epsilon", 1e-5));
  return spec;
}

std::vector<WeightRule> llama_like_rules(const ModelSpec& spec) {
  const std::string layer = "blk.{l}.";
  RuleTable table(spec);
  table.vocabulary("token_embd", "output")
      .norm(Slot::norm1_weight, layer + "attn_norm", false)
      .separate_qkv(layer, "attn_q", "attn_k", "attn_v", "attn_output")
      .norm(Slot::norm2_weight, layer + "ffn_norm", false)
      .mlp(layer + "ffn_up", layer + "ffn_gate", layer + "ffn_down")
      .norm(Slot::final_norm_weight, "output_norm", false);
  if (spec.qk_norm != QkNorm::none)
    table.vector(Slot::q_norm_weight, layer + "attn_q_norm.weight", spec.d_head)
        .vector(Slot::k_norm_weight, layer + "attn_k_norm.weight", spec.d_head);
  return table.rules();
}

std::vector<WeightRule> gpt2_rules(const ModelSpec& spec) {
  const std::string layer = "blk.{l}.";
  RuleTable table(spec);
  table.vocabulary("token_embd", "output")
      .rows(Slot::pos_embed, "position_embd", spec.n_context, spec.d_model)
      .norm(Slot::norm1_weight, layer + "attn_norm", true)
      .fused_qkv(layer + "attn_qkv", layer + "attn_output")
      .norm(Slot::norm2_weight, layer + "ffn_norm", true)
      .mlp(layer + "ffn_up", "", layer + "ffn_down")
      .norm(Slot::final_norm_weight, "output_norm", true);
  return table.rules();
}

}  // namespace

Family gguf_llama_family() { return {"gguf-llama", {"gguf-llama"}, read_llama, llama_like_rules, {""}, {}}; }
Family gguf_qwen2_family() { return {"gguf-qwen2", {"gguf-qwen2"}, read_qwen2, llama_like_rules, {""}, {}}; }
Family gguf_qwen3_family() { return {"gguf-qwen3", {"gguf-qwen3"}, read_qwen3, llama_like_rules, {""}, {}}; }
Family gguf_gpt2_family() { return {"gguf-gpt2", {"gguf-gpt2"}, read_gpt2, gpt2_rules, {""}, {}}; }

}  // namespace saccade
