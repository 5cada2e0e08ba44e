#include "core/tokens/jinja/builtins.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/tokens/jinja/operators.h"

namespace saccade::jinja {
namespace {

struct Signature {
  std::vector<std::string_view> names;
  size_t required = 0;
  bool by_position = false, anything = false;
};

Signature read_signature(std::string_view text) {
  Signature signature;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    std::string_view name = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (name == "/") {
      signature.by_position = true;
    } else if (name == "*") {
      signature.anything = true;
    } else {
      if (name.ends_with('=')) {
        name.remove_suffix(1);
      } else {
        ++signature.required;
      }
      signature.names.push_back(name);
    }
  }
  return signature;
}

Result<void> bind_named(const Signature& signature, std::string_view what, const Arguments& arguments,
                        Bound& bound) {
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(signature.names.begin(), signature.names.end(), name);
    if (found == signature.names.end() || signature.by_position)
      return type_error(fmt::format("{} takes no argument '{}'", what, name));
    const Value*& place = bound.values[static_cast<size_t>(found - signature.names.begin())];
    if (place) return type_error(fmt::format("{} got the argument '{}' twice", what, name));
    place = &value;
  }
  return {};
}

Result<Bound> bind_arguments(const Signature& signature, std::string_view what, const Arguments& arguments) {
  Bound bound;
  bound.all = &arguments;
  if (signature.anything) return bound;
  if (arguments.positional.size() > signature.names.size())
    return type_error(fmt::format("{} takes at most {} argument{}, found {}", what, signature.names.size(),
                                  signature.names.size() == 1 ? "" : "s", arguments.positional.size()));
  bound.values.resize(signature.names.size(), nullptr);
  for (size_t i = 0; i < arguments.positional.size(); ++i) bound.values[i] = &arguments.positional[i];
  SACCADE_CHECK(bind_named(signature, what, arguments, bound));
  for (size_t i = 0; i < signature.required; ++i)
    if (!bound.values[i])
      return type_error(fmt::format("{} needs the argument '{}'", what, signature.names[i]));
  return bound;
}

// Filters of jinja2 that no chat template needs: HTML, random choice, layout of web pages.
constexpr std::array<std::string_view, 15> filters_left_out = {
    "attr",      "batch",    "center",    "filesizeformat", "groupby",   "pprint",   "random", "slice",
    "striptags", "truncate", "urlencode", "urlize",         "wordcount", "wordwrap", "xmlattr"};

Result<Value> filter_left_out(Machine&, const Value&, const Bound&) {
  return not_supported("this filter of jinja2 is not supported in chat templates");
}

const Builtin* find_in(std::span<const Builtin> table, std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Builtin& each) { return each.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

const Builtin* find_filter(std::string_view name) {
  static constexpr Builtin left_out{"", "*", filter_left_out};
  if (const Builtin* found = find_in(text_filters(), name)) return found;
  if (const Builtin* found = find_in(list_filters(), name)) return found;
  const bool known =
      std::find(filters_left_out.begin(), filters_left_out.end(), name) != filters_left_out.end();
  return known ? &left_out : nullptr;
}

Result<Value> run_builtin(Machine& machine, const Builtin& builtin, std::string_view what,
                          const Value& subject, const Arguments& arguments) {
  size_t amount = subject.size();
  for (const Value& argument : arguments.positional) amount += argument.size();
  SACCADE_CHECK(machine.work(amount));
  SACCADE_TRY(const Bound bound, bind_arguments(read_signature(builtin.signature), what, arguments));
  SACCADE_TRY(Value made, builtin.run(machine, subject, bound));
  if (made.is(Kind::text) && made.text().size() > max_text_bytes)
    return not_supported("a text grows beyond 16 MB");
  SACCADE_CHECK(machine.work(made.size()));
  return made;
}

Result<Value> apply_filter(Machine& machine, std::string_view name, const Value& subject,
                           const Arguments& arguments) {
  const Builtin* found = find_filter(name);
  if (!found) return type_error(fmt::format("there is no filter '{}'", name));
  return run_builtin(machine, *found, fmt::format("the filter '{}'", name), subject, arguments);
}

Result<bool> apply_test(Machine& machine, std::string_view name, const Value& subject,
                        const Arguments& arguments) {
  const Builtin* found = find_test(name);
  if (!found) return type_error(fmt::format("there is no test '{}'", name));
  SACCADE_TRY(const Value answer,
              run_builtin(machine, *found, fmt::format("the test '{}'", name), subject, arguments));
  return answer.truth();
}

Result<std::string> need_text(const Value& value, std::string_view what) {
  if (value.is(Kind::text)) return value.text();
  return type_error(fmt::format("{} must be a text, found '{}'", what, value.type_name()));
}

Result<int64_t> need_integer(const Value& value, std::string_view what) {
  if (value.is_integral()) return value.integer();
  return type_error(fmt::format("{} must be a whole number, found '{}'", what, value.type_name()));
}

Result<Value> soft_text(Machine& machine, const Value& value) {
  if (value.is(Kind::text)) return value;
  SACCADE_TRY(std::string text, to_text(machine, value));
  return Value::of(std::move(text));
}

}  // namespace saccade::jinja
