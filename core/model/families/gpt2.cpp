// GPT-2 (Radford et al. 2019): LayerNorm before each block, learned positions, Conv1D weights [in, out],
// fused q|k|v.
#include <cmath>

#include "core/model/config_reader.h"
#include "core/model/families/families.h"

namespace saccade {
namespace {

Result<ModelSpec> read_config(const nlohmann::json& json) {
  const ConfigReader config(json);
  ModelSpec spec;
  spec.family = "gpt2";
  SACCADE_TRY(spec.n_layer, config.count({"n_layer", "num_hidden_layers"}, 0, 10000));
  SACCADE_TRY(spec.n_head, config.count({"n_head", "num_attention_heads"}, 0, 10000));
  SACCADE_TRY(spec.d_model, config.count({"n_embd", "hidden_size"}));
  SACCADE_TRY(spec.n_vocab, config.count({"vocab_size"}));
  // n_ctx is an older key that later files carry along without using it.
  const bool new_key =
      config.has("n_positions") || config.has("max_position_embeddings") || !config.has("n_ctx");
  SACCADE_TRY(spec.n_context,
              new_key ? config.count({"n_positions", "max_position_embeddings"}) : config.count({"n_ctx"}));
  SACCADE_TRY(spec.d_mlp, config.count({"n_inner"}, 4 * spec.d_model));
  SACCADE_TRY(spec.d_head, divide("n_embd", spec.d_model, "n_head", spec.n_head));
  spec.n_kv_head = spec.n_head;
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_epsilon", 1e-5));
  SACCADE_TRY(spec.activation, config.activation("activation_function", "gelu_new"));
  SACCADE_TRY(spec.tied_unembedding, config.flag("tie_word_embeddings", true));
  SACCADE_TRY(const bool scaled, config.flag("scale_attn_weights", true));
  SACCADE_TRY(spec.scale_by_layer, config.flag("scale_attn_by_inverse_layer_idx", false));
  SACCADE_CHECK(config.only("add_cross_attention", false));
  spec.attention_scale = scaled ? 1.0 / std::sqrt(static_cast<double>(spec.d_head)) : 1.0;
  SACCADE_TRY(spec.bos_ids, config.ids("bos_token_id"));
  SACCADE_TRY(spec.eos_ids, config.ids("eos_token_id"));
  return spec;
}

std::vector<WeightRule> weight_rules(const ModelSpec& s) {
  constexpr MatrixLayout conv = MatrixLayout::in_out;
  const int64_t d = s.d_model, m = s.d_mlp;
  return {{Slot::embed,
           "wte.weight",
           {s.n_vocab, d},
           MatrixLayout::out_in,
           true,
           s.tied_unembedding ? "lm_head.weight" : ""},
          {Slot::pos_embed, "wpe.weight", {s.n_context, d}},
          {Slot::norm1_weight, "h.{l}.ln_1.weight", {d}},
          {Slot::norm1_bias, "h.{l}.ln_1.bias", {d}},
          {Slot::qkv_weight, "h.{l}.attn.c_attn.weight", {d, 3 * d}, conv},
          {Slot::qkv_bias, "h.{l}.attn.c_attn.bias", {3 * d}},
          {Slot::o_weight, "h.{l}.attn.c_proj.weight", {d, d}, conv},
          {Slot::o_bias, "h.{l}.attn.c_proj.bias", {d}},
          {Slot::norm2_weight, "h.{l}.ln_2.weight", {d}},
          {Slot::norm2_bias, "h.{l}.ln_2.bias", {d}},
          {Slot::mlp_in_weight, "h.{l}.mlp.c_fc.weight", {d, m}, conv},
          {Slot::mlp_in_bias, "h.{l}.mlp.c_fc.bias", {m}},
          {Slot::mlp_out_weight, "h.{l}.mlp.c_proj.weight", {m, d}, conv},
          {Slot::mlp_out_bias, "h.{l}.mlp.c_proj.bias", {d}},
          {Slot::final_norm_weight, "ln_f.weight", {d}},
          {Slot::final_norm_bias, "ln_f.bias", {d}},
          {Slot::unembed, "lm_head.weight", {s.n_vocab, d}, MatrixLayout::out_in, !s.tied_unembedding}};
}

}  // namespace

Family gpt2_family() {
  return {"gpt2",
          {"gpt2"},
          read_config,
          weight_rules,
          {"", "transformer."},
          {"*.attn.bias", "*.attn.masked_bias"}};
}

}  // namespace saccade
