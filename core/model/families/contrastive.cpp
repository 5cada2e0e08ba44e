// Pairs of a picture tower and a text tower: CLIP (Radford et al. 2021, arXiv 2103.00020) and SigLIP (Zhai et
// al. 2023, arXiv 2303.15343). Each tower is a family: a checkpoint of both opens as its pictures' tower, and
// with as:clip_text:PATH or as:siglip_text:PATH as its texts' tower. A tower's answer is its embedding; the
// logit of a picture and a text is made of the two (core/run/similarity.h).
#include "core/model/families/pictures.h"

namespace saccade {
namespace {

using Json = nlohmann::json;

// The tower's part of a config of both; the config itself when it is the tower's own.
Result<const Json*> part_of(const Json& json, const char* key) {
  SACCADE_TRY(const Json* part, ConfigReader(json).object(key));
  return part ? part : &json;
}

bool is_pair(const Json& json) { return json.contains("vision_config") || json.contains("text_config"); }

// Both of the pair, or "WithProjection" towers: their embeddings are projected to one width.
Result<int32_t> projection_width(const Json& json, int32_t fallback) {
  const ConfigReader config(json);
  if (!is_pair(json) && !has_architecture(config, "WithProjection")) return 0;
  return config.count({"projection_dim"}, fallback);
}

Result<ModelSpec> read_clip(const Json& json) {
  SACCADE_TRY(const Json* part, part_of(json, "vision_config"));
  const ConfigReader config(*part, part == &json ? "" : "vision_config");
  SACCADE_TRY(ModelSpec spec, read_picture_model(config, {"clip", 1e-5, "quick_gelu", 224, 32}));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 3072));
  SACCADE_TRY(const int32_t width, projection_width(json, 512));
  if (width > 0) spec.n_vocab = width;
  return spec;
}

Result<ModelSpec> read_siglip(const Json& json) {
  SACCADE_TRY(const Json* part, part_of(json, "vision_config"));
  const ConfigReader config(*part, part == &json ? "" : "vision_config");
  SACCADE_TRY(ModelSpec spec, read_picture_model(config, {"siglip", 1e-6, "gelu_pytorch_tanh"}));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 3072));
  spec.patches.cls = false;
  SACCADE_TRY(const std::string type, config.text("model_type", ""));
  if (type == "idefics3_vision" || type == "smolvlm_vision")
    spec.patches.resampling = GridResampling::fractional;
  --spec.n_context;
  SACCADE_TRY(const bool probe, config.flag("vision_use_head", true));
  spec.pooling = probe ? Pooling::probe : Pooling::mean;
  SACCADE_TRY(const int32_t classes, count_classes(ConfigReader(json)));
  if (classes > 0) {
    spec.n_vocab = classes;
    spec.pooling = Pooling::mean;
  }
  return spec;
}

Result<ModelSpec> read_text_tower(const ConfigReader& config, const char* family, double epsilon,
                                  const char* activation, int32_t n_context) {
  SACCADE_TRY(ModelSpec spec,
              read_shape(config, family, {"num_hidden_layers", "num_attention_heads", "hidden_size"},
                         {12, family == std::string_view("siglip_text") ? 12 : 8,
                          family == std::string_view("siglip_text") ? 768 : 512}));
  spec.tied_unembedding = false;
  SACCADE_TRY(spec.norm_epsilon, config.positive("layer_norm_eps", epsilon));
  SACCADE_TRY(spec.activation, config.activation("hidden_act", activation));
  SACCADE_TRY(spec.n_context, config.count({"max_position_embeddings"}, n_context));
  spec.n_output = spec.d_model;
  return spec;
}

Result<ModelSpec> read_clip_text(const Json& json) {
  SACCADE_TRY(const Json* part, part_of(json, "text_config"));
  const ConfigReader config(*part, part == &json ? "" : "text_config");
  SACCADE_TRY(ModelSpec spec, read_text_tower(config, "clip_text", 1e-5, "quick_gelu", 77));
  SACCADE_TRY(spec.n_vocab, config.count({"vocab_size"}, 49408));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 2048));
  if (spec.eos_ids.empty()) spec.eos_ids = {49407};
  spec.pooling = Pooling::end_of_text;
  SACCADE_TRY(const int32_t width, projection_width(json, 512));
  if (width > 0) spec.n_output = width;
  return spec;
}

Result<ModelSpec> read_siglip_text(const Json& json) {
  SACCADE_TRY(const Json* part, part_of(json, "text_config"));
  const ConfigReader config(*part, part == &json ? "" : "text_config");
  SACCADE_TRY(ModelSpec spec, read_text_tower(config, "siglip_text", 1e-6, "gelu_pytorch_tanh", 64));
  SACCADE_TRY(spec.n_vocab, config.count({"vocab_size"}, 32000));
  SACCADE_TRY(spec.d_mlp, config.count({"intermediate_size"}, 3072));
  SACCADE_TRY(spec.n_output, config.count({"projection_size"}, spec.d_model));
  spec.causal = false;
  spec.pooling = Pooling::last;
  return spec;
}

