// The weights of a model as the forward pass multiplies them: views into the mapping, ready to use.
#pragma once

#include <vector>

#include "core/model/model.h"
#include "core/run/tensor_ops.h"

namespace saccade {

struct Norm {
  ops::DeviceTensor weight,
      bias;  // [1, width], the spec's norm_offset already added; the bias may be undefined
  [[nodiscard]] bool defined() const { return weight.defined(); }
};

struct Expert {
  ops::Matrix in, gate, out;
};

struct LayerWeights {
  Norm norm1, norm2;  // [1, d_model]; undefined where the layer has none
  Norm attn_out_norm, mlp_out_norm;
  Norm q_norm, k_norm;  // [1, d_head], [1, heads * d_head], or [heads, d_head]
  ops::Matrix qkv;      // fused as the spec's qkv_layout says; or
  ops::Matrix q, k, v;  // separate
  ops::Matrix o;
  ops::Matrix mlp_in, mlp_gate, mlp_out;
  ops::DeviceTensor mlp_product_bias;       // [1, d_mlp]
  ops::DeviceTensor attn_scale, mlp_scale;  // [1, d_model]: layer scale
  ops::Matrix router, shared_router;
  std::vector<Expert> experts;
  Expert shared;
};

// SigLIP's pooling: a learned query attends to all positions, and goes through an MLP.
struct ProbeWeights {
  ops::DeviceTensor query;  // [1, d_model]
  ops::Matrix qkv, out, mlp_in, mlp_out;
  Norm norm;
};

struct ModelWeights {
  ops::DeviceTensor embed;      // [n_vocab, d_embed], as stored
  ops::DeviceTensor pos_embed;  // [n_context + position_offset, d_model]; undefined without learned positions
  ops::DeviceTensor type_embed;  // [types, d_model]
  Norm embed_norm, final_norm, head_norm;
  ops::Matrix embed_in, embed_out, head;
  ops::Matrix unembed;             // out_in [n_vocab, d_embed]
  ops::DeviceTensor unembed_bias;  // [1, n_vocab]
  bool narrow_unembed = false;     // stored narrower than float32: widened slice by slice
  std::vector<LayerWeights> layers;
  // Of what reads pictures.
  ops::Matrix patches;                             // out_in [d_model, channels * height * width]
  ops::DeviceTensor cls, distillation, registers;  // [1 or n, d_model], as stored
  ops::Matrix distillation_unembed;                // with its bias
  ProbeWeights probe;
  ops::Matrix projector_in, projector_out;
  ops::DeviceTensor image_newline;
};

[[nodiscard]] ModelWeights bind_weights(const Model& model);

}  // namespace saccade
