// WeightMap: which checkpoint tensor fills which slot of the forward pass. A table, written by a family file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/model/model_spec.h"
#include "kernels/base/result.h"

namespace saccade {

// Matrices multiply activations from the right: y = x W^T for out_in, y = x W for in_out.
enum class Slot {
  embed,       // [n_vocab, d_embed]
  pos_embed,   // [n_context + position_offset, d_model]
  type_embed,  // [types, d_model]; row 0 is added (BERT)
  embed_norm_weight,
  embed_norm_bias,  // [d_model]
  embed_in,         // d_embed -> d_model
  embed_out,        // d_model -> d_embed
  final_norm_weight,
  final_norm_bias,  // [d_model]
  head_weight,
  head_bias,  // d_model -> d_model, before the unembedding of masked language models
  head_norm_weight,
  head_norm_bias,
  unembed,       // [n_vocab, d_embed]; absent when tied
  unembed_bias,  // [n_vocab]
  norm1_weight,
  norm1_bias,
  norm2_weight,
  norm2_bias,  // [d_model], per layer
  attn_out_norm_weight,
  mlp_out_norm_weight,  // [d_model]: what attention and MLP give is normalised before it is added
  q_norm_weight,
  k_norm_weight,  // [d_head], [heads * d_head], or one part [d_head] per head
  q_norm_bias,
  k_norm_bias,
  qkv_weight,
  qkv_bias,  // fused, rows as ModelSpec::qkv_layout says; a model has either these or the three pairs below
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
  mlp_product_bias,  // [d_mlp]: added to the product of gate and input (TransformerLens)
  router,            // d_model -> n_expert
  expert_in,
  expert_gate,
  expert_out,  // one part per expert
  shared_in,
  shared_gate,
  shared_out,
  shared_router,  // d_model -> 1: the shared expert's weight before the sigmoid
  patch_weight,
  patch_bias,          // channels * patch height * patch width -> d_model
  cls_token,           // [1, d_model]
  distillation_token,  // [1, d_model]
  register_tokens,     // [n_register, d_model]
  attn_scale,
  mlp_scale,  // [d_model], per layer: layer scale
  distillation_unembed,
  distillation_unembed_bias,  // DeiT's second head
  probe,                      // [1, d_model]: SigLIP's learned query, and the block that it goes through
  probe_qkv_weight,
  probe_qkv_bias,
  probe_out_weight,
  probe_out_bias,
  probe_norm_weight,
  probe_norm_bias,
  probe_mlp_in_weight,
  probe_mlp_in_bias,
  probe_mlp_out_weight,
  probe_mlp_out_bias,
  projector_in_weight,
  projector_in_bias,  // residuals of the tower -> d_model
  projector_out_weight,
  projector_out_bias,  // d_model -> d_model
  image_newline,       // [d_model]: after each row of a picture's grid
  similarity_scale,
  similarity_bias,  // scalars: logit of a picture and a text = e^scale cosine + bias
};
[[nodiscard]] const char* to_string(Slot slot);

// torch Linear; GPT-2's Conv1D (also [head, d_head, out]); TransformerLens's [head, in, d_head]
enum class MatrixLayout { out_in, in_out, per_head_in_out };

// One row of a family's table. In the name "{l}" stands for the layer, "{p}" for the part (an expert, a
// head). A rule may take a range of a tensor's rows: a fused matrix is then several slots, none copied.
struct WeightRule {
  Slot slot;
  std::string name;            // e.g. "h.{l}.attn.c_attn.weight"
  std::vector<int64_t> shape;  // of what fills the slot
  MatrixLayout layout = MatrixLayout::out_in;
  bool required = true;
  std::string or_name = {};  // taken when there is no `name`; empty = nothing else will do
  int32_t parts = 1;         // tensors that fill the slot, each of that shape
  // Of a tensor [..., all_rows, columns] the rows [first_row + part * part_rows, + shape[0]); 0 = the whole.
  int64_t first_row = 0, part_rows = 0;
  std::vector<int64_t> stored_shape = {};  // of the whole tensor, when rows are taken from it
  std::vector<int32_t> layers = {};        // only in these layers; empty = in all
  std::string part_of = {};  // what a checkpoint may lack as a whole, as a fine-tuned encoder its first head
};

// The name of a rule's tensor in one layer and part.
[[nodiscard]] std::string name_at(const std::string& name, int32_t layer, int32_t part);

struct Weight {
  const TensorView* tensor = nullptr;  // lives as long as the map and its checkpoint
  MatrixLayout layout = MatrixLayout::out_in;
};

class WeightMap {
 public:
  // Looks every rule up. A missing required tensor, one of the wrong shape or dtype is an error that names
  // tensor, expected and found. Tensors that no rule uses are listed by unused(), minus `ignorable`
  // patterns (buffers such as "attn.bias" masks). `prefixes` are tried in order ("", "transformer."), then
  // the name as a checkpoint of the model without its head has it (no "model.", "bert." ...), and the names
  // that norms had in the first BERTs (LayerNorm.gamma and .beta). parameters() counts a tied unembedding
  // once.
  static Result<WeightMap> bind(const Checkpoint& checkpoint, const ModelSpec& spec,
                                const std::vector<WeightRule>& rules,
                                const std::vector<std::string>& prefixes,
                                const std::vector<std::string>& ignorable);

  // Null tensor when the slot is absent. layer = -1 for slots outside the layers.
  [[nodiscard]] Weight get(Slot slot, int32_t layer = -1, int32_t part = 0) const;
  [[nodiscard]] int32_t parts(Slot slot, int32_t layer) const;
  [[nodiscard]] const std::vector<std::string>& unused() const { return unused_; }
  // The `part_of`s of which no tensor is there.
  [[nodiscard]] const std::set<std::string>& lacking() const { return lacking_; }
  [[nodiscard]] int64_t parameters() const { return parameters_; }

 private:
  Result<void> bind_rule(const Checkpoint& checkpoint, const ModelSpec& spec, const WeightRule& rule,
                         const std::vector<std::string>& prefixes, int32_t layer,
                         std::set<std::string>& used);

  std::map<std::tuple<int32_t, Slot, int32_t>, Weight> weights_;  // (layer, slot, part)
  std::vector<std::shared_ptr<const TensorView>> slices_;         // rows taken from fused tensors
  std::vector<std::string> unused_;
  std::set<std::string> lacking_;
  int64_t parameters_ = 0;
};

}  // namespace saccade
