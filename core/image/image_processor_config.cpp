// ImageProcessor::from_json() and open(): what preprocessor_config.json says, and what it may leave out.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/image/image_processor.h"
#include "core/image/tiled_pictures.h"

namespace saccade {
namespace {

using Json = nlohmann::json;
constexpr std::array half{0.5, 0.5, 0.5};
constexpr std::array clip_mean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array clip_deviation{0.26862954, 0.26130258, 0.27577711};

// The processors this program knows, each with what its class sets where the file is silent.
struct Known {
  const char* type;        // without "ImageProcessor", "ImageProcessorFast" or "FeatureExtractor"
  const char* model_type;  // that had it when files did not name it
  ResampleFilter filter;
  std::array<double, 3> mean, deviation;
  int32_t size;       // of the resized picture
  bool size_is_edge;  // and a lone number: its shorter side; else a square
  int32_t crop;       // 0 = none
};
constexpr std::array known{
    Known{"ViT", "vit", ResampleFilter::bilinear, half, half, 224, false, 0},
    Known{"DeiT", "deit", ResampleFilter::bicubic, half, half, 256, false, 224},
    Known{"Bit", "dinov2", ResampleFilter::bicubic, clip_mean, clip_deviation, 224, true, 224},
    Known{"CLIP", "clip", ResampleFilter::bicubic, clip_mean, clip_deviation, 224, true, 224},
    Known{"Siglip", "siglip", ResampleFilter::bicubic, half, half, 224, true, 0},
    Known{"Qwen2VL", "qwen2_vl", ResampleFilter::bicubic, clip_mean, clip_deviation, 0, false, 0},
    Known{"Qwen2_5_VL", "qwen2_5_vl", ResampleFilter::bicubic, clip_mean, clip_deviation, 0, false, 0},
    Known{"Llava", "", ResampleFilter::bicubic, clip_mean, clip_deviation, 224, true, 224},
    Known{"LlavaNext", "llava_next", ResampleFilter::bicubic, clip_mean, clip_deviation, 224, true, 224},
    Known{"Idefics3", "idefics3", ResampleFilter::lanczos, half, half, 1456, true, 0},
    Known{"SmolVLM", "smolvlm", ResampleFilter::lanczos, half, half, 1456, true, 0},
};

Error wrong(const std::string& key, const std::string& expected, const Json& found) {
  std::string shown = found.is_null() ? "nothing" : found.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (shown.size() > 60) shown = shown.substr(0, 60) + "...";
  return make_error(
      ErrorCode::bad_format,
      fmt::format("preprocessor_config.json: '{}': expected {}, found {}", key, expected, shown));
}

class Reader {
 public:
  explicit Reader(const Json& config) : config_(config) {}

  [[nodiscard]] const Json* find(const char* key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }
  Result<bool> flag(const char* key, bool fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_boolean()) return wrong(key, "true or false", *value);
    return value->get<bool>();
  }
  Result<double> number(const char* key, double fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number() || !std::isfinite(value->get<double>())) return wrong(key, "a number", *value);
    return value->get<double>();
  }
  // One number for all channels, or one for each of three.
  Result<std::array<double, 3>> colours(const char* key, std::array<double, 3> fallback,
                                        bool positive) const {
    const Json* value = find(key);
    if (!value) return fallback;
    const auto fits = [&](const Json& v) {
      return v.is_number() && std::isfinite(v.get<double>()) && (!positive || v.get<double>() > 0.0);
    };
    if (fits(*value)) return std::array{value->get<double>(), value->get<double>(), value->get<double>()};
    if (!value->is_array() || value->size() != 3 || !std::all_of(value->begin(), value->end(), fits))
      return wrong(key, positive ? "three positive numbers" : "three numbers", *value);
    return value->get<std::array<double, 3>>();
  }

 private:
  const Json& config_;
};

Result<int32_t> side(const std::string& key, const Json& value) {
  if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<int64_t>() > 65536)
    return wrong(key, "a whole number from 1 to 65536", value);
  return static_cast<int32_t>(value.get<int64_t>());
}

