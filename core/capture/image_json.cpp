#include "core/capture/image_json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

using Json = nlohmann::json;
constexpr int64_t largest = 1 << 24;

Error bad(const std::string& key, const std::string& expected) {
  return make_error(ErrorCode::bad_format, fmt::format("images: '{}': expected {}", key, expected));
}

template <class Number>
Result<void> whole(const Json& json, const char* key, int64_t least, int64_t most, Number& value) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_integer() || found->get<int64_t>() < least ||
      found->get<int64_t>() > most)
    return bad(key, fmt::format("a whole number from {} to {}", least, most));
  value = static_cast<Number>(found->get<int64_t>());
  return {};
}

Result<void> real(const Json& json, const char* key, double& value) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number() || !std::isfinite(found->get<double>()))
    return bad(key, "a finite number");
  value = found->get<double>();
  return {};
}

Result<ImageRegion> region_from(const Json& json, int64_t first, int64_t n_token) {
  ImageRegion region;
  ImageGeometry& g = region.geometry;
  if (!json.is_object()) return bad("", "a list of objects");
  SACCADE_CHECK(whole(json, "begin", first, n_token, region.begin));
  SACCADE_CHECK(whole(json, "prefix", 0, n_token, region.n_prefix));
  SACCADE_CHECK(whole(json, "grid_height", 1, n_token, region.grid_height));
  SACCADE_CHECK(whole(json, "grid_width", 1, n_token, region.grid_width));
  for (const auto& [key, value] : {std::pair{"row_extra", &region.row_extra}, {"picture", &region.picture}})
    if (json.contains(key)) SACCADE_CHECK(whole(json, key, 0, n_token, *value));  // older dumps lack them
  if (region.end() > n_token) return bad("grid_height", fmt::format("a grid within {} positions", n_token));
  SACCADE_CHECK(whole(json, "patch_height", 1, largest, region.patch_height));
  SACCADE_CHECK(whole(json, "patch_width", 1, largest, region.patch_width));
  SACCADE_CHECK(whole(json, "original_width", 1, largest, g.original_width));
  SACCADE_CHECK(whole(json, "original_height", 1, largest, g.original_height));
  SACCADE_CHECK(whole(json, "width", 1, largest, g.width));
  SACCADE_CHECK(whole(json, "height", 1, largest, g.height));
  SACCADE_CHECK(real(json, "scale_x", g.scale_x));
  SACCADE_CHECK(real(json, "scale_y", g.scale_y));
  SACCADE_CHECK(real(json, "offset_x", g.offset_x));
  SACCADE_CHECK(real(json, "offset_y", g.offset_y));
  if (!(g.scale_x > 0.0) || !(g.scale_y > 0.0)) return bad("scale_x", "a positive number");
  if (json.contains("name") && json["name"].is_string()) region.name = json["name"].get<std::string>();
  return region;
}

}  // namespace

Json images_to_json(const std::vector<ImageRegion>& images) {
  Json list = Json::array();
  for (const ImageRegion& region : images) {
    const ImageGeometry& g = region.geometry;
    list.push_back({{"begin", region.begin},
                    {"prefix", region.n_prefix},
                    {"grid_height", region.grid_height},
                    {"grid_width", region.grid_width},
                    {"row_extra", region.row_extra},
                    {"picture", region.picture},
                    {"patch_height", region.patch_height},
                    {"patch_width", region.patch_width},
                    {"original_width", g.original_width},
                    {"original_height", g.original_height},
                    {"width", g.width},
                    {"height", g.height},
                    {"scale_x", g.scale_x},
                    {"scale_y", g.scale_y},
                    {"offset_x", g.offset_x},
                    {"offset_y", g.offset_y},
                    {"name", region.name}});
  }
  return list;
}

Result<std::vector<ImageRegion>> images_from_json(const Json& document, int64_t n_token) {
  if (!document.is_array()) return bad("", "a list");
  std::vector<ImageRegion> images;
  for (const Json& one : document) {
    SACCADE_TRY(ImageRegion region, region_from(one, images.empty() ? 0 : images.back().end(), n_token));
    if (!one.contains("picture")) region.picture = static_cast<int32_t>(images.size());
    images.push_back(std::move(region));
  }
  return images;
}

}  // namespace saccade
