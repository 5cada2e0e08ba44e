#include "core/model/rope_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

using Json = nlohmann::json;

Result<std::string> kind_of(const ConfigReader& scaling) {
  SACCADE_TRY(const std::string old_name, scaling.text("type", "default"));
  return scaling.text("rope_type", old_name);
}

Result<void> read_llama3(const ConfigReader& scaling, RotarySpec& rotary) {
  rotary.scaling = RotaryScaling::llama3;
  SACCADE_TRY(rotary.low_frequency_factor, scaling.positive("low_freq_factor", 0.0));
  SACCADE_TRY(rotary.high_frequency_factor, scaling.positive("high_freq_factor", 0.0));
  SACCADE_TRY(rotary.original_context, scaling.count({"original_max_position_embeddings"}));
  if (rotary.high_frequency_factor > rotary.low_frequency_factor) return {};
  return scaling.wrong("high_freq_factor",
                       fmt::format("more than low_freq_factor, {}", rotary.low_frequency_factor),
                       rotary.high_frequency_factor);
}

// The factor by which cos and sin grow with the context: 0.1 m ln s + 1.
double yarn_scale(double factor, double m) { return factor <= 1.0 ? 1.0 : 0.1 * m * std::log(factor) + 1.0; }

Result<void> read_yarn(const ConfigReader& scaling, RotarySpec& rotary) {
  rotary.scaling = RotaryScaling::yarn;
  SACCADE_TRY(rotary.high_frequency_factor, scaling.positive("beta_fast", 32.0));
  SACCADE_TRY(rotary.low_frequency_factor, scaling.positive("beta_slow", 1.0));
  SACCADE_TRY(rotary.truncate, scaling.flag("truncate", true));
  double inferred = yarn_scale(rotary.factor, 1.0);
  if (scaling.has("mscale") && scaling.has("mscale_all_dim")) {
    SACCADE_TRY(const double m, scaling.positive("mscale", 0.0));
    SACCADE_TRY(const double m_all, scaling.positive("mscale_all_dim", 0.0));
    inferred = yarn_scale(rotary.factor, m) / yarn_scale(rotary.factor, m_all);
  }
  SACCADE_TRY(rotary.attention_factor, scaling.positive("attention_factor", inferred));
  return {};
}

Result<void> read_longrope(const ConfigReader& scaling, RotarySpec& rotary) {
  rotary.scaling = RotaryScaling::longrope;
  const auto pairs = static_cast<size_t>(rotary.dimensions / 2);
  SACCADE_TRY(rotary.short_factors, scaling.positives("short_factor", pairs));
  SACCADE_TRY(rotary.long_factors, scaling.positives("long_factor", pairs));
  const double factor = rotary.factor, context = rotary.original_context;
  const double inferred = factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(context));
  SACCADE_TRY(rotary.attention_factor, scaling.positive("attention_factor", inferred));
  return {};
}

// original_max_position_embeddings outside wins over inside; without either it is the model's context.
Result<int32_t> original_context(const ConfigReader& config, const ConfigReader& scaling, int32_t n_context) {
  constexpr const char* key = "original_max_position_embeddings";
  SACCADE_TRY(const int32_t inside, scaling.count({key}, n_context));
  return config.count({key}, inside);
}

Result<void> read_scaling(const std::string& kind, const ConfigReader& config, const ConfigReader& scaling,
                          const ModelSpec& spec, RotarySpec& rotary) {
  SACCADE_TRY(rotary.original_context, original_context(config, scaling, spec.n_context));
  const double stretch = static_cast<double>(spec.n_context) / rotary.original_context;
  const bool inferable = kind == "yarn" || kind == "longrope" || kind == "su";
  SACCADE_TRY(rotary.factor, scaling.positive("factor", inferable ? stretch : 0.0));
  if (kind == "linear") {
    rotary.scaling = RotaryScaling::linear;
    return {};
  }
  if (kind == "dynamic") {
    rotary.scaling = RotaryScaling::dynamic;
    rotary.original_context = spec.n_context;
    return {};
  }
  if (kind == "llama3") return read_llama3(scaling, rotary);
  if (kind == "yarn") return read_yarn(scaling, rotary);
  if (kind == "longrope" || kind == "su") return read_longrope(scaling, rotary);
  return scaling.wrong("rope_type", "default, linear, dynamic, yarn, llama3 or longrope", kind);
}

// The settings that hold for a kind of layer, and the key they stand under; null when there are none.
struct Settings {
  const Json* json = nullptr;
  std::string where;
};