// A lone number, [height, width], or an object with the sides' names.
Result<ResizeRule> size_rule(const std::string& key, const Json& value, bool number_is_edge) {
  ResizeRule rule;
  const auto pair = [&](const Json& height, const Json& width) -> Result<ImageSize> {
    ImageSize size;
    SACCADE_TRY(size.height, side(key + ".height", height));
    SACCADE_TRY(size.width, side(key + ".width", width));
    return size;
  };
  if (value.is_number()) {
    SACCADE_TRY(const int32_t one, side(key, value));
    if (number_is_edge)
      rule.shortest_edge = one;
    else
      rule.exact = ImageSize{one, one};
    return rule;
  }
  if (value.is_array() && value.size() == 2) {
    SACCADE_TRY(rule.exact, pair(value[0], value[1]));
    return rule;
  }
  const auto given = [&](const char* name) {
    return value.is_object() && value.contains(name) && !value[name].is_null();
  };
  if (given("height") && given("width")) {
    SACCADE_TRY(rule.exact, pair(value["height"], value["width"]));
  } else if (given("max_height") && given("max_width")) {
    SACCADE_TRY(rule.at_most, pair(value["max_height"], value["max_width"]));
  } else if (given("shortest_edge")) {
    SACCADE_TRY(rule.shortest_edge, side(key + ".shortest_edge", value["shortest_edge"]));
    if (given("longest_edge")) {
      SACCADE_TRY(rule.longest_edge, side(key + ".longest_edge", value["longest_edge"]));
    }
  } else {
    return wrong(key, "height and width, max_height and max_width, or shortest_edge", value);
  }
  return rule;
}

Result<ImageSize> exact_size(const std::string& key, const Json& value) {
  SACCADE_TRY(const ResizeRule rule, size_rule(key, value, false));
  if (!rule.exact) return wrong(key, "height and width", value);
  return *rule.exact;
}

Result<const Known*> known_type(const Json& config, std::string_view model_type, std::string& type) {
  for (const char* key : {"image_processor_type", "feature_extractor_type"})
    if (const auto found = config.find(key); type.empty() && found != config.end() && found->is_string())
      type = found->get<std::string>();
  std::string names;
  for (const Known& one : known) {
    if (type.empty() && !model_type.empty() && model_type == one.model_type) {
      type = std::string(one.type) + "ImageProcessor";
      return &one;
    }
    for (const char* ending :
         {"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"})
      if (type == std::string(one.type) + ending) return &one;
    names += fmt::format("{}{}ImageProcessor", names.empty() ? "" : ", ", one.type);
  }
  Error error = wrong("image_processor_type", "one of " + names, type.empty() ? Json() : Json(type));
  error.code = ErrorCode::unsupported;
  return error;
}

Result<int64_t> pixels(const std::string& key, const Json& value) {
  if (!value.is_number_integer() || value.get<int64_t>() < 1)
    return wrong(key, "a positive number of pixels", value);
  return value.get<int64_t>();
}

// Bounds under min_pixels and max_pixels, or, newer, as the edges of `size`; the first win.
Result<SmartResize> read_smart_resize(const Reader& reader) {
  SmartResize made;
  if (const Json* size = reader.find("size")) {
    const auto bound = [&](const char* newer, const char* older, int64_t& to) -> Result<void> {
      const std::string name =
          size->is_object() && size->contains(older) && !size->contains(newer) ? older : newer;
      if (!size->is_object() || !size->contains(name))
        return wrong("size", "shortest_edge and longest_edge, numbers of pixels", *size);
      SACCADE_TRY(to, pixels("size." + name, (*size)[name]));
      return {};
    };
    SACCADE_CHECK(bound("shortest_edge", "min_pixels", made.least_pixels));
    SACCADE_CHECK(bound("longest_edge", "max_pixels", made.most_pixels));
  }
  if (const Json* least = reader.find("min_pixels")) {
    SACCADE_TRY(made.least_pixels, pixels("min_pixels", *least));
  }
  if (const Json* most = reader.find("max_pixels")) {
    SACCADE_TRY(made.most_pixels, pixels("max_pixels", *most));
  }
  int64_t factor = 1;
  for (const auto& [key, usual] : {std::pair("patch_size", 14), std::pair("merge_size", 2)}) {
    const Json* given = reader.find(key);
    SACCADE_TRY(const int32_t one, side(key, given ? *given : Json(usual)));
    factor *= one;
  }
  if (factor > 65536) return wrong("patch_size", "a patch of at most 65536 pixels a side, merged", factor);
  made.factor = static_cast<int32_t>(factor);
  return made;
}

