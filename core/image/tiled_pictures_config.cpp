// read_tiles(): what preprocessor_config.json says of tiles.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/image/tiled_pictures.h"

namespace saccade {
namespace {

using Json = nlohmann::json;
constexpr int64_t longest = 16384;

Error wrong(const std::string& key, const std::string& expected, const Json& found) {
  std::string shown = found.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (shown.size() > 60) shown = shown.substr(0, 60) + "...";
  return make_error(
      ErrorCode::bad_format,
      fmt::format("preprocessor_config.json: '{}': expected {}, found {}", key, expected, shown));
}

bool is_side(const Json& value) {
  return value.is_number_integer() && value.get<int64_t>() >= 1 && value.get<int64_t>() <= longest;
}

// A number, or an object with one of the names.
Result<int32_t> side_of(const Json& config, const char* key, std::initializer_list<const char*> names,
                        int32_t fallback) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return fallback;
  if (is_side(*found)) return found->get<int32_t>();
  for (const char* name : names)
    if (found->is_object() && found->contains(name) && is_side((*found)[name]))
      return (*found)[name].get<int32_t>();
  return wrong(key, fmt::format("a whole number from 1 to {}, as '{}'", longest, *names.begin()), *found);
}

Result<bool> flag(const Json& config, const char* key, bool fallback) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return fallback;
  if (!found->is_boolean()) return wrong(key, "true or false", *found);
  return found->get<bool>();
}

Result<TileRule> read_best_fitting(const Json& config) {
  TileRule rule;
  SACCADE_TRY(rule.side, side_of(config, "crop_size", {"height"}, 224));
  SACCADE_TRY(const int32_t size, side_of(config, "size", {"shortest_edge", "height"}, 224));
  for (const char* key : {"crop_size", "size"})
    if (const auto found = config.find(key); found != config.end() && found->is_object() &&
                                             found->contains("width") && (*found)["width"] != rule.side)
      return wrong(std::string(key) + ".width", fmt::format("{}: tiles are square", rule.side),
                   (*found)["width"]);
  if (size != rule.side) return wrong("size", fmt::format("{}, the side of 'crop_size'", rule.side), size);
  const Json usual = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  const auto found = config.find("image_grid_pinpoints");
  const Json& given = found == config.end() || found->is_null() ? usual : *found;
  if (!given.is_array() || given.empty()) return wrong("image_grid_pinpoints", "a list of sizes", given);
  for (const Json& one : given) {
    if (!one.is_array() || one.size() != 2 || !is_side(one[0]) || !is_side(one[1]) ||
        one[0].get<int32_t>() % rule.side != 0 || one[1].get<int32_t>() % rule.side != 0)
      return wrong("image_grid_pinpoints", fmt::format("[height, width] in multiples of {}", rule.side), one);
    rule.resolutions.push_back({one[0].get<int32_t>(), one[1].get<int32_t>()});
  }
  return rule;
}

Result<TileRule> read_rows(const Json& config) {
  TileRule rule;
  SACCADE_TRY(rule.side, side_of(config, "max_image_size", {"longest_edge"}, 364));
  SACCADE_TRY(rule.splits, flag(config, "do_image_splitting", true));
  SACCADE_TRY(const bool resizes, flag(config, "do_resize", true));
  if (resizes) {
    SACCADE_TRY(rule.longest_edge, side_of(config, "size", {"longest_edge"}, 4 * 364));
  }
  return rule;
}

}  // namespace

bool is_tiled(std::string_view type) {
  return type == "LlavaNext" || type == "Idefics3" || type == "SmolVLM";
}

Result<TileRule> read_tiles(const Json& config, std::string_view type) {
  return type == "LlavaNext" ? read_best_fitting(config) : read_rows(config);
}

}  // namespace saccade
