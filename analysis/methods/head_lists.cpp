#include "analysis/methods/head_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

class ListReader {
 public:
  ListReader(std::string file, const ModelSpec& spec, int32_t first_layer)
      : file_(std::move(file)), spec_(spec), first_layer_(first_layer) {}

  Result<void> read(const json& document) {
    if (document.is_object()) {
      for (const auto& [key, value] : document.items()) SACCADE_CHECK(entry(key, value));
      return {};
    }
    int64_t layer = first_layer_;
    for (const json& value : document) {
      if (value.is_string()) {
        SACCADE_CHECK(name(value.get<std::string>()));
      } else {
        SACCADE_CHECK(heads_of_layer(layer++, value));
      }
    }
    return {};
  }
  Result<void> read_names(const std::string& text) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find_first_of(" ,\t\r\n", begin), text.size());
      if (end > begin) SACCADE_CHECK(name(text.substr(begin, end - begin)));
      begin = end + 1;
    }
    return {};
  }
  [[nodiscard]] std::vector<HeadId> heads() const { return {heads_.begin(), heads_.end()}; }

 private:
  [[nodiscard]] Error bad(const std::string& what) const {
    return make_error(ErrorCode::bad_format, file_ + ": " + what);
  }
  Result<void> add(int64_t layer, int64_t head) {
    if (layer < 0 || layer >= spec_.n_layer || head < 0 || head >= spec_.n_head)
      return bad(
          fmt::format("head {}.{} is none of this model's {} layers of {} heads; the list is for "
                      "another model, or begins at another layer than {}",
                      layer, head, spec_.n_layer, spec_.n_head, first_layer_));
    heads_.insert({LayerIndex{static_cast<int32_t>(layer)}, HeadIndex{static_cast<int32_t>(head)}});
    return {};
  }
  Result<void> name(const std::string& text) {
    SACCADE_TRY(const HeadId head, parse_head(text));
    return add(head.layer.value, head.head.value);
  }
  Result<void> heads_of_layer(int64_t layer, const json& list) {
    if (!list.is_array()) return bad(fmt::format("expected a list of heads, found {}", list.dump()));
    for (const json& head : list) {
      if (!head.is_number_integer())
        return bad(fmt::format("expected a head's number in layer {}, found {}", layer, head.dump()));
      SACCADE_CHECK(add(layer, head.get<int64_t>()));
    }
    return {};
  }
  Result<void> entry(const std::string& key, const json& value) {
    int64_t layer = 0, head = 0;
    const char *begin = key.data(), *end = begin + key.size();
    const auto first = std::from_chars(begin, end, layer);
    if (first.ec == std::errc{} && first.ptr == end) return heads_of_layer(layer, value);
    if (first.ec == std::errc{} && *first.ptr == '-') {
      const auto second = std::from_chars(first.ptr + 1, end, head);
      if (second.ec == std::errc{} && second.ptr == end) return add(layer, head);
    }
    return bad(fmt::format("'{}' is neither a layer nor layer-head", key));
  }

  std::string file_;
  const ModelSpec& spec_;
  int32_t first_layer_;
  std::set<HeadId> heads_;
};

}  // namespace

Result<std::vector<HeadId>> read_head_list(const std::filesystem::path& path, const ModelSpec& spec,
                                           int32_t first_layer) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  ListReader reader(path.string(), spec, first_layer);
  const json document = json::parse(text, nullptr, false);
  if (document.is_array() || document.is_object()) {
    SACCADE_CHECK(reader.read(document));
  } else if (auto names = reader.read_names(text); !names.ok()) {
    return std::move(names).error().with(path.string());
  }
  std::vector<HeadId> heads = reader.heads();
  if (heads.empty()) return make_error(ErrorCode::bad_format, path.string() + ": it names no heads");
  return heads;
}

}  // namespace saccade