void add_layers(RuleTable& table) {
  const std::string layer = "encoder.layers.{l}.";
  table.norm(Slot::norm1_weight, layer + "layer_norm1", true)
      .separate_qkv(layer + "self_attn.", "q_proj", "k_proj", "v_proj", "out_proj")
      .norm(Slot::norm2_weight, layer + "layer_norm2", true)
      .mlp(layer + "mlp.fc1", "", layer + "mlp.fc2");
}

// A tower that stands alone has no projection, and no logits with texts.
WeightRule optional(Slot slot, const std::string& name, std::vector<int64_t> shape) {
  return {slot, name, std::move(shape), MatrixLayout::out_in, false};
}

std::vector<WeightRule> clip_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  add_patches(table, spec, "embeddings.patch_embedding", false);
  add_token(table, spec, Slot::cls_token, "embeddings.class_embedding", 1, 1);
  add_positions(table, spec, "embeddings.position_embedding.weight", false);
  table.norm(Slot::embed_norm_weight, "pre_layrnorm", true);
  add_layers(table);
  table.norm(Slot::final_norm_weight, "post_layernorm", true);
  table.add({Slot::unembed,
             "visual_projection.weight",
             {spec.n_vocab, spec.d_model},
             MatrixLayout::out_in,
             spec.n_vocab != spec.d_model});
  table.add(optional(Slot::similarity_scale, "logit_scale", {}));
  return table.rules();
}

void add_probe(RuleTable& table, const ModelSpec& spec) {
  const int64_t d = spec.d_model;
  RuleTable head(spec);
  add_token(head, spec, Slot::probe, "head.probe", 1, 3);
  head.add({Slot::probe_qkv_weight, "head.attention.in_proj_weight", {3 * d, d}});
  head.add({Slot::probe_qkv_bias, "head.attention.in_proj_bias", {3 * d}});
  head.linear(Slot::probe_out_weight, "head.attention.out_proj", d, d, true)
      .norm(Slot::probe_norm_weight, "head.layernorm", true)
      .linear(Slot::probe_mlp_in_weight, "head.mlp.fc1", d, spec.d_mlp, true)
      .linear(Slot::probe_mlp_out_weight, "head.mlp.fc2", spec.d_mlp, d, true);
  for (WeightRule rule : head.rules()) {  // a decoder's tower may come without it
    rule.part_of = "pooling head";
    table.add(std::move(rule));
  }
}

std::vector<WeightRule> siglip_rules(const ModelSpec& spec) {
  RuleTable table(spec);
  add_patches(table, spec, "embeddings.patch_embedding", true);
  add_positions(table, spec, "embeddings.position_embedding.weight", false);
  add_layers(table);
  table.norm(Slot::final_norm_weight, "post_layernorm", true);
  if (spec.pooling == Pooling::probe) add_probe(table, spec);
  const bool classifies = spec.pooling == Pooling::mean && spec.n_vocab != spec.d_model;
  table.add(
      {Slot::unembed, "classifier.weight", {spec.n_vocab, spec.d_model}, MatrixLayout::out_in, classifies});
  table.add({Slot::unembed_bias, "classifier.bias", {spec.n_vocab}, MatrixLayout::out_in, classifies});
  table.add(optional(Slot::similarity_scale, "logit_scale", {1}));
  table.add(optional(Slot::similarity_bias, "logit_bias", {1}));
  return table.rules();
}

RuleTable text_tower(const ModelSpec& spec) {
  RuleTable table(spec);
  table.rows(Slot::embed, "embeddings.token_embedding", spec.n_vocab, spec.d_model)
      .rows(Slot::pos_embed, "embeddings.position_embedding", spec.n_context, spec.d_model);
  add_layers(table);
  table.norm(Slot::final_norm_weight, "final_layer_norm", true);
  return table;
}

std::vector<WeightRule> clip_text_rules(const ModelSpec& spec) {
  RuleTable table = text_tower(spec);
  table.add({Slot::unembed,
             "text_projection.weight",
             {spec.n_output, spec.d_model},
             MatrixLayout::out_in,
             spec.n_output != spec.d_model});
  return table.rules();
}

std::vector<WeightRule> siglip_text_rules(const ModelSpec& spec) {
  RuleTable table = text_tower(spec);
  table.linear(Slot::unembed, "head", spec.d_model, spec.n_output, true);
  return table.rules();
}

}  // namespace

Family clip_family() {
  return {"clip",     {"clip", "clip_vision_model"}, read_clip,
          clip_rules, {"vision_model.", ""},         {"*position_ids", "text_model.*", "text_projection.*"}};
}
Family clip_text_family() {
  return {"clip_text",         {"clip_text_model"},
          read_clip_text,      clip_text_rules,
          {"text_model.", ""}, {"*position_ids", "vision_model.*", "visual_projection.*", "logit_scale"}};
}
Family siglip_family() {
  return {"siglip",
          {"siglip", "siglip_vision_model"},
          read_siglip,
          siglip_rules,
          {"vision_model.", ""},
          {"*position_ids", "text_model.*", "vision_model.head.*"}};
}
Family siglip_text_family() {
  return {"siglip_text",       {"siglip_text_model"},
          read_siglip_text,    siglip_text_rules,
          {"text_model.", ""}, {"*position_ids", "vision_model.*", "logit_scale", "logit_bias"}};
}

}  // namespace saccade
