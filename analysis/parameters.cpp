// Parameters of methods: the declared schema against what was given.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "analysis/method.h"

namespace saccade {
namespace {

using nlohmann::json;

const char* type_name(const json& example) {
  if (example.is_boolean()) return "true or false";
  if (example.is_number_integer()) return "a whole number";
  if (example.is_number()) return "a number";
  return "a text";
}

Error refuse(const MethodInfo& info, const ParameterInfo& parameter, const std::string& found) {
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("parameter '{}' of {} must be {}, found {}", parameter.name, info.id,
                                type_name(parameter.default_value), found));
}

Result<const ParameterInfo*> find_parameter(const MethodInfo& info, std::string_view name) {
  std::string known;
  for (const ParameterInfo& parameter : info.parameters) {
    if (parameter.name == name) return &parameter;
    known += (known.empty() ? "" : ", ") + parameter.name;
  }
  return make_error(ErrorCode::invalid_argument, fmt::format("{} has no parameter '{}'; it has {}", info.id,
                                                             name, known.empty() ? "none" : known));
}

Result<json> checked(const MethodInfo& info, const ParameterInfo& parameter, const json& value) {
  const json& example = parameter.default_value;
  if (example.is_boolean() || example.is_string()) {
    if (value.type() != example.type()) return refuse(info, parameter, value.dump());
    const auto& choices = parameter.choices;
    if (!choices.empty() &&
        std::find(choices.begin(), choices.end(), value.get<std::string>()) == choices.end())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("parameter '{}' of {} is one of {}, found '{}'", parameter.name, info.id,
                                    fmt::join(choices, ", "), value.get<std::string>()));
    return value;
  }
  if (!value.is_number()) return refuse(info, parameter, value.dump());
  const double number = value.get<double>();
  const bool whole = std::isfinite(number) && number == std::floor(number) && std::abs(number) < 9e15;
  if (!std::isfinite(number) || (example.is_number_integer() && !whole))
    return refuse(info, parameter, value.dump());
  if (parameter.minimum < parameter.maximum && (number < parameter.minimum || number > parameter.maximum))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("parameter '{}' of {} must be from {} to {}, found {}", parameter.name,
                                  info.id, parameter.minimum, parameter.maximum, number));
  return example.is_number_integer() ? json(static_cast<int64_t>(number)) : json(number);
}

}  // namespace

ParameterInfo choice(std::string name, std::string label, std::string help,
                     std::vector<std::string> choices) {
  ParameterInfo parameter{std::move(name), std::move(label), std::move(help), choices.front()};
  parameter.choices = std::move(choices);
  return parameter;
}

Result<json> parse_parameters(const MethodInfo& info, std::span<const std::string> texts) {
  json given = json::object();
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos)
      return make_error(ErrorCode::invalid_argument, fmt::format("expected NAME=VALUE, found '{}'", text));
    SACCADE_TRY(const ParameterInfo* parameter, find_parameter(info, text.substr(0, equals)));
    const std::string value = text.substr(equals + 1);
    const json& example = parameter->default_value;
    if (example.is_string()) {
      given[parameter->name] = value;
    } else if (example.is_boolean()) {
      const bool yes = value == "true" || value == "yes" || value == "1";
      if (!yes && value != "false" && value != "no" && value != "0")
        return refuse(info, *parameter, "'" + value + "'");
      given[parameter->name] = yes;
    } else {
      double number = 0.0;
      const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (problem != std::errc{} || end != value.data() + value.size())
        return refuse(info, *parameter, "'" + value + "'");
      given[parameter->name] = number;
    }
  }
  return given;
}

Result<json> complete_parameters(const MethodInfo& info, const json& given) {
  if (!given.is_object() && !given.is_null())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the parameters of {} must be an object of names and values", info.id));
  json complete = json::object();
  for (const ParameterInfo& parameter : info.parameters) complete[parameter.name] = parameter.default_value;
  if (given.is_null()) return complete;
  for (const auto& [name, value] : given.items()) {
    SACCADE_TRY(const ParameterInfo* parameter, find_parameter(info, name));
    SACCADE_TRY(complete[name], checked(info, *parameter, value));
  }
  return complete;
}

}  // namespace saccade
