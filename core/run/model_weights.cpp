#include "core/run/model_weights.h"

namespace saccade {
namespace {

// Binds the slots of one layer, or with layer -1 those outside the layers.
class Binder {
 public:
  Binder(const Model& model, int32_t layer)
      : map_(model.weights()),
        offset_(model.spec().norm_offset),
        ones_(model.spec().weightless_norms ? model.spec().d_model : 0),
        layer_(layer) {}

  [[nodiscard]] ops::DeviceTensor table(Slot slot) const {
    const Weight weight = map_.get(slot, layer_);
    return weight.tensor ? ops::stored(*weight.tensor) : ops::DeviceTensor();
  }
  [[nodiscard]] ops::DeviceTensor vector(Slot slot, int32_t part = 0) const {
    const Weight weight = map_.get(slot, layer_, part);
    return weight.tensor ? ops::vector_of(*weight.tensor) : ops::DeviceTensor();
  }
  [[nodiscard]] ops::Matrix matrix(Slot slot, int32_t part = 0) const {
    const Weight weight = map_.get(slot, layer_, part);
    if (!weight.tensor) return {};
    return {ops::stored(*weight.tensor), weight.layout, {}};
  }
  [[nodiscard]] ops::Matrix matrix(Slot weight, Slot bias) const {
    ops::Matrix made = matrix(weight);
    if (made.defined()) made.bias = vector(bias);
    return made;
  }
  // A norm that is stored head by head becomes [heads, d_head].
  [[nodiscard]] Norm norm(Slot weight, Slot bias) const {
    if (ones_ > 0) return {ops::row_of_ones(ones_), {}};
    return {stacked(weight, offset_), stacked(bias, 0.0)};
  }
  [[nodiscard]] Norm norm(Slot weight) const { return {stacked(weight, offset_), {}}; }
  [[nodiscard]] Expert expert(Slot in, Slot gate, Slot out, int32_t part) const {
    return {matrix(in, part), matrix(gate, part), matrix(out, part)};
  }
  [[nodiscard]] int32_t parts(Slot slot) const { return map_.parts(slot, layer_); }

 private:
  [[nodiscard]] ops::DeviceTensor stacked(Slot slot, double offset) const {
    std::vector<ops::DeviceTensor> rows;
    for (int32_t part = 0; part < parts(slot); ++part) rows.push_back(vector(slot, part));
    return rows.empty() ? ops::DeviceTensor() : ops::stack_rows(rows, offset);
  }

