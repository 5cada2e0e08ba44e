#include "core/tokens/json_item.h"

#include <fmt/format.h>

namespace saccade::tokens {
namespace {

constexpr int max_depth = 64;

const Json& null_value() {
  static const Json value;
  return value;
}

// First byte where brackets are open deeper than max_depth.
std::optional<size_t> find_too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return at;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return std::nullopt;
}

std::string excerpt(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (const auto deep = find_too_deep(text)) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the JSON is nested deeper than {} levels at byte {}", max_depth, *deep));
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return make_error(
        ErrorCode::bad_format,
        fmt::format("the file is not valid JSON: it goes wrong at byte {} of {}", error.byte, text.size()));
  } catch (const Json::exception& error) {
    return make_error(ErrorCode::bad_format, fmt::format("the file is not valid JSON: {}", error.what()));
  }
}

JsonItem JsonItem::operator[](std::string_view key) const {
  std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  if (value_->is_object()) {
    const auto found = value_->find(key);
    if (found != value_->end()) return {*found, std::move(path)};
  }
  return {null_value(), std::move(path)};
}

JsonItem JsonItem::operator[](size_t index) const {
  return {(*value_)[index], fmt::format("{}[{}]", path_, index)};
}

Result<size_t> JsonItem::array_size() const {
  if (!value_->is_array()) return expected("an array");
  return value_->size();
}

Error JsonItem::expected(std::string_view what) const {
  return make_error(ErrorCode::bad_format,
                    fmt::format("{}: expected {}, found {}", path_, what, excerpt(*value_)));
}

Result<bool> JsonItem::boolean(std::optional<bool> fallback) const {
  if (is_null() && fallback) return *fallback;
  if (!value_->is_boolean()) return expected("true or false");
  return value_->get<bool>();
}

Result<std::string> JsonItem::string(std::optional<std::string> fallback) const {
  if (is_null() && fallback) return std::move(*fallback);
  if (!value_->is_string()) return expected("text");
  return value_->get_ref<const std::string&>();
}

Result<int64_t> JsonItem::integer(std::optional<int64_t> fallback) const {
  if (is_null() && fallback) return *fallback;
  if (!value_->is_number_integer()) return expected("a whole number");
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return expected("a whole number below 2^63");
  }
  return value_->get<int64_t>();
}

Result<std::string> JsonItem::type() const {
  if (!value_->is_object()) return expected("an object with a \"type\"");
  return (*this)["type"].string();
}

}  // namespace saccade::tokens
