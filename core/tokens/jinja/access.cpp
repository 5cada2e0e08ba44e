// Attributes, items and methods of values.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"

namespace saccade::jinja {
namespace {

// Methods that Python has and that are left out: using one is an error, not an undefined value.
constexpr std::array<std::string_view, 14> text_left_out = {
    "casefold",    "encode",  "expandtabs", "format_map", "isdecimal", "isidentifier", "isnumeric",
    "isprintable", "istitle", "maketrans",  "swapcase",   "translate", "rpartition",   "zfill"};
constexpr std::array<std::string_view, 9> number_left_out = {
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator",
    "from_bytes",       "imag",      "numerator",  "real"};
constexpr std::array<std::string_view, 8> list_changes = {"append", "clear",   "pop",  "extend",
                                                          "insert", "reverse", "sort", "remove"};
constexpr std::array<std::string_view, 5> dict_changes = {"clear", "pop", "popitem", "setdefault", "update"};

template <size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Error left_out(const Value& value, std::string_view name) {
  return not_supported(fmt::format("the method '{}' of '{}' is not supported", name, value.type_name()));
}

Result<Value> dict_get(Machine&, const Value& dict, const Bound& arguments) {
  SACCADE_TRY(const Value* found, dict.dict().find(*arguments[0]));
  if (found) return *found;
  return arguments.has(1) ? *arguments[1] : Value();
}

Result<Value> dict_view(const Value& dict, SequenceKind kind) {
  Values items;
  for (const auto& [key, value] : dict.dict().entries()) {
    if (kind == SequenceKind::items) {
      SACCADE_TRY(Value pair, make_sequence({key, value}, SequenceKind::tuple));
      items.push_back(std::move(pair));
    } else {
      items.push_back(kind == SequenceKind::keys ? key : value);
    }
  }
  return make_sequence(std::move(items), kind);
}

Result<Value> dict_items(Machine&, const Value& dict, const Bound&) {
  return dict_view(dict, SequenceKind::items);
}
Result<Value> dict_keys(Machine&, const Value& dict, const Bound&) {
  return dict_view(dict, SequenceKind::keys);
}
Result<Value> dict_values(Machine&, const Value& dict, const Bound&) {
  return dict_view(dict, SequenceKind::values);
}
Result<Value> copy(Machine&, const Value& value, const Bound&) { return value; }

Result<Value> list_index(Machine& machine, const Value& list, const Bound& arguments) {
  for (size_t i = 0; i < list.items().size(); ++i) {
    SACCADE_TRY(const bool same, equal(machine, list.items()[i], *arguments[0]));
    if (same) return Value::of(static_cast<int64_t>(i));
  }
  return type_error("the value is not in the list");
}

Result<Value> list_count(Machine& machine, const Value& list, const Bound& arguments) {
  int64_t count = 0;
  for (const Value& each : list.items()) {
    SACCADE_TRY(const bool same, equal(machine, each, *arguments[0]));
    count += same ? 1 : 0;
  }
  return Value::of(count);
}

constexpr std::array<Builtin, 5> dict_methods = {{
    {"get", "/ key default=", dict_get},
    {"items", "", dict_items},
    {"keys", "", dict_keys},
    {"values", "", dict_values},
    {"copy", "", copy},
}};
constexpr std::array<Builtin, 3> list_methods = {{
    {"index", "/ value", list_index},
    {"count", "/ value", list_count},
    {"copy", "", copy},
}};

std::optional<Value> find_method(std::span<const Builtin> table, const Value& value, std::string_view name) {
  for (const Builtin& each : table) {
    if (each.name != name) continue;
    return make_callable(
        std::string(name),
        [value, &each](Machine& machine, const Arguments& arguments) {
          return run_builtin(machine, each, fmt::format("the method '{}'", each.name), value, arguments);
        },
        value.depth() + 1);
  }
  return std::nullopt;
}

Value unsafe(const Value& value, std::string_view name) {
  return Value::undefined(
      fmt::format("access to attribute '{}' of '{}' object is unsafe", name, value.type_name()));
}

Value missing(const Value& value, const Value& key) {
  if (key.is(Kind::text))
    return Value::undefined(fmt::format("'{}' object has no attribute {}", value.type_name(),
                                        quoted(std::string(characters(key.text(), 0, 80)))));
  return Value::undefined(fmt::format("'{}' object has no such element", value.type_name()));
}

Result<std::optional<Value>> sequence_method(const Value& value, std::string_view name) {
  const SequenceKind kind = value.sequence().kind;
  if (kind == SequenceKind::list && is_one_of(name, list_changes)) return std::optional(unsafe(value, name));
  if (kind == SequenceKind::list || (kind == SequenceKind::tuple && name != "copy"))
    return find_method(list_methods, value, name);
  const bool range_has =
      kind == SequenceKind::range &&
      (name == "start" || name == "stop" || name == "step" || name == "count" || name == "index");
  const bool view_has = kind != SequenceKind::tuple && kind != SequenceKind::range &&
                        (name == "isdisjoint" || name == "mapping");
  if (range_has || view_has) return left_out(value, name);
  return std::optional<Value>();
}

}  // namespace

Result<std::optional<Value>> method(const Value& value, std::string_view name) {
  if (name.starts_with('_')) return std::optional<Value>();
  if (value.is(Kind::text)) {
    if (is_one_of(name, text_left_out)) return left_out(value, name);
    if (value.is_markup() && (name == "escape" || name == "unescape" || name == "striptags"))
      return left_out(value, name);
    return find_method(text_methods(), value, name);
  }
  if (value.is(Kind::dict)) {
    if (is_one_of(name, dict_changes)) return std::optional(unsafe(value, name));
    if (name == "fromkeys") return left_out(value, name);
    return find_method(dict_methods, value, name);
  }
  if (value.is(Kind::sequence)) return sequence_method(value, name);
  if (value.is_number() && (is_one_of(name, number_left_out) || name == "to_bytes" || name == "is_integer" ||
                            name == "hex" || name == "fromhex"))
    return left_out(value, name);
  if (value.is(Kind::callable) || value.is(Kind::iterator))
    return not_supported(
        fmt::format("the attribute '{}' of a '{}' is not supported", name, value.type_name()));
  return std::optional<Value>();
}

namespace {

// value[key] without the fallback to attributes; nothing when there is no such item.
Result<std::optional<Value>> plain_item(const Value& value, const Value& key) {
  if (value.is(Kind::dict)) {
    const auto found = value.dict().find(key);
    if (!found.ok() || !*found) return std::optional<Value>();
    return std::optional<Value>(**found);
  }
  if (!key.is_integral()) return std::optional<Value>();
  if (value.is(Kind::text)) {
    SACCADE_TRY(const size_t size, value.length());
    const auto at = item_index(key.integer(), size);
    if (!at) return std::optional<Value>();
    return std::optional<Value>(
        Value::of(std::string(characters(value.text(), *at, *at + 1)), value.is_markup()));
  }
  if (!value.is(Kind::sequence)) return std::optional<Value>();
  const SequenceKind kind = value.sequence().kind;
  if (kind != SequenceKind::list && kind != SequenceKind::tuple && kind != SequenceKind::range)
    return std::optional<Value>();
  const auto at = item_index(key.integer(), value.items().size());
  return at ? std::optional<Value>(value.items()[*at]) : std::optional<Value>();
}

Result<std::optional<Value>> plain_attribute(Machine& machine, const Value& value, std::string_view name) {
  if (value.is(Kind::object)) return value.object().attribute(machine, name);
  return method(value, name);
}

}  // namespace

Result<Value> attribute(Machine& machine, const Value& value, std::string_view name) {
  if (value.is(Kind::undefined)) return undefined_error(value);
  SACCADE_TRY(std::optional<Value> found, plain_attribute(machine, value, name));
  if (found) return std::move(*found);
  const Value key = Value::of(std::string(name));
  SACCADE_TRY(found, plain_item(value, key));
  return found ? std::move(*found) : missing(value, key);
}

Result<Value> item(Machine& machine, const Value& value, const Value& key) {
  if (value.is(Kind::undefined)) return undefined_error(value);
  SACCADE_CHECK(machine.work(value.is(Kind::text) ? value.size() : 1));
  SACCADE_TRY(std::optional<Value> found, plain_item(value, key));
  if (!found && key.is(Kind::text)) {
    SACCADE_TRY(found, plain_attribute(machine, value, key.text()));
  }
  return found ? std::move(*found) : missing(value, key);
}

}  // namespace saccade::jinja
