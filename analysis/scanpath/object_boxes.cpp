#include "analysis/scanpath/object_boxes.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace saccade {
namespace {

constexpr size_t most_boxes = 10'000;

Error bad_box(const std::string& what) {
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("{}: expected name:left,top,right,bottom in pixels, several joined by ';', or a "
                  "JSON file of boxes",
                  what));
}

Result<std::array<double, 4>> four_numbers(const std::string& text, const std::string& whole) {
  std::array<double, 4> numbers{};
  size_t at = 0;
  for (size_t i = 0; i < 4; ++i) {
    const size_t end = i < 3 ? text.find(',', at) : text.size();
    if (end == std::string::npos) return bad_box(fmt::format("box '{}' has fewer than four numbers", whole));
    const std::string part = text.substr(at, end - at);
    char* stopped = nullptr;
    numbers[i] = std::strtod(part.c_str(), &stopped);
    if (part.empty() || stopped != part.c_str() + part.size() || !std::isfinite(numbers[i]))
      return bad_box(fmt::format("box '{}': '{}' is no number", whole, part));
    at = end + 1;
  }
  return numbers;
}

Result<ObjectBox> box_of_text(const std::string& text, size_t index) {
  const size_t colon = text.rfind(':');
  ObjectBox box;
  box.name = colon == std::string::npos ? fmt::format("box {}", index + 1) : text.substr(0, colon);
  SACCADE_TRY(const auto numbers,
              four_numbers(colon == std::string::npos ? text : text.substr(colon + 1), text));
  box.left = numbers[0];
  box.top = numbers[1];
  box.right = numbers[2];
  box.bottom = numbers[3];
  return box;
}

Result<ObjectBox> box_of_list(std::string name, const nlohmann::json& list) {
  if (!list.is_array() || list.size() != 4)
    return bad_box(fmt::format("box '{}' is not a list of four numbers", name));
  for (const auto& number : list)
    if (!number.is_number()) return bad_box(fmt::format("box '{}' holds something that is no number", name));
  return ObjectBox{std::move(name), list[0].get<double>(), list[1].get<double>(), list[2].get<double>(),
                   list[3].get<double>()};
}

Result<ObjectBox> box_of_json(const nlohmann::json& item, size_t index) {
  if (item.is_array()) return box_of_list(fmt::format("box {}", index + 1), item);
  if (!item.is_object()) return bad_box(fmt::format("box {} is no object of JSON", index + 1));
  std::string name = fmt::format("box {}", index + 1);
  for (const char* key : {"label", "name"})
    if (const auto found = item.find(key); found != item.end() && found->is_string())
      name = found->get<std::string>();
  if (const auto found = item.find("box"); found != item.end()) return box_of_list(std::move(name), *found);
  auto list = nlohmann::json::array();
  for (const char* key : {"left", "top", "right", "bottom"}) {
    const auto found = item.find(key);
    if (found == item.end()) return bad_box(fmt::format("box '{}' has no \"{}\"", name, key));
    list.push_back(*found);
  }
  return box_of_list(std::move(name), list);
}

Result<std::vector<ObjectBox>> boxes_of_file(const std::filesystem::path& path) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded() || !(document.is_array() || document.is_object()))
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: no JSON list or object of boxes", path.filename().string()));
  if (document.size() > most_boxes)
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: {} boxes, at most {} are read", path.filename().string(),
                                  document.size(), most_boxes));
  std::vector<ObjectBox> boxes;
  if (document.is_array()) {
    for (const auto& item : document) {
      SACCADE_TRY(ObjectBox box, box_of_json(item, boxes.size()));
      boxes.push_back(std::move(box));
    }
    return boxes;
  }
  for (const auto& [name, list] : document.items()) {
    SACCADE_TRY(ObjectBox box, box_of_list(name, list));
    boxes.push_back(std::move(box));
  }
  return boxes;
}

Result<std::vector<ObjectBox>> boxes_of_text(const std::string& text) {
  std::vector<ObjectBox> boxes;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(';', at), text.size());
    const std::string part = text.substr(at, end - at);
    at = end + 1;
    if (part.find_first_not_of(' ') == std::string::npos) continue;
    SACCADE_TRY(ObjectBox box, box_of_text(part, boxes.size()));
    boxes.push_back(std::move(box));
  }
  return boxes;
}

}  // namespace

Result<std::vector<ObjectBox>> read_boxes(const std::string& text, PictureSize size) {
  std::error_code code;
  const bool is_file = !text.empty() && std::filesystem::is_regular_file(text, code);
  SACCADE_TRY(std::vector<ObjectBox> boxes, is_file ? boxes_of_file(text) : boxes_of_text(text));
  if (boxes.empty()) return bad_box("there are no boxes");
  for (const ObjectBox& box : boxes) {
    if (!(box.right > box.left && box.bottom > box.top))
      return bad_box(fmt::format("box '{}' from ({}, {}) to ({}, {}) has no area", box.name, box.left,
                                 box.top, box.right, box.bottom));
    if (size.known() &&
        (box.right <= 0.0 || box.bottom <= 0.0 || box.left >= static_cast<double>(size.width) ||
         box.top >= static_cast<double>(size.height)))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("box '{}' from ({}, {}) to ({}, {}) lies off the picture, which is {}",
                                    box.name, box.left, box.top, box.right, box.bottom, to_string(size)));
  }
  return boxes;
}

}  // namespace saccade
