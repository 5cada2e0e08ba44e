// WeightMap: which checkpoint tensor fills which slot of the forward pass. A table, written by a family file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/model/model_spec.h"
#include "kernels/base/result.h"

namespace saccade {

// Matrices multiply activations from the right: y = x W^T for out_in, y = x W for in_out.
enum class Slot {
  embed,      // [n_vocab, d_model]
  pos_embed,  // [n_context, d_model]
  final_norm_weight,
  final_norm_bias,  // [d_model]
  unembed,          // [n_vocab, d_model]; absent when tied
  norm1_weight,
  norm1_bias,
  norm2_weight,
  norm2_bias,  // [d_model], per layer
  qkv_weight,
  qkv_bias,  // fused, columns q | k | v; a model has either these or the three pairs below
  q_weight,
  q_bias,
  k_weight,
  k_bias,
  v_weight,
  v_bias,
  o_weight,
  o_bias,  // rows are (head, d_head)
  mlp_in_weight,
  mlp_in_bias,
  mlp_gate_weight,
  mlp_gate_bias,
  mlp_out_weight,
  mlp_out_bias,
};
[[nodiscard]] const char* to_string(Slot slot);

enum class MatrixLayout { out_in, in_out };  // torch Linear, GPT-2's Conv1D

// One row of a family's table. "{l}" in the name stands for the layer.
struct WeightRule {
  Slot slot;
  std::string name;  // e.g. "h.{l}.attn.c_attn.weight"
  std::vector<int64_t> shape;
  MatrixLayout layout = MatrixLayout::out_in;
  bool required = true;
  std::string or_name = {};  // taken when there is no `name`; empty = nothing else will do
};

struct Weight {
  const TensorView* tensor = nullptr;
  MatrixLayout layout = MatrixLayout::out_in;
};

class WeightMap {
 public:
  // Looks every rule up. A missing required tensor, one of the wrong shape or dtype is an error that names
  // tensor, expected and found. Tensors that no rule uses are listed by unused(), minus `ignorable`
  // patterns (buffers such as "attn.bias" masks). `prefixes` are tried in order ("", "transformer.").
  // parameters() counts a tied unembedding once.
  static Result<WeightMap> bind(const Checkpoint& checkpoint, const ModelSpec& spec,
                                const std::vector<WeightRule>& rules,
                                const std::vector<std::string>& prefixes,
                                const std::vector<std::string>& ignorable);

  // Null tensor when the slot is absent. layer = -1 for slots outside the layers.
  [[nodiscard]] Weight get(Slot slot, int32_t layer = -1) const;
  [[nodiscard]] const std::vector<std::string>& unused() const { return unused_; }
  [[nodiscard]] int64_t parameters() const { return parameters_; }

 private:
  std::map<std::pair<int32_t, Slot>, Weight> weights_;  // (layer, slot)
  std::vector<std::string> unused_;
  int64_t parameters_ = 0;
};

}  // namespace saccade
