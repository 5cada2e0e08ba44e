// Filters, tests, functions and methods: what templates find by name. Private header.
//
// Source: the Jinja 3.1 template designer documentation, "List of Builtin Filters", "List of Builtin Tests",
// "List of Global Functions"; the Python 3 library reference for methods; Transformers' chat template
// functions. What exists there and is left out here is an error (unsupported) where it is used.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/tokens/jinja/machine.h"
#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

// Arguments by the names of a signature: null where none was given.
struct Bound {
  std::vector<const Value*> values;
  const Arguments* all = nullptr;  // as they came
  [[nodiscard]] const Value* operator[](size_t index) const { return values[index]; }
  [[nodiscard]] bool has(size_t index) const { return values[index] != nullptr; }
  [[nodiscard]] bool truth(size_t index) const { return values[index] && values[index]->truth(); }
};

struct Builtin {
  std::string_view name;
  // "old new count=": parameters in order, "=" where one may be missing. "/" first: by position only.
  // "*": whatever comes, in Bound::all.
  std::string_view signature;
  Result<Value> (*run)(Machine& machine, const Value& subject, const Bound& arguments);
};

[[nodiscard]] const Builtin* find_filter(std::string_view name);
[[nodiscard]] const Builtin* find_test(std::string_view name);

// Checks the arguments against the signature and runs. Errors name `what`, e.g. "the filter 'join'".
Result<Value> run_builtin(Machine& machine, const Builtin& builtin, std::string_view what,
                          const Value& subject, const Arguments& arguments);
Result<Value> apply_filter(Machine& machine, std::string_view name, const Value& subject,
                           const Arguments& arguments);
Result<bool> apply_test(Machine& machine, std::string_view name, const Value& subject,
                        const Arguments& arguments);

// range, namespace, dict, raise_exception, strftime_now; nothing for other names, an error for the functions
// of jinja2 that are left out. raise_exception's error is invalid_argument with the template's own message.
Result<std::optional<Value>> find_function(std::string_view name);

// value.name and value[key]: undefined where there is nothing.
Result<Value> attribute(Machine& machine, const Value& value, std::string_view name);
Result<Value> item(Machine& machine, const Value& value, const Value& key);
// The method alone; undefined for what would change the value; nothing when the type has none of that name.
Result<std::optional<Value>> method(const Value& value, std::string_view name);

// Helpers of the tables. Errors say what was found instead.
Result<std::string> need_text(const Value& value, std::string_view what);
Result<int64_t> need_integer(const Value& value, std::string_view what);
// soft_str: a text as it is (and as safe as it is), anything else as it prints.
Result<Value> soft_text(Machine& machine, const Value& value);

std::span<const Builtin> text_filters();
std::span<const Builtin> list_filters();
std::span<const Builtin> text_methods();

}  // namespace saccade::jinja
