// The weights of a model as the forward pass multiplies them: views into the mapping, ready to use.
#pragma once

#include <vector>

#include "core/model/model.h"
#include "core/run/tensor_ops.h"

namespace saccade {

struct LayerWeights {
  ops::DeviceTensor norm1_weight, norm1_bias, norm2_weight, norm2_bias;  // [1, d_model]
  ops::Matrix qkv;                                                       // fused, columns q | k | v; or
  ops::Matrix q, k, v;                                                   // separate
  ops::Matrix o;
  ops::Matrix mlp_in, mlp_gate, mlp_out;
};

struct ModelWeights {
  ops::DeviceTensor embed;      // [n_vocab, d_model], as stored
  ops::DeviceTensor pos_embed;  // [n_context, d_model]; undefined without learned positions
  ops::DeviceTensor final_norm_weight, final_norm_bias;
  ops::Matrix unembed;          // out_in [n_vocab, d_model]
  bool narrow_unembed = false;  // stored narrower than float32: widened slice by slice
  std::vector<LayerWeights> layers;
};

[[nodiscard]] ModelWeights bind_weights(const Model& model);

}  // namespace saccade