Result<Settings> settings_of(const ConfigReader& config, const std::string& kind_of_layer) {
  SACCADE_TRY(const Json* older, config.object("rope_scaling"));
  SACCADE_TRY(const Json* newer, config.object("rope_parameters"));
  Settings found{newer ? newer : older, newer ? "rope_parameters" : "rope_scaling"};
  if (older && newer) {
    SACCADE_TRY(const std::string one, kind_of(ConfigReader(*older, "rope_scaling")));
    SACCADE_TRY(const std::string other, kind_of(ConfigReader(*newer, "rope_parameters")));
    if (one != other)
      return config.wrong("rope_parameters", "the same kind as in 'rope_scaling', '" + one + "'", other);
  }
  if (!found.json) return found;
  const bool parted = std::any_of(found.json->begin(), found.json->end(),
                                  [](const Json& value) { return value.is_object(); });
  if (!parted) return found;
  const auto part = found.json->find(kind_of_layer);
  if (part != found.json->end() && part->is_object())
    return Settings{&*part, found.where + "." + kind_of_layer};
  if (kind_of_layer.empty())
    return make_error(ErrorCode::unsupported,
                      fmt::format("config.json: '{}.{}': rotary settings per kind of layer are not read for "
                                  "this family",
                                  found.where, found.json->begin().key()));
  return Settings{};
}

}  // namespace

Result<RotarySpec> read_rotary(const ConfigReader& config, const ModelSpec& spec,
                               const RotaryDefaults& defaults, const std::string& kind_of_layer) {
  RotarySpec rotary;
  SACCADE_TRY(rotary.base, config.positive("rope_theta", defaults.base));
  SACCADE_TRY(rotary.base, config.positive("rotary_emb_base", rotary.base));
  SACCADE_TRY(const double outer, config.positive("partial_rotary_factor", defaults.part));
  SACCADE_TRY(double part, config.positive("rotary_pct", outer));
  SACCADE_TRY(const Settings settings, settings_of(config, kind_of_layer));
  const Json none = Json::object();
  const ConfigReader scaling(settings.json ? *settings.json : none, settings.where);
  SACCADE_TRY(rotary.base, scaling.positive("rope_theta", rotary.base));
  SACCADE_TRY(part, scaling.positive("partial_rotary_factor", part));
  rotary.dimensions = static_cast<int32_t>(spec.d_head * std::min(part, 1.0));
  if (rotary.dimensions < 2 || rotary.dimensions % 2 != 0)
    return make_error(
        ErrorCode::bad_format,
        fmt::format("config.json: rotary positions need an even number of dimensions of a head, "
                    "found {} of {}",
                    rotary.dimensions, spec.d_head));
  SACCADE_TRY(const std::string kind, kind_of(scaling));
  if (kind != "default") SACCADE_CHECK(read_scaling(kind, config, scaling, spec, rotary));
  return rotary;
}

Result<std::vector<bool>> read_sliding_layers(const ConfigReader& config, int32_t n_layer,
                                              const std::function<bool(int32_t layer)>& is_sliding) {
  std::vector<bool> sliding;
  SACCADE_TRY(const std::vector<std::string> types, config.texts("layer_types"));
  if (types.empty()) {
    for (int32_t l = 0; l < n_layer; ++l) sliding.push_back(is_sliding(l));
    return sliding;
  }
  if (types.size() != static_cast<size_t>(n_layer))
    return config.wrong("layer_types", fmt::format("one kind for each of {} layers", n_layer), types);
  for (const std::string& type : types) {
    if (type != "sliding_attention" && type != "full_attention")
      return config.wrong("layer_types", "full_attention or sliding_attention", type);
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

Result<std::vector<int32_t>> read_windows(const ConfigReader& config, const std::vector<bool>& sliding) {
  std::vector<int32_t> windows;
  if (!config.has("sliding_window")) return windows;
  SACCADE_TRY(const int32_t window, config.count({"sliding_window"}, 0, INT32_MAX));
  if (std::none_of(sliding.begin(), sliding.end(), [](bool slides) { return slides; })) return windows;
  for (const bool slides : sliding) windows.push_back(slides ? window : 0);
  return windows;
}

std::vector<float> alibi_slopes(int32_t n_head) {
  int32_t whole = 1;
  while (2 * whole <= n_head) whole *= 2;
  std::vector<float> slopes;
  for (int32_t i = 1; i <= whole; ++i) slopes.push_back(static_cast<float>(std::exp2(-8.0 * i / whole)));
  for (int32_t i = 1; static_cast<int32_t>(slopes.size()) < n_head; i += 2)
    slopes.push_back(static_cast<float>(std::exp2(-4.0 * i / whole)));
  return slopes;
}

}  // namespace saccade
