// Models of pictures alone: ViT (Dosovitskiy et al. 2021, arXiv 2010.11929), DeiT (Touvron et al. 2021, arXiv
// 2012.12877: a distillation token), DINOv2 (Oquab et al. 2023, arXiv 2304.07193: layer scale, positions for
// any size) and the same with registers (Darcet et al. 2024, arXiv 2309.16588). Checkpoints for
// classification answer with their classes; others with the features of CLS.
#include <algorithm>

#include "core/model/families/pictures.h"

namespace saccade {
namespace {

Result<ModelSpec> read_vit(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_picture_model(config, {"vit"}));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 3072));
  SACCADE_TRY(const int32_t classes, count_classes(config));
  if (classes > 0) spec.n_vocab = classes;
  return spec;
}

Result<ModelSpec> read_deit(const nlohmann::json& json) {
  SACCADE_TRY(ModelSpec spec, read_vit(json));
  spec.family = "deit";
  spec.patches.distillation = true;
  ++spec.n_context;
  if (has_architecture(ConfigReader(json), "WithTeacher")) spec.pooling = Pooling::cls_and_distillation;
  return spec;
}

Result<ModelSpec> read_dinov2(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_picture_model(config, {"dinov2", 1e-6, "gelu", 224, 14}));
  spec.layer_scale = true;
  SACCADE_TRY(const double ratio, config.positive("mlp_ratio", 4.0));
  const auto hidden = static_cast<int32_t>(std::min(spec.d_model * ratio, 1e9));
  spec.d_mlp = hidden;
  SACCADE_TRY(spec.gated_mlp, config.flag("use_swiglu_ffn", false));
  if (spec.gated_mlp) {  // two thirds of the width, rounded up to a multiple of 8
    spec.d_mlp = (static_cast<int32_t>(static_cast<double>(hidden) * 2.0 / 3.0) + 7) / 8 * 8;
    spec.activation = Activation::silu;
  }
  SACCADE_TRY(const std::string type, config.text("model_type", ""));
  if (type == "dinov2_with_registers") {
    SACCADE_TRY(spec.patches.n_register, config.count({"num_register_tokens"}, 4, 4096));
    spec.patches.resampling = GridResampling::bicubic_antialias;
    spec.n_context += spec.patches.n_register;
  }
  SACCADE_TRY(const int32_t classes, count_classes(config));
  if (classes > 0) {
    spec.n_vocab = classes;
    spec.pooling = Pooling::cls_and_mean;
  }
  return spec;
}

// A model without a classifier has d_model features; one with as many classes is told by its pooling or
// by the tensor itself, which is then not required.
void add_classifier(RuleTable& table, const ModelSpec& spec, Slot weight, Slot bias, const std::string& name,
                    int64_t in) {
  const bool required = spec.n_vocab != spec.d_model || spec.pooling != Pooling::cls;
  table.add({weight, name + ".weight", {spec.n_vocab, in}, MatrixLayout::out_in, required});
  table.add({bias, name + ".bias", {spec.n_vocab}, MatrixLayout::out_in, required});
}

RuleTable embeddings(const ModelSpec& spec) {
  RuleTable table(spec);
  add_patches(table, spec, "embeddings.patch_embeddings.projection", true);
  add_token(table, spec, Slot::cls_token, "embeddings.cls_token", 1, 3);
  if (spec.patches.distillation)
    add_token(table, spec, Slot::distillation_token, "embeddings.distillation_token", 1, 3);
  if (spec.patches.n_register > 0)
    add_token(table, spec, Slot::register_tokens, "embeddings.register_tokens", spec.patches.n_register, 3);
  add_positions(table, spec, "embeddings.position_embeddings", true);
  return table;
}

std::vector<WeightRule> vit_rules(const ModelSpec& spec) {
  const std::string layer = "encoder.layer.{l}.";
  RuleTable table = embeddings(spec);
  table.norm(Slot::norm1_weight, layer + "layernorm_before", true)
      .separate_qkv(layer + "attention.", "attention.query", "attention.key", "attention.value",
                    "output.dense")
      .norm(Slot::norm2_weight, layer + "layernorm_after", true)
      .mlp(layer + "intermediate.dense", "", layer + "output.dense")
      .norm(Slot::final_norm_weight, "layernorm", true);
  if (spec.pooling == Pooling::cls_and_distillation) {
    add_classifier(table, spec, Slot::unembed, Slot::unembed_bias, "cls_classifier", spec.d_model);
    add_classifier(table, spec, Slot::distillation_unembed, Slot::distillation_unembed_bias,
                   "distillation_classifier", spec.d_model);
  } else {
    add_classifier(table, spec, Slot::unembed, Slot::unembed_bias, "classifier", spec.d_model);
  }
  return table.rules();
}

// SwiGLU's two input matrices lie in one tensor: the gate, then what it multiplies.
void add_swiglu(RuleTable& table, const ModelSpec& spec, const std::string& at) {
  const int64_t h = spec.d_mlp, d = spec.d_model;
  const auto rows = [&](Slot weight, Slot bias, int64_t first) {
    WeightRule matrix{weight, at + "weights_in.weight", {h, d}};
    matrix.first_row = first;
    matrix.stored_shape = {2 * h, d};
    table.add(std::move(matrix));
    WeightRule vector{bias, at + "weights_in.bias", {h}};
    vector.first_row = first;
    vector.stored_shape = {2 * h};
    table.add(std::move(vector));
  };
  rows(Slot::mlp_gate_weight, Slot::mlp_gate_bias, 0);
  rows(Slot::mlp_in_weight, Slot::mlp_in_bias, h);
  table.linear(Slot::mlp_out_weight, at + "weights_out", h, d, true);
}

std::vector<WeightRule> dinov2_rules(const ModelSpec& spec) {
  const std::string layer = "encoder.layer.{l}.";
  RuleTable table = embeddings(spec);
  table.norm(Slot::norm1_weight, layer + "norm1", true)
      .separate_qkv(layer + "attention.", "attention.query", "attention.key", "attention.value",
                    "output.dense")
      .vector(Slot::attn_scale, layer + "layer_scale1.lambda1", spec.d_model)
      .norm(Slot::norm2_weight, layer + "norm2", true)
      .vector(Slot::mlp_scale, layer + "layer_scale2.lambda1", spec.d_model)
      .norm(Slot::final_norm_weight, "layernorm", true);
  if (spec.gated_mlp)
    add_swiglu(table, spec, layer + "mlp.");
  else
    table.mlp(layer + "mlp.fc1", "", layer + "mlp.fc2");
  const int64_t in = spec.pooling == Pooling::cls_and_mean ? int64_t{2} * spec.d_model : spec.d_model;
  add_classifier(table, spec, Slot::unembed, Slot::unembed_bias, "classifier", in);
  return table.rules();
}

}  // namespace

Family vit_family() {
  return {"vit", {"vit"}, read_vit, vit_rules, {"vit.", ""}, {"*mask_token", "*pooler.*", "decoder.*"}};
}
Family deit_family() {
  return {"deit", {"deit"}, read_deit, vit_rules, {"deit.", ""}, {"*mask_token", "*pooler.*", "decoder.*"}};
}
Family dinov2_family() {
  return {"dinov2",     {"dinov2", "dinov2_with_registers"},       read_dinov2,
          dinov2_rules, {"dinov2.", "dinov2_with_registers.", ""}, {"*mask_token"}};
}

}  // namespace saccade