Result<ResampleFilter> read_filter(const Reader& reader, const Known& defaults) {
  SACCADE_TRY(const double filter, reader.number("resample", static_cast<int>(defaults.filter)));
  if (filter != std::floor(filter) || filter < 0 || filter > static_cast<int>(ResampleFilter::hamming))
    return wrong("resample", "a filter of Pillow's, 0 to 5", filter);
  return static_cast<ResampleFilter>(static_cast<int>(filter));
}

Result<void> read_sizes(const Reader& reader, const Known& defaults, ImageProcessor& made) {
  SACCADE_TRY(const bool resizes, reader.flag("do_resize", true));
  const bool smart = std::string_view(defaults.type).starts_with("Qwen2");
  if (resizes && smart) {
    made.resize = ResizeRule();
    SACCADE_TRY(made.resize->smart, read_smart_resize(reader));
  } else if (resizes) {
    const Json silent = defaults.size_is_edge && defaults.type != std::string_view("Siglip")
                            ? Json{{"shortest_edge", defaults.size}}
                            : Json{{"height", defaults.size}, {"width", defaults.size}};
    const Json* given = reader.find("size");
    SACCADE_TRY(made.resize, size_rule("size", given ? *given : silent, defaults.size_is_edge));
  }
  SACCADE_TRY(const bool crops, reader.flag("do_center_crop", defaults.crop > 0));
  if (crops) {
    const Json* given = reader.find("crop_size");
    const Json silent = defaults.crop > 0 ? Json(defaults.crop) : Json();
    SACCADE_TRY(made.crop, exact_size("crop_size", given ? *given : silent));
  }
  SACCADE_TRY(const bool pads, reader.flag("do_pad", false));
  if (pads && defaults.type == std::string_view("Llava")) {
    made.pads_to_square = true;
  } else if (const Json* size = reader.find("pad_size"); pads && size) {
    SACCADE_TRY(made.pad, exact_size("pad_size", *size));
  }
  SACCADE_TRY(made.filter, read_filter(reader, defaults));
  return {};
}

}  // namespace

Result<ImageProcessor> ImageProcessor::from_json(const Json& config, std::string_view model_type) {
  if (!config.is_object()) return wrong("", "an object", config);
  ImageProcessor made;
  SACCADE_TRY(const Known* defaults, known_type(config, model_type, made.type));
  const Reader reader(config);
  if (is_tiled(defaults->type)) {
    SACCADE_TRY(made.tiles, read_tiles(config, defaults->type));
    SACCADE_TRY(made.filter, read_filter(reader, *defaults));
  } else {
    SACCADE_CHECK(read_sizes(reader, *defaults, made));
  }
  SACCADE_TRY(const bool rescales, reader.flag("do_rescale", true));
  SACCADE_TRY(made.rescale, reader.number("rescale_factor", 1.0 / 255.0));
  if (!rescales) made.rescale = 1.0;
  SACCADE_TRY(const bool normalises, reader.flag("do_normalize", true));
  SACCADE_TRY(const auto mean, reader.colours("image_mean", defaults->mean, false));
  SACCADE_TRY(const auto deviation, reader.colours("image_std", defaults->deviation, true));
  if (normalises) {
    made.mean = mean;
    made.deviation = deviation;
  }
  return made;
}

Result<ImageProcessor> ImageProcessor::open(const std::filesystem::path& folder,
                                            std::string_view model_type) {
  std::error_code failed;
  for (const char* name : {"preprocessor_config.json", "processor_config.json"}) {
    if (!std::filesystem::exists(folder / name, failed)) continue;
    SACCADE_TRY(const std::string text, read_text_file(folder / name, size_t{1} << 20));
    Json config = Json::parse(text, nullptr, false);
    if (config.is_discarded())
      return make_error(ErrorCode::bad_format, fmt::format("{}: expected JSON", name));
    if (config.is_object() && config.contains("image_processor")) config = config["image_processor"];
    auto made = from_json(config, model_type);
    if (!made.ok()) return std::move(made).error();
    return made;
  }
  return make_error(ErrorCode::not_found,
                    "there is no preprocessor_config.json, which says how pictures become numbers");
}

}  // namespace saccade
