#include "core/capture/spec_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

using Json = nlohmann::json;

constexpr std::array norms{"layer_norm", "rms_norm"};
constexpr std::array positions{"none", "learned", "rotary"};
constexpr std::array pairings{"halves", "interleaved"};
constexpr std::array scalings{"none", "linear", "llama3"};
constexpr std::array activations{"gelu", "gelu_tanh", "silu", "relu"};
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
    if (!error_ && !std::isfinite(value)) fail(key, "a finite number", document_[key]);
  }
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
    fail(key, "a value", nullptr);
    return nullptr;
  }
  void fail(const char* key, const std::string& expected, const Json& found) {
    if (!error_) error_ = bad(key, expected, found);
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
  return spec;
}

}  // namespace saccade
