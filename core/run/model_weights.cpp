#include "core/run/model_weights.h"

namespace saccade {
namespace {

ops::DeviceTensor vector_at(const WeightMap& map, Slot slot, int32_t layer = -1) {
  const Weight weight = map.get(slot, layer);
  return weight.tensor ? ops::vector_of(*weight.tensor) : ops::DeviceTensor();
}

ops::Matrix matrix_at(const WeightMap& map, Slot weight_slot, Slot bias_slot, int32_t layer) {
  const Weight weight = map.get(weight_slot, layer);
  if (!weight.tensor) return {};
  return {ops::stored(*weight.tensor), weight.layout, vector_at(map, bias_slot, layer)};
}

}  // namespace

ModelWeights bind_weights(const Model& model) {
  const WeightMap& map = model.weights();
  ModelWeights weights;
  weights.embed = ops::stored(*map.get(Slot::embed).tensor);
  if (const Weight pos = map.get(Slot::pos_embed); pos.tensor) weights.pos_embed = ops::stored(*pos.tensor);
  weights.final_norm_weight = vector_at(map, Slot::final_norm_weight);
  weights.final_norm_bias = vector_at(map, Slot::final_norm_bias);
  const Weight unembed = map.get(Slot::unembed);
  const TensorView* output = unembed.tensor ? unembed.tensor : map.get(Slot::embed).tensor;
  weights.unembed.weight = ops::stored(*output);
  weights.narrow_unembed = output->dtype != DType::f32;
  for (int32_t l = 0; l < model.spec().n_layer; ++l) {
    LayerWeights layer;
    layer.norm1_weight = vector_at(map, Slot::norm1_weight, l);
    layer.norm1_bias = vector_at(map, Slot::norm1_bias, l);
    layer.norm2_weight = vector_at(map, Slot::norm2_weight, l);
    layer.norm2_bias = vector_at(map, Slot::norm2_bias, l);
    layer.qkv = matrix_at(map, Slot::qkv_weight, Slot::qkv_bias, l);
    layer.q = matrix_at(map, Slot::q_weight, Slot::q_bias, l);
    layer.k = matrix_at(map, Slot::k_weight, Slot::k_bias, l);
    layer.v = matrix_at(map, Slot::v_weight, Slot::v_bias, l);
    layer.o = matrix_at(map, Slot::o_weight, Slot::o_bias, l);
    layer.mlp_in = matrix_at(map, Slot::mlp_in_weight, Slot::mlp_in_bias, l);
    layer.mlp_gate = matrix_at(map, Slot::mlp_gate_weight, Slot::mlp_gate_bias, l);
    layer.mlp_out = matrix_at(map, Slot::mlp_out_weight, Slot::mlp_out_bias, l);
    weights.layers.push_back(std::move(layer));
  }
  return weights;
}

}  // namespace saccade