  const WeightMap& map_;
  double offset_;
  int64_t ones_;  // the width of norms without weights, 0 where norms have them
  int32_t layer_;
};

LayerWeights bind_layer(const Model& model, int32_t l) {
  const Binder bind(model, l);
  LayerWeights layer;
  layer.norm1 = bind.norm(Slot::norm1_weight, Slot::norm1_bias);
  if (bind.parts(Slot::mlp_in_weight) > 0 || bind.parts(Slot::router) > 0)
    layer.norm2 = bind.norm(Slot::norm2_weight, Slot::norm2_bias);
  layer.attn_out_norm = bind.norm(Slot::attn_out_norm_weight);
  layer.mlp_out_norm = bind.norm(Slot::mlp_out_norm_weight);
  if (model.spec().qk_norm != QkNorm::none) {
    layer.q_norm = bind.norm(Slot::q_norm_weight, Slot::q_norm_bias);
    layer.k_norm = bind.norm(Slot::k_norm_weight, Slot::k_norm_bias);
  }
  layer.qkv = bind.matrix(Slot::qkv_weight, Slot::qkv_bias);
  layer.q = bind.matrix(Slot::q_weight, Slot::q_bias);
  layer.k = bind.matrix(Slot::k_weight, Slot::k_bias);
  layer.v = bind.matrix(Slot::v_weight, Slot::v_bias);
  layer.o = bind.matrix(Slot::o_weight, Slot::o_bias);
  layer.mlp_in = bind.matrix(Slot::mlp_in_weight, Slot::mlp_in_bias);
  layer.mlp_gate = bind.matrix(Slot::mlp_gate_weight, Slot::mlp_gate_bias);
  layer.mlp_out = bind.matrix(Slot::mlp_out_weight, Slot::mlp_out_bias);
  layer.mlp_product_bias = bind.vector(Slot::mlp_product_bias);
  layer.attn_scale = bind.vector(Slot::attn_scale);
  layer.mlp_scale = bind.vector(Slot::mlp_scale);
  layer.router = bind.matrix(Slot::router);
  layer.shared_router = bind.matrix(Slot::shared_router);
  for (int32_t e = 0; e < bind.parts(Slot::expert_in); ++e)
    layer.experts.push_back(bind.expert(Slot::expert_in, Slot::expert_gate, Slot::expert_out, e));
  layer.shared = bind.expert(Slot::shared_in, Slot::shared_gate, Slot::shared_out, 0);
  return layer;
}

void bind_pictures(const Binder& bind, ModelWeights& weights) {
  weights.patches = bind.matrix(Slot::patch_weight, Slot::patch_bias);
  weights.cls = bind.table(Slot::cls_token);
  weights.distillation = bind.table(Slot::distillation_token);
  weights.registers = bind.table(Slot::register_tokens);
  weights.distillation_unembed = bind.matrix(Slot::distillation_unembed, Slot::distillation_unembed_bias);
  ProbeWeights& probe = weights.probe;
  probe.query = bind.table(Slot::probe);
  probe.qkv = bind.matrix(Slot::probe_qkv_weight, Slot::probe_qkv_bias);
  probe.out = bind.matrix(Slot::probe_out_weight, Slot::probe_out_bias);
  probe.mlp_in = bind.matrix(Slot::probe_mlp_in_weight, Slot::probe_mlp_in_bias);
  probe.mlp_out = bind.matrix(Slot::probe_mlp_out_weight, Slot::probe_mlp_out_bias);
  if (probe.query.defined()) probe.norm = bind.norm(Slot::probe_norm_weight, Slot::probe_norm_bias);
  weights.projector_in = bind.matrix(Slot::projector_in_weight, Slot::projector_in_bias);
  weights.projector_out = bind.matrix(Slot::projector_out_weight, Slot::projector_out_bias);
  weights.image_newline = bind.vector(Slot::image_newline);
}

}  // namespace

ModelWeights bind_weights(const Model& model) {
  const Binder bind(model, -1);
  ModelWeights weights;
  weights.embed = bind.table(Slot::embed);
  weights.pos_embed = bind.table(Slot::pos_embed);
  weights.type_embed = bind.table(Slot::type_embed);
  if (model.weights().get(Slot::embed_norm_weight).tensor)
    weights.embed_norm = bind.norm(Slot::embed_norm_weight, Slot::embed_norm_bias);
  weights.embed_in = bind.matrix(Slot::embed_in);
  weights.embed_out = bind.matrix(Slot::embed_out);
  weights.final_norm = bind.norm(Slot::final_norm_weight, Slot::final_norm_bias);
  weights.head = bind.matrix(Slot::head_weight, Slot::head_bias);
  if (weights.head.defined()) weights.head_norm = bind.norm(Slot::head_norm_weight, Slot::head_norm_bias);
  const bool own_output = model.weights().get(Slot::unembed).tensor != nullptr;
  const bool has_output = own_output || model.spec().pooling == Pooling::none;  // towers may give features
  const Slot output = own_output ? Slot::unembed : Slot::embed;
  if (has_output) weights.unembed = bind.matrix(output);
  weights.unembed_bias = bind.vector(Slot::unembed_bias);
  weights.narrow_unembed = has_output && model.weights().get(output).tensor->dtype != DType::f32;
  bind_pictures(bind, weights);
  for (int32_t l = 0; l < model.spec().n_layer; ++l) weights.layers.push_back(bind_layer(model, l));
  return weights;
}

}  // namespace saccade
