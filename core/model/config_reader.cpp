#include "core/model/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace saccade {

using Json = nlohmann::json;

Error ConfigReader::wrong(const std::string& key, const std::string& expected, const Json& found) const {
  constexpr size_t most = 60;
  std::string shown = found.is_null() ? "nothing" : found.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (shown.size() > most) shown = shown.substr(0, most) + "...";
  return make_error(ErrorCode::bad_format,
                    fmt::format("config.json: '{}{}{}': expected {}, found {}", inside_,
                                inside_.empty() ? "" : ".", key, expected, shown));
}

const Json* ConfigReader::find(const char* key) const {
  const auto found = config_.find(key);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

Result<int32_t> ConfigReader::count(std::initializer_list<const char*> keys, int32_t fallback,
                                    int32_t most) const {
  const std::string expected = fmt::format("a whole number from 1 to {}", most);
  const char* first = nullptr;
  int32_t number = fallback;
  for (const char* key : keys) {
    const Json* value = find(key);
    if (!value) continue;
    if (!value->is_number_integer() || value->get<int64_t>() < 1 || value->get<int64_t>() > most)
      return wrong(key, expected, *value);
    const auto found = static_cast<int32_t>(value->get<int64_t>());
    if (first && found != number) return wrong(key, fmt::format("{} as in '{}'", number, first), *value);
    if (!first) first = key;
    number = found;
  }
  if (number == 0) return wrong(*keys.begin(), expected, Json());
  return number;
}

Result<double> ConfigReader::positive(const char* key, double fallback) const {
  const Json* value = find(key);
  if (!value && fallback == 0.0) return wrong(key, "a positive number", Json());
  if (!value) return fallback;
  if (!value->is_number() || !(value->get<double>() > 0.0) || value->get<double>() > 1e30)
    return wrong(key, "a positive number", *value);
  return value->get<double>();
}

Result<double> ConfigReader::number(const char* key, double fallback) const {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>())) return wrong(key, "a number", *value);
  return value->get<double>();
}

Result<std::vector<double>> ConfigReader::positives(const char* key, size_t size) const {
  const Json* value = find(key);
  const auto positive = [](const Json& v) { return v.is_number() && v.get<double>() > 0.0; };
  if (!value || !value->is_array() || value->size() != size ||
      !std::all_of(value->begin(), value->end(), positive))
    return wrong(key, fmt::format("a list of {} positive numbers", size), value ? *value : Json());
  return value->get<std::vector<double>>();
}

Result<std::vector<std::string>> ConfigReader::texts(const char* key) const {
  const Json* value = find(key);
  if (!value) return std::vector<std::string>();
  const auto is_text = [](const Json& v) { return v.is_string(); };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_text))
    return wrong(key, "a list of texts", *value);
  return value->get<std::vector<std::string>>();
}

Result<std::vector<bool>> ConfigReader::flags(const char* key, int32_t n) const {
  std::vector<bool> flags;
  const Json* value = find(key);
  if (!value) return flags;
  const auto fits = [](const Json& v) { return v.is_boolean() || v.is_number_integer(); };
  if (!value->is_array() || value->size() != static_cast<size_t>(n) ||
      !std::all_of(value->begin(), value->end(), fits))
    return wrong(key, fmt::format("a list of {} times 0 or 1", n), *value);
  for (const Json& v : *value) flags.push_back(v.is_boolean() ? v.get<bool>() : v.get<int64_t>() != 0);
  return flags;
}

Result<void> ConfigReader::only(const char* key, const Json& value) const {
  const Json* found = find(key);
  if (!found || *found == value) return {};
  Error error = wrong(key, value.dump(), *found);
  error.code = ErrorCode::unsupported;
  error.message += ": such a model is not read";
  return error;
}

Result<bool> ConfigReader::flag(const char* key, bool fallback) const {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) return wrong(key, "true or false", *value);
  return value->get<bool>();
}

Result<std::string> ConfigReader::text(const char* key, const std::string& fallback) const {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_string()) return wrong(key, "a text", *value);
  return value->get<std::string>();
}

Result<Activation> ConfigReader::activation(const char* key, const std::string& fallback) const {
  static const std::map<std::string, Activation> names{{"gelu", Activation::gelu},
                                                       {"gelu_new", Activation::gelu_tanh},
                                                       {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                       {"gelu_fast", Activation::gelu_tanh},
                                                       {"quick_gelu", Activation::gelu_quick},
                                                       {"gelu_python", Activation::gelu},
                                                       {"silu", Activation::silu},
                                                       {"swish", Activation::silu},
                                                       {"relu2", Activation::relu_squared},
                                                       {"relu", Activation::relu}};
  SACCADE_TRY(const std::string name, text(key, fallback));
  const auto found = names.find(name);
  if (found == names.end())
    return wrong(key, "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, silu, swish, relu or relu2",
                 Json(name));
  return found->second;
}

Result<std::vector<int32_t>> ConfigReader::ids(const char* key) const {
  std::vector<int32_t> ids;
  const Json* value = find(key);
  if (!value) return ids;
  const Json list = value->is_array() ? *value : Json::array({*value});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > INT32_MAX)
      return wrong(key, "a token id or a list of them", *value);
    ids.push_back(static_cast<int32_t>(id.get<int64_t>()));
  }
  return ids;
}

Result<const Json*> ConfigReader::object(const char* key) const {
  const Json* value = find(key);
  if (value && !value->is_object()) return wrong(key, "an object", *value);
  return value;
}

Result<int32_t> divide(const char* whole_key, int32_t whole, const char* part_key, int32_t parts) {
  if (whole % parts != 0)
    return make_error(ErrorCode::bad_format,
                      fmt::format("config.json: '{}' is {}, which '{}' = {} does not divide", whole_key,
                                  whole, part_key, parts));
  return whole / parts;
}

}  // namespace saccade
