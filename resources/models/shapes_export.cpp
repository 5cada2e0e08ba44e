#include "resources/models/shapes_export.h"

#include <nlohmann/json.hpp>

#include "resources/models/counting.h"
#include "resources/models/export.h"

namespace saccade {
namespace {

using Json = nlohmann::ordered_json;

Json vit_config(const TowerShape& shape) {
  Json labels = Json::object(), ids = Json::object();
  for (int32_t id = 0; id < n_count_class; ++id) {
    labels[std::to_string(id)] = count_label(id);
    ids[count_label(id)] = id;
  }
  return {{"architectures", {"ViTForImageClassification"}},
          {"model_type", "vit"},
          {"attention_probs_dropout_prob", 0.0},
          {"hidden_act", "gelu"},
          {"hidden_dropout_prob", 0.0},
          {"hidden_size", shape.d_model},
          {"image_size", shape.image},
          {"intermediate_size", shape.d_mlp},
          {"layer_norm_eps", shape.norm_epsilon},
          {"num_attention_heads", shape.n_head},
          {"num_channels", 3},
          {"num_hidden_layers", shape.n_layer},
          {"patch_size", shape.patch},
          {"qkv_bias", true},
          {"torch_dtype", "float32"},
          {"id2label", labels},
          {"label2id", ids}};
}

Json siglip_config(const TowerShape& shape) {
  return {{"model_type", "siglip_vision_model"},
          {"attention_dropout", 0.0},
          {"hidden_act", "gelu"},
          {"hidden_size", shape.d_model},
          {"image_size", shape.image},
          {"intermediate_size", shape.d_mlp},
          {"layer_norm_eps", shape.norm_epsilon},
          {"num_attention_heads", shape.n_head},
          {"num_channels", 3},
          {"num_hidden_layers", shape.n_layer},
          {"patch_size", shape.patch},
          {"vision_use_head", false}};
}

// The tower's last layer, every position.
Json vlm_config(const VlmShape& shape, int32_t image_id) {
  return {{"architectures", {"LlavaForConditionalGeneration"}},
          {"model_type", "llava"},
          {"image_seq_length", shape.tower.n_patch()},
          {"image_token_index", image_id},
          {"bos_token_id", shape.bos_id},
          {"eos_token_id", shape.bos_id},
          {"multimodal_projector_bias", true},
          {"projector_hidden_act", "gelu"},
          {"text_config", llama_config(shape.decoder, shape.bos_id)},
          {"tie_word_embeddings", true},
          {"torch_dtype", "bfloat16"},
          {"vision_config", siglip_config(shape.tower)},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "full"}};
}

// Resized to the tower's side, whatever the shape, and from -1 to 1.
Json processor(const char* type, int32_t side) {
  return {{"image_processor_type", type},
          {"do_resize", true},
          {"size", {{"height", side}, {"width", side}}},
          {"resample", 2},
          {"do_rescale", true},
          {"rescale_factor", 1.0 / 255.0},
          {"do_normalize", true},
          {"image_mean", {0.5, 0.5, 0.5}},
          {"image_std", {0.5, 0.5, 0.5}}};
}

}  // namespace

Result<void> write_shapes_vit(const std::filesystem::path& folder, const TowerShape& shape,
                              const std::vector<NamedTensor>& weights) {
  SACCADE_CHECK(write_file(folder / "config.json", vit_config(shape).dump(1) + "\n"));
  SACCADE_CHECK(write_file(folder / "preprocessor_config.json",
                           processor("ViTImageProcessor", shape.image).dump(2) + "\n"));
  return write_weights(folder, weights, WeightType::float32);
}

Result<void> write_shapes_vlm(const std::filesystem::path& folder, const VlmShape& shape,
                              const TalkTokens& tokens, const std::vector<NamedTensor>& weights) {
  SACCADE_CHECK(write_file(folder / "config.json", vlm_config(shape, tokens.image_id()).dump(2) + "\n"));
  SACCADE_CHECK(write_file(folder / "preprocessor_config.json",
                           processor("SiglipImageProcessor", shape.tower.image).dump(2) + "\n"));
  SACCADE_CHECK(write_tokenizer(folder, tokens.bpe(), shape.decoder.n_context, {"<image>"}));
  return write_weights(folder, weights, WeightType::bfloat16);
}

}  // namespace saccade
