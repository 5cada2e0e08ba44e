#include "plugins/host/manifest_parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/host/plugin_text.h"

namespace saccade::plugins {
namespace {

using nlohmann::json;
using tokens::JsonItem;

constexpr double largest_integer = 9007199254740992.0;  // 2^53: every whole number up to it is a double

bool is_of_type(const json& value, const std::string& type) {
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer() && std::abs(value.get<double>()) <= largest_integer;
  if (type == "number") return value.is_number() && std::isfinite(value.get<double>());
  return value.is_string();
}

Result<void> read_range(const JsonItem& item, const std::string& type, ParameterInfo& parameter) {
  const JsonItem minimum = item["minimum"], maximum = item["maximum"];
  if (minimum.is_null() && maximum.is_null()) return {};
  if (type != "integer" && type != "number")
    return item.expected("no minimum and maximum beside a type that is no number");
  if (minimum.is_null() || !is_of_type(minimum.json(), type)) return minimum.expected("a number of the type");
  if (maximum.is_null() || !is_of_type(maximum.json(), type)) return maximum.expected("a number of the type");
  parameter.minimum = minimum.json().get<double>();
  parameter.maximum = maximum.json().get<double>();
  if (!(parameter.minimum < parameter.maximum)) return maximum.expected("a maximum above the minimum");
  const auto value = parameter.default_value.get<double>();
  if (value < parameter.minimum || value > parameter.maximum)
    return item["default"].expected("a default between minimum and maximum");
  return {};
}

Result<void> read_choices(const JsonItem& item, const std::string& type, ParameterInfo& parameter) {
  const JsonItem choices = item["choices"];
  if (choices.is_null()) return {};
  if (type != "text") return choices.expected("no choices beside a type that is no text");
  SACCADE_TRY(const size_t count, choices.array_size());
  if (count < 1 || count > 64) return choices.expected("1 to 64 choices");
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(std::string text, read_text(choices[i], longest_name));
    parameter.choices.push_back(std::move(text));
  }
  const auto value = parameter.default_value.get<std::string>();
  if (std::find(parameter.choices.begin(), parameter.choices.end(), value) == parameter.choices.end())
    return item["default"].expected("one of the choices");
  return {};
}

}  // namespace

Result<void> only_members(const JsonItem& item, std::initializer_list<std::string_view> known) {
  if (!item.json().is_object()) return item.expected("an object");
  for (const auto& [key, value] : item.json().items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      return make_error(ErrorCode::bad_format, fmt::format("{}unknown member '{}'; there are {}",
                                                           item.path().empty() ? "" : item.path() + ": ",
                                                           shown(key), fmt::join(known, ", ")));
  return {};
}

Result<std::string> read_name(const JsonItem& item) {
  SACCADE_TRY(std::string name, item.string());
  if (!is_name(name)) return item.expected("a name of letters, digits, '_' and '-'");
  return name;
}

Result<std::string> read_text(const JsonItem& item, size_t longest, std::optional<std::string> fallback) {
  const bool needed = !fallback.has_value();
  SACCADE_TRY(std::string text, item.string(std::move(fallback)));
  if (needed && text.empty()) return item.expected("a text that is not empty");
  const Result<void> fits = check_text(text, longest);
  if (!fits.ok())
    return make_error(ErrorCode::bad_format, fmt::format("{} {}", item.path(), fits.error().message));
  return text;
}

Result<ParameterInfo> read_parameter(const JsonItem& item) {
  SACCADE_CHECK(
      only_members(item, {"name", "label", "help", "type", "default", "minimum", "maximum", "choices"}));
  ParameterInfo parameter;
  SACCADE_TRY(parameter.name, read_name(item["name"]));
  SACCADE_TRY(parameter.label, read_text(item["label"], longest_name, parameter.name));
  SACCADE_TRY(parameter.help, read_text(item["help"], 2048, ""));
  SACCADE_TRY(const std::string type, item["type"].string());
  constexpr std::array types{"integer", "number", "boolean", "text", "file"};
  if (std::find(types.begin(), types.end(), type) == types.end())
    return item["type"].expected("integer, number, boolean, text or file");
  const JsonItem given = item["default"];
  if (given.is_null() || !is_of_type(given.json(), type))
    return given.expected(fmt::format("a default of type {}", type));
  if (given.json().is_string()) {
    SACCADE_TRY(parameter.default_value, read_text(given, 4096, ""));
  } else if (type == "number") {
    parameter.default_value = given.json().get<double>();  // 1 is a number, too
  } else if (type == "integer") {
    parameter.default_value = given.json().get<int64_t>();
  } else {
    parameter.default_value = given.json();
  }
  parameter.is_file = type == "file";
  SACCADE_CHECK(read_range(item, type, parameter));
  SACCADE_CHECK(read_choices(item, type, parameter));
  return parameter;
}

}  // namespace saccade::plugins
