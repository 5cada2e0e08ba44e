// ModelSpec: everything the one forward pass needs to know about an architecture, read from config.json by a
// family file (core/model/families/<name>.cpp) and never from the weights. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace saccade {

enum class NormKind { layer_norm, rms_norm };
enum class PositionKind { none, learned, rotary };
// Which dimensions are rotated together: halves = (i, i + d/2) as in Llama, interleaved = (2i, 2i + 1) as in
// GPT-J.
enum class RotaryPairing { halves, interleaved };
enum class RotaryScaling { none, linear, llama3 };
enum class Activation { gelu, gelu_tanh, silu, relu };

struct RotarySpec {
  double base = 10000.0;
  int32_t dimensions = 0;  // how many of d_head are rotated
  RotaryPairing pairing = RotaryPairing::halves;
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1.0;                // linear, llama3
  double low_frequency_factor = 1.0;  // llama3
  double high_frequency_factor = 4.0;
  int32_t original_context = 0;
};

struct ModelSpec {
  std::string family;      // "gpt2", "llama": the file in core/model/families
  std::string model_type;  // as the config spells it
  int32_t n_layer = 0, n_head = 0, n_kv_head = 0;
  int32_t d_model = 0, d_head = 0, d_mlp = 0;
  int32_t n_vocab = 0;
  int32_t n_context = 0;  // largest number of positions
  NormKind norm = NormKind::layer_norm;
  double norm_epsilon = 1e-5;
  PositionKind position = PositionKind::learned;
  RotarySpec rotary;
  Activation activation = Activation::gelu_tanh;
  bool gated_mlp = false;
  bool tied_unembedding = true;
  bool qkv_bias = true, attention_out_bias = true, mlp_bias = true;
  double attention_scale = 0.0;  // multiplies q.k
  std::vector<int32_t> bos_ids, eos_ids;
  std::string weight_dtype;  // as stored: "float32", "bfloat16", "float16"; filled in by the checkpoint

  [[nodiscard]] int32_t n_heads_total() const { return n_layer * n_head; }
  [[nodiscard]] int32_t kv_head_of(int32_t head) const { return head / (n_head / n_kv_head); }
};

}  // namespace saccade
