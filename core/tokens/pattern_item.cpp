#include "core/tokens/pattern_item.h"

#include <fmt/format.h>

namespace saccade::tokens {

Result<Pattern> read_pattern(const JsonItem& item) {
  if (item.json().is_string()) return Pattern(item.json().get<std::string>());
  if (!item["String"].is_null()) {
    SACCADE_TRY(std::string literal, item["String"].string());
    return Pattern(std::move(literal));
  }
  if (!item["Regex"].is_null()) {
    SACCADE_TRY(const std::string expression, item["Regex"].string());
    auto regex = Regex::compile(expression);
    if (!regex.ok()) return std::move(regex).error().with(item.path());
    return Pattern(std::move(regex).value());
  }
  return item.expected("{\"String\": ...} or {\"Regex\": ...}");
}

Error unsupported_type(std::string_view stage, std::string_view type, const JsonItem& item) {
  return make_error(ErrorCode::unsupported,
                    fmt::format("{}: the {} \"{}\" is not supported", item.path(), stage, type));
}

}  // namespace saccade::tokens
