#include "analysis/images/regions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/images/read_picture.h"
#include "analysis/prompts/csv.h"
#include "core/base/files.h"

namespace saccade {
namespace {

using Json = nlohmann::json;
constexpr size_t most_colours = 64;

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, what); }

bool to_number(std::string_view text, double& value) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

Result<PictureBox> box_of(const std::array<double, 4>& edges, const std::string& where) {
  const PictureBox box{edges[0], edges[1], edges[2], edges[3]};
  if (box.left < box.right && box.top < box.bottom) return box;
  return bad(fmt::format("{}: expected left < right and top < bottom, found {},{},{},{}", where, box.left,
                         box.top, box.right, box.bottom));
}

void add(std::vector<PictureRegion>& regions, const std::string& name, const PictureBox& box) {
  auto known = std::find_if(regions.begin(), regions.end(), [&](const auto& r) { return r.name == name; });
  if (known == regions.end()) {
    regions.push_back({name, {}, {}, 0});
    known = regions.end() - 1;
  }
  known->boxes.push_back(box);
}

Result<PictureBox> box_from(const Json& json, const std::string& where) {
  std::array<double, 4> edges{};
  if (!json.is_array() || json.size() != 4)
    return bad(fmt::format("{}: expected a box [left, top, right, bottom]", where));
  for (size_t i = 0; i < 4; ++i) {
    if (!json[i].is_number()) return bad(fmt::format("{}: expected numbers in a box", where));
    edges[i] = json[i].get<double>();
  }
  return box_of(edges, where);
}

Result<std::vector<PictureRegion>> from_json(const std::string& text, const std::string& path) {
  const Json document = Json::parse(text, nullptr, false);
  std::vector<PictureRegion> regions;
  if (document.is_object()) {
    for (const auto& [name, boxes] : document.items()) {
      const bool one = boxes.is_array() && !boxes.empty() && boxes[0].is_number();
      const Json list = one ? Json::array({boxes}) : boxes;
      if (!list.is_array()) return bad(fmt::format("{}: '{}': expected a list of boxes", path, name));
      for (const Json& item : list) {
        SACCADE_TRY(const PictureBox box, box_from(item, fmt::format("{}: '{}'", path, name)));
        add(regions, name, box);
      }
    }
  } else if (document.is_array()) {
    for (const Json& item : document) {
      if (!item.is_object() || !item.contains("name") || !item["name"].is_string() || !item.contains("box"))
        return bad(path + R"(: expected objects {"name": ..., "box": [left, top, right, bottom]})");
      const auto name = item["name"].get<std::string>();
      SACCADE_TRY(const PictureBox box, box_from(item["box"], fmt::format("{}: '{}'", path, name)));
      add(regions, name, box);
    }
  } else {
    return bad(path + ": expected a JSON list or object of boxes");
  }
  return regions;
}

Result<std::vector<PictureRegion>> from_csv(const std::string& text, const std::string& path) {
  SACCADE_TRY(const Json table, csv_document(path, text));
  constexpr std::array names{"left", "top", "right", "bottom"};
  std::vector<PictureRegion> regions;
  for (size_t row = 0; row < table.size(); ++row) {
    const Json& cells = table[row];
    for (const char* name : {"name", "left", "top", "right", "bottom"})
      if (!cells.contains(name))
        return bad(fmt::format("{}: expected the columns name, left, top, right, bottom; there is no '{}'",
                               path, name));
    std::array<double, 4> edges{};
    const std::string where = fmt::format("{}: row {}", path, row + 2);
    for (size_t i = 0; i < names.size(); ++i)
      if (const auto cell = cells[names[i]].get<std::string>(); !to_number(cell, edges[i]))
        return bad(fmt::format("{}: {} is '{}', not a number", where, names[i], cell));
    SACCADE_TRY(const PictureBox box, box_of(edges, where));
    add(regions, cells["name"].get<std::string>(), box);
  }
  return regions;
}

Result<std::vector<PictureRegion>> from_mask(const std::filesystem::path& path) {
  SACCADE_TRY(const Picture mask, read_picture(path));
  std::map<uint32_t, size_t> colours;
  for (size_t i = 0; i + 2 < mask.rgb.size(); i += 3) {
    const uint32_t colour = uint32_t{mask.rgb[i]} << 16 | uint32_t{mask.rgb[i + 1]} << 8 | mask.rgb[i + 2];
    if (colour != 0) ++colours[colour];
    if (colours.size() > most_colours)
      return bad(
          fmt::format("{}: more than {} colours; a mask has one flat colour per region (save it "
                      "without loss, as PNG)",
                      path.string(), most_colours));
  }
  std::vector<PictureRegion> regions;
  for (const auto& [colour, count] : colours)
    regions.push_back({colours.size() == 1 ? "mask" : fmt::format("#{:06x}", colour), {}, mask, colour});
  return regions;
}

