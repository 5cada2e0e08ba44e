#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/jinja/evaluator.h"

namespace saccade::jinja {
namespace {

constexpr size_t macro_work = 4096;  // what making one is charged: its scope stays until the end

bool has_parameter(const Statement& macro, std::string_view name) {
  return std::any_of(macro.parameters.begin(), macro.parameters.end(),
                     [&](const Parameter& each) { return each.name == name; });
}

// Moves the argument of that name, if there is one, to where it belongs.
bool take_named(Arguments& arguments, std::string_view name, Value& place) {
  const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                  [&](const auto& each) { return each.first == name; });
  if (found == arguments.named.end()) return false;
  place = found->second;
  arguments.named.erase(found);
  return true;
}

}  // namespace

Result<Value> Evaluator::make_macro(const Statement& macro) {
  SACCADE_CHECK(machine_.work(macro_work));
  if (!scope_->captured) captured_.push_back(scope_);
  scope_->captured = true;
  return make_callable(macro.text, [this, &macro, scope = scope_](Machine&, const Arguments& arguments) {
    return call_macro(macro, scope, arguments);
  });
}

Result<Value> Evaluator::call_macro(const Statement& macro, const std::shared_ptr<Scope>& scope,
                                    const Arguments& arguments) {
  const Level level(machine_);
  if (!level.entered().ok()) return level.entered().error();
  SACCADE_CHECK(machine_.step());
  std::string text;
  std::string* const before = std::exchange(out_, &text);
  const InScope inside(*this, scope);
  const auto run = [&]() -> Result<void> {
    SACCADE_CHECK(bind(macro, arguments));
    SACCADE_TRY(const Flow flow, exec(macro.blocks[0]));
    static_cast<void>(flow);  // break and continue stay within the macro
    return {};
  };
  auto done = run();
  out_ = before;
  if (!done.ok()) return std::move(done).error();
  return Value::of(std::move(text));
}

// Gives the parameters their values, in the scope of the call: arguments first, then defaults in order.
Result<void> Evaluator::bind(const Statement& macro, Arguments arguments) {
  Variables& names = scope_->names;
  const size_t count = macro.parameters.size();
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = macro.parameters[i].name;
    if (i < arguments.positional.size()) {
      names[name] = arguments.positional[i];
    } else if (Value named; take_named(arguments, name, named)) {
      names[name] = std::move(named);
    }
  }
  for (const Parameter& parameter : macro.parameters) {
    if (names.contains(parameter.name)) continue;
    Value value = Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
    if (parameter.fallback) {
      SACCADE_TRY(value, eval(*parameter.fallback));
    }
    names[parameter.name] = std::move(value);
  }
  if (macro.uses_caller && !has_parameter(macro, "caller")) {
    Value& caller = names["caller"];
    take_named(arguments, "caller", caller);
    if (caller.is(Kind::none)) caller = Value::undefined("no caller is defined");
  }
  if (macro.uses_named && !has_parameter(macro, "kwargs")) {
    Dict rest;
    for (const auto& [name, value] : arguments.named) SACCADE_CHECK(rest.set(Value::of(name), value));
    SACCADE_TRY(names["kwargs"], make_dict(std::move(rest)));
  } else if (!arguments.named.empty()) {
    return type_error(
        fmt::format("the macro '{}' takes no argument '{}'", macro.text, arguments.named[0].first));
  }
  Values rest;
  if (arguments.positional.size() > count)
    rest.assign(arguments.positional.begin() + static_cast<int64_t>(count), arguments.positional.end());
  if (macro.uses_rest && !has_parameter(macro, "varargs")) {
    SACCADE_TRY(names["varargs"], make_sequence(std::move(rest), SequenceKind::tuple));
  } else if (!rest.empty()) {
    return type_error(fmt::format("the macro '{}' takes no more than {} arguments", macro.text, count));
  }
  return {};
}

}  // namespace saccade::jinja
