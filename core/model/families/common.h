// What families share: the keys that most configs use, and a short way to write their tables. Private to
// core/model.
#pragma once

#include <string>
#include <vector>

#include "core/model/config_reader.h"
#include "core/model/families/families.h"
#include "core/model/rope_config.h"

namespace saccade {

// What a config leaves out when it is as usual in its family.
struct DecoderDefaults {
  const char* family = "";
  NormKind norm = NormKind::rms_norm;
  const char* norm_key = "rms_norm_eps";
  double norm_epsilon = 1e-6;
  const char* activation_key = "hidden_act";
  const char* activation = "silu";
  bool gated_mlp = true;
  bool tied = false;
  bool attention_bias = false;  // of q, k, v and o where there is no key for it
  bool mlp_bias = false;
  int32_t n_context = 2048;
  RotaryDefaults rotary = {};
};

// Sizes, norm, activation, biases and rotary positions under the keys that Llama made common (hidden_size,
// num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, intermediate_size ...).
Result<ModelSpec> read_decoder(const ConfigReader& config, const DecoderDefaults& defaults);

// n_layer, n_head, d_model, d_head (and with read_sizes n_vocab) under the given keys; n_kv_head = n_head.
struct SizeKeys {
  const char *n_layer, *n_head, *d_model;
};
// Where a config may be silent; 0 = it may not.
struct SizeDefaults {
  int32_t n_layer = 0, n_head = 0, d_model = 0;
};
Result<ModelSpec> read_shape(const ConfigReader& config, const char* family, const SizeKeys& keys,
                             const SizeDefaults& defaults = {});
Result<ModelSpec> read_sizes(const ConfigReader& config, const char* family, const SizeKeys& keys);
Result<void> read_token_ids(const ConfigReader& config, ModelSpec& spec);

// Writes the rows of a family's table. Names are without ".weight"; a bias stands in the slot after its
// weight's.
class RuleTable {
 public:
  explicit RuleTable(const ModelSpec& spec) : spec_(spec) {}

  RuleTable& rows(Slot slot, const std::string& name, int64_t n, int64_t columns);  // a table, [n, columns]
  // The embedding and the unembedding; a tied model may store either.
  RuleTable& vocabulary(const std::string& embed, const std::string& unembed);
  RuleTable& norm(Slot weight, const std::string& name, bool bias);  // [d_model]
  RuleTable& vector(Slot slot, const std::string& full_name, int64_t size, int32_t parts = 1);
  RuleTable& linear(Slot weight, const std::string& name, int64_t in, int64_t out, bool bias,
                    MatrixLayout layout = MatrixLayout::out_in);
  RuleTable& separate_qkv(const std::string& at, const std::string& q, const std::string& k,
                          const std::string& v, const std::string& o);
  RuleTable& fused_qkv(const std::string& qkv, const std::string& o,
                       MatrixLayout layout = MatrixLayout::out_in);
  // `gate` empty for a plain MLP.
  RuleTable& mlp(const std::string& in, const std::string& gate, const std::string& out,
                 MatrixLayout layout = MatrixLayout::out_in);
  // Experts "{p}" of one layer; only in the layers that have them. The other layers' plain MLP is `mlp`'s.
  RuleTable& experts(const std::string& router, const std::string& in, const std::string& gate,
                     const std::string& out);
  // As newer files store them: all experts in one tensor, gate and in one after the other.
  RuleTable& add(WeightRule rule);
  [[nodiscard]] std::vector<WeightRule> rules() const { return rules_; }

 private:
  const ModelSpec& spec_;
  std::vector<WeightRule> rules_;
};

// Llama's names: model.layers.{l}.self_attn.q_proj ..., mlp.gate_proj ..., input_layernorm,
// post_attention_layernorm, model.norm, lm_head.
RuleTable llama_rules(const ModelSpec& spec);

}  // namespace saccade
