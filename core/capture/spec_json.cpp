#include "core/capture/spec_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace saccade {
namespace {

using Json = nlohmann::json;

constexpr std::array norms{"layer_norm", "rms_norm"};
constexpr std::array positions{"none", "learned", "rotary", "alibi"};
constexpr std::array blocks{"sequential", "parallel", "post_norm"};
constexpr std::array qkv_layouts{"concatenated", "per_kv_head"};
constexpr std::array qk_norms{"none", "per_head", "whole_width"};
constexpr std::array pairings{"halves", "interleaved"};
constexpr std::array scalings{"none", "linear", "dynamic", "yarn", "llama3", "longrope"};
constexpr std::array activations{"gelu", "gelu_tanh", "gelu_quick", "silu", "relu", "relu_squared"};
constexpr std::array poolings{"none", "cls",   "cls_and_distillation", "cls_and_mean",
                              "mean", "probe", "end_of_text",          "last"};
constexpr std::array grid_resamplings{"bicubic", "bicubic_antialias", "fractional"};
constexpr int32_t largest_size = 1 << 24, most_layers = 10000;

Error bad(const std::string& key, const std::string& expected, const Json& found) {
  return make_error(ErrorCode::bad_format,
                    fmt::format("spec: '{}': expected {}, found {}", key, expected,
                                found.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

// The two directions of one list of fields, so that they cannot drift apart.
class ToJson {
 public:
  template <class Value>
  void field(const char* key, const Value& value) {
    document[key] = value;
  }
  void size(const char* key, const int32_t& value, int32_t, int32_t) { document[key] = value; }
  template <class Enum, size_t n>
  void choice(const char* key, const Enum& value, const std::array<const char*, n>& names) {
    document[key] = names[static_cast<size_t>(value)];
  }
  void later() {}
  Json document = Json::object();
};

class FromJson {
 public:
  explicit FromJson(const Json& document) : document_(document) {}

  void field(const char* key, std::string& value) { take(key, "a text", &Json::is_string, value); }
  void field(const char* key, bool& value) { take(key, "true or false", &Json::is_boolean, value); }
  void field(const char* key, std::vector<int32_t>& value) {
    const Json* found = find(key);
    if (!found) return;
    if (!found->is_array() || !std::all_of(found->begin(), found->end(), whole)) {
      fail(key, "a list of whole numbers", *found);
      return;
    }
    value = found->get<std::vector<int32_t>>();
  }
  void field(const char* key, double& value) {
    take(key, "a number", &Json::is_number, value);
    if (!error_ && !std::isfinite(value)) fail(key, "a finite number", value);
  }
  void field(const char* key, std::vector<double>& value) { numbers(key, value); }
  void field(const char* key, std::vector<float>& value) { numbers(key, value); }
  // From here on a missing key keeps its default: dumps of earlier versions do not have them.
  void later() { may_lack_ = true; }
  void size(const char* key, int32_t& value, int32_t least, int32_t most) {
    const Json* found = find(key);
    if (!found) return;
    if (!whole(*found) || found->get<int64_t>() < least || found->get<int64_t>() > most)
      fail(key, fmt::format("a whole number from {} to {}", least, most), *found);
    else
      value = found->get<int32_t>();
  }
  template <class Enum, size_t n>
  void choice(const char* key, Enum& value, const std::array<const char*, n>& names) {
    const Json* found = find(key);
    if (!found) return;
    for (size_t i = 0; i < n; ++i)
      if (*found == names[i]) {
        value = static_cast<Enum>(i);
        return;
      }
    fail(key, fmt::format("one of {}", fmt::join(names, ", ")), *found);
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  static bool whole(const Json& value) {
    if (value.is_number_unsigned())  // asked first: as a signed number it could be anything
      return value.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()};
    return value.is_number_integer() && value.get<int64_t>() >= std::numeric_limits<int32_t>::min() &&
           value.get<int64_t>() <= std::numeric_limits<int32_t>::max();
  }
  const Json* find(const char* key) {
    const auto found = document_.find(key);
    if (found != document_.end()) return &*found;
    if (!may_lack_) fail(key, "a value", nullptr);
    return nullptr;
  }
  void fail(const char* key, const std::string& expected, const Json& found) {
    if (!error_) error_ = bad(key, expected, found);
  }
  template <class Number>
  void numbers(const char* key, std::vector<Number>& value) {
    const Json* found = find(key);
    if (!found) return;
    const auto finite = [](const Json& v) { return v.is_number() && std::isfinite(v.get<double>()); };
    if (!found->is_array() || !std::all_of(found->begin(), found->end(), finite))
      fail(key, "a list of numbers", *found);
    else
      value = found->get<std::vector<Number>>();
  }
  template <class Value>
  void take(const char* key, const char* expected, bool (Json::*fits)() const noexcept, Value& value) {
    const Json* found = find(key);
    if (!found) return;
    if ((found->*fits)())
      value = found->get<Value>();
    else
      fail(key, expected, *found);
  }

  const Json& document_;
  std::optional<Error> error_;
  bool may_lack_ = false;
};

template <class Visitor, class Rotary>
void visit_rotary(Visitor& visitor, Rotary& rotary) {
  visitor.field("rotary_base", rotary.base);
  visitor.size("rotary_dimensions", rotary.dimensions, 0, largest_size);
  visitor.choice("rotary_pairing", rotary.pairing, pairings);
  visitor.choice("rotary_scaling", rotary.scaling, scalings);
  visitor.field("rotary_factor", rotary.factor);
  visitor.field("rotary_low_frequency_factor", rotary.low_frequency_factor);
  visitor.field("rotary_high_frequency_factor", rotary.high_frequency_factor);
  visitor.size("rotary_original_context", rotary.original_context, 0, std::numeric_limits<int32_t>::max());
}

// What more architectures than the first two need.
template <class Visitor, class Spec>
void visit_variants(Visitor& visitor, Spec& spec) {
  visitor.field("causal", spec.causal);
  visitor.size("prefix", spec.prefix, -1, std::numeric_limits<int32_t>::max());
  visitor.choice("block", spec.block, blocks);
  visitor.field("norm_offset", spec.norm_offset);
  visitor.choice("qk_norm", spec.qk_norm, qk_norms);
  visitor.size("d_embed", spec.d_embed, 0, largest_size);
  visitor.size("position_offset", spec.position_offset, 0, largest_size);
  visitor.field("rotary_attention_factor", spec.rotary.attention_factor);
  visitor.field("rotary_truncate", spec.rotary.truncate);
  visitor.field("rotary_short_factors", spec.rotary.short_factors);
  visitor.field("rotary_long_factors", spec.rotary.long_factors);
  visitor.field("local_rotary_base", spec.local_rotary.base);
  visitor.size("local_rotary_dimensions", spec.local_rotary.dimensions, 0, largest_size);
  visitor.field("alibi_slopes", spec.alibi_slopes);
  visitor.field("windows", spec.windows);
  visitor.field("layer_rotary", spec.layer_rotary);
  visitor.choice("qkv_layout", spec.qkv_layout, qkv_layouts);
  visitor.field("scale_by_layer", spec.scale_by_layer);
  visitor.field("attention_softcap", spec.attention_softcap);
  visitor.field("qkv_clip", spec.qkv_clip);
  visitor.size("n_expert", spec.experts.n_expert, 0, largest_size);
  visitor.size("n_expert_used", spec.experts.n_used, 0, largest_size);
  visitor.size("d_expert", spec.experts.d_mlp, 0, largest_size);
  visitor.size("d_shared_expert", spec.experts.d_shared, 0, largest_size);
  visitor.field("normalise_expert_weights", spec.experts.normalise_weights);
  visitor.field("dense_layers", spec.dense_layers);
  visitor.field("embed_scale", spec.embed_scale);
  visitor.field("residual_scale", spec.residual_scale);
  visitor.size("n_token_type", spec.n_token_type, 0, largest_size);
  visitor.size("n_output", spec.n_output, 0, largest_size);
  visitor.size("padding_id", spec.padding_id, -1, largest_size);
  visitor.field("no_norms", spec.no_norms);
  visitor.field("weightless_norms", spec.weightless_norms);
  visitor.field("logit_scale", spec.logit_scale);
  visitor.field("logit_softcap", spec.logit_softcap);
}

// What reads pictures.
template <class Visitor, class Spec>
void visit_pictures(Visitor& visitor, Spec& spec) {
  visitor.choice("pooling", spec.pooling, poolings);
  visitor.field("layer_scale", spec.layer_scale);
  visitor.size("patch_height", spec.patches.height, 0, largest_size);
  visitor.size("patch_width", spec.patches.width, 0, largest_size);
  visitor.size("image_channels", spec.patches.channels, 1, largest_size);
  visitor.size("image_height", spec.patches.image_height, 0, largest_size);
  visitor.size("image_width", spec.patches.image_width, 0, largest_size);
  visitor.field("cls_token", spec.patches.cls);
  visitor.field("distillation_token", spec.patches.distillation);
  visitor.size("n_register", spec.patches.n_register, 0, largest_size);
  visitor.choice("grid_resampling", spec.patches.resampling, grid_resamplings);
  visitor.size("image_token_id", spec.tower.image_token_id, -1, largest_size);
  visitor.field("tower_layers", spec.tower.layers);
  visitor.field("tower_drops_prefix", spec.tower.drops_prefix);
  visitor.size("d_tower", spec.tower.d_tower, 0, largest_size);
  visitor.choice("projector_activation", spec.tower.activation, activations);
  visitor.field("projector_bias", spec.tower.bias);
  visitor.size("tower_merge", spec.tower.merge, 1, largest_size);
  visitor.size("film_token_id", spec.tower.film_token_id, -1, largest_size);
  visitor.size("patch_frames", spec.patches.frames, 1, largest_size);
  visitor.size("patch_window", spec.patches.window, 0, largest_size);
  visitor.field("whole_layers", spec.patches.whole_layers);
  visitor.field("rotary_sections", spec.rotary.sections);
  visitor.field("rotary_sections_begin_anew", spec.rotary.sections_begin_anew);
  visitor.field("tower_final_norm", spec.tower.final_norm);
  visitor.field("image_newline", spec.tower.newline);
  visitor.field("labels_tiles", spec.tower.labels_tiles);
}

template <class Visitor, class Spec>
void visit(Visitor& visitor, Spec& spec) {
  visitor.field("family", spec.family);
  visitor.field("model_type", spec.model_type);
  visitor.size("n_layer", spec.n_layer, 1, most_layers);
  visitor.size("n_head", spec.n_head, 1, largest_size);
  visitor.size("n_kv_head", spec.n_kv_head, 1, largest_size);
  visitor.size("d_model", spec.d_model, 1, largest_size);
  visitor.size("d_head", spec.d_head, 1, largest_size);
  visitor.size("d_mlp", spec.d_mlp, 0, largest_size);
  visitor.size("n_vocab", spec.n_vocab, 1, largest_size);
  visitor.size("n_context", spec.n_context, 0, std::numeric_limits<int32_t>::max());
  visitor.choice("norm", spec.norm, norms);
  visitor.field("norm_epsilon", spec.norm_epsilon);
  visitor.choice("position", spec.position, positions);
  visit_rotary(visitor, spec.rotary);
  visitor.choice("activation", spec.activation, activations);
  visitor.field("gated_mlp", spec.gated_mlp);
  visitor.field("tied_unembedding", spec.tied_unembedding);
  visitor.field("qkv_bias", spec.qkv_bias);
  visitor.field("attention_out_bias", spec.attention_out_bias);
  visitor.field("mlp_bias", spec.mlp_bias);
  visitor.field("attention_scale", spec.attention_scale);
  visitor.field("bos_ids", spec.bos_ids);
  visitor.field("eos_ids", spec.eos_ids);
  visitor.field("weight_dtype", spec.weight_dtype);
  visitor.later();
  visit_variants(visitor, spec);
  visit_pictures(visitor, spec);
}

}  // namespace

Json spec_to_json(const ModelSpec& spec) {
  ToJson writer;
  visit(writer, spec);
  return writer.document;
}

Result<ModelSpec> spec_from_json(const Json& document) {
  if (!document.is_object()) return bad("spec", "an object", document);
  ModelSpec spec;
  FromJson reader(document);
  visit(reader, spec);
  if (reader.error()) return *reader.error();
  if (spec.n_head % spec.n_kv_head != 0)
    return bad("n_kv_head", fmt::format("a divisor of n_head, {}", spec.n_head), spec.n_kv_head);
  const auto fits = [](size_t found, int32_t wanted) {
    return found == 0 || found == static_cast<size_t>(wanted);
  };
  if (!fits(spec.windows.size(), spec.n_layer) || !fits(spec.layer_rotary.size(), spec.n_layer))
    return bad("windows", fmt::format("one number for each of {} layers", spec.n_layer), spec.windows);
  if ((spec.patches.height > 0) != (spec.patches.width > 0))
    return bad("patch_width", "both sides of a patch, or none", spec.patches.width);
  if (!fits(spec.alibi_slopes.size(), spec.n_head))
    return bad("alibi_slopes", fmt::format("one number for each of {} heads", spec.n_head),
               spec.alibi_slopes);
  const std::vector<int32_t>& sections = spec.rotary.sections;
  const int64_t pairs = std::accumulate(sections.begin(), sections.end(), int64_t{0});
  if (!sections.empty() && (sections.size() != 3 || pairs != spec.rotary.dimensions / 2 ||
                            std::any_of(sections.begin(), sections.end(), [](int32_t n) { return n < 0; })))
    return bad("rotary_sections", fmt::format("three that sum to {}", spec.rotary.dimensions / 2), sections);
  if (std::any_of(spec.windows.begin(), spec.windows.end(), [](int32_t w) { return w < 0; }))
    return bad("windows", "no negative number", spec.windows);
  return spec;
}

}  // namespace saccade