// The area of the union of boxes inside a rectangle, by the grid that their edges make.
double covered(const std::vector<PictureBox>& boxes, const PictureBox& within) {
  std::vector<PictureBox> inside;
  for (const PictureBox& box : boxes) {
    const PictureBox cut{std::max(box.left, within.left), std::max(box.top, within.top),
                         std::min(box.right, within.right), std::min(box.bottom, within.bottom)};
    if (cut.left < cut.right && cut.top < cut.bottom) inside.push_back(cut);
  }
  std::vector<double> xs, ys;
  for (const PictureBox& box : inside) {
    xs.insert(xs.end(), {box.left, box.right});
    ys.insert(ys.end(), {box.top, box.bottom});
  }
  std::sort(xs.begin(), xs.end());
  std::sort(ys.begin(), ys.end());
  double area = 0.0;
  for (size_t i = 0; i + 1 < xs.size(); ++i)
    for (size_t j = 0; j + 1 < ys.size(); ++j)
      if (std::any_of(inside.begin(), inside.end(), [&](const PictureBox& box) {
            return box.left <= xs[i] && xs[i + 1] <= box.right && box.top <= ys[j] && ys[j + 1] <= box.bottom;
          }))
        area += (xs[i + 1] - xs[i]) * (ys[j + 1] - ys[j]);
  return area;
}

// The pixels of the mask by the patch that holds their centre.
std::vector<double> masked(const PictureRegion& region, const ImageRegion& image) {
  const ImageGeometry& g = image.geometry;
  std::vector<double> share(static_cast<size_t>(image.grid_height) * static_cast<size_t>(image.grid_width));
  const double pixel = g.scale_x * g.scale_y / (double{1} * image.patch_width * image.patch_height);
  for (int32_t y = 0; y < g.original_height; ++y)
    for (int32_t x = 0; x < g.original_width; ++x) {
      const size_t at =
          3 * (static_cast<size_t>(y) * static_cast<size_t>(g.original_width) + static_cast<size_t>(x));
      const auto& rgb = region.mask.rgb;
      if ((uint32_t{rgb[at]} << 16 | uint32_t{rgb[at + 1]} << 8 | rgb[at + 2]) != region.colour) continue;
      const double column = std::floor((g.scale_x * (x + 0.5) + g.offset_x) / image.patch_width);
      const double row = std::floor((g.scale_y * (y + 0.5) + g.offset_y) / image.patch_height);
      if (column < 0.0 || row < 0.0 || column >= image.grid_width || row >= image.grid_height) continue;
      share[static_cast<size_t>(row) * static_cast<size_t>(image.grid_width) + static_cast<size_t>(column)] +=
          pixel;
    }
  for (double& one : share) one = std::min(one, 1.0);
  return share;
}

}  // namespace

Result<std::vector<PictureRegion>> parse_regions(const std::string& text) {
  std::vector<PictureRegion> regions;
  std::string_view left = text;
  while (!left.empty()) {
    const size_t end = std::min(left.find(';'), left.size());
    std::string_view item = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    if (item.empty()) continue;
    const size_t colon = item.rfind(':');
    const std::string where = fmt::format("region '{}'", item);
    std::array<double, 4> edges{};
    std::string_view numbers = colon == std::string_view::npos ? "" : item.substr(colon + 1);
    size_t count = 0;
    for (; count < 4 && !numbers.empty(); ++count) {
      const size_t comma = std::min(numbers.find(','), numbers.size());
      if (!to_number(numbers.substr(0, comma), edges[count])) break;
      numbers.remove_prefix(std::min(comma + 1, numbers.size()));
    }
    if (colon == 0 || count != 4 || !numbers.empty())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{}: expected name:left,top,right,bottom in pixels of the picture", where));
    SACCADE_TRY(const PictureBox box, box_of(edges, where));
    add(regions, std::string(item.substr(0, colon)), box);
  }
  return regions;
}

Result<std::vector<PictureRegion>> read_regions(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  if (ending != ".json" && ending != ".csv") return from_mask(path);
  SACCADE_TRY(const std::string text, read_text_file(path));
  return ending == ".json" ? from_json(text, path.string()) : from_csv(text, path.string());
}

Result<std::vector<double>> coverage_of(const PictureRegion& region, const ImageRegion& image) {
  const ImageGeometry& g = image.geometry;
  std::vector<double> share;
  if (region.boxes.empty()) {
    if (region.mask.width != g.original_width || region.mask.height != g.original_height)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("the mask has {} x {} pixels, the picture {} x {}: they must be equal",
                      region.mask.width, region.mask.height, g.original_width, g.original_height));
    share = masked(region, image);
  } else {
    const PictureBox picture{0.0, 0.0, double(g.original_width), double(g.original_height)};
    for (int64_t patch = 0; patch < int64_t{image.grid_height} * image.grid_width; ++patch) {
      const PatchRect rect = rect_of(image, patch);
      const PictureBox within{std::max(rect.x, picture.left), std::max(rect.y, picture.top),
                              std::min(rect.x + rect.width, picture.right),
                              std::min(rect.y + rect.height, picture.bottom)};
      share.push_back(covered(region.boxes, within) / (rect.width * rect.height));
    }
  }
  if (std::any_of(share.begin(), share.end(), [](double one) { return one > 0.0; })) return share;
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("region '{}' covers nothing of what the model sees of the picture ({} x {} "
                                "pixels)",
                                region.name, g.original_width, g.original_height));
}

}  // namespace saccade
