#include <fmt/format.h>

#include <array>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/evaluator.h"
#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"

namespace saccade::jinja {

Error located(Error error, int line) {
  if (!error.context.empty() || error.code == ErrorCode::invalid_argument) return error;
  return std::move(error).with(fmt::format("line {}", line));
}

Result<Value> Evaluator::eval(const Expr& expr) {
  if (expr.kind == ExprKind::constant) return expr.value;
  const Level level(machine_);
  if (!level.entered().ok()) return located(level.entered().error(), expr.line);
  SACCADE_CHECK(machine_.work(Machine::work_of_one));
  auto value = eval_kind(expr);
  if (!value.ok()) return located(std::move(value).error(), expr.line);
  return value;
}

Result<Value> Evaluator::eval_kind(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::constant:
      return expr.value;
    case ExprKind::name:
      return lookup(expr.name);
    case ExprKind::list:
      return eval_parts(expr, SequenceKind::list);
    case ExprKind::tuple:
      return eval_parts(expr, SequenceKind::tuple);
    case ExprKind::dict:
      return eval_dict(expr);
    case ExprKind::attribute:
    case ExprKind::item:
      return eval_subscript(expr);
    case ExprKind::slice:
      return eval_slice(expr);
    case ExprKind::call:
      return eval_call(expr);
    case ExprKind::filter:
      return eval_filter(expr);
    case ExprKind::test:
      return eval_test(expr);
    case ExprKind::negation:
    case ExprKind::minus:
    case ExprKind::plus:
      return eval_unary(expr);
    case ExprKind::both:
    case ExprKind::either:
      return eval_logic(expr);
    case ExprKind::arithmetic: {
      SACCADE_TRY(const Value left, eval(*expr.parts[0]));
      SACCADE_TRY(const Value right, eval(*expr.parts[1]));
      return apply(machine_, expr.operation, left, right);
    }
    case ExprKind::comparison:
      return eval_comparison(expr);
    case ExprKind::concatenate:
      return eval_concatenation(expr);
    case ExprKind::conditional:
      return eval_conditional(expr);
  }
  return Value();
}

Result<Value> Evaluator::lookup(std::string_view name) {
  for (const Scope* scope = scope_.get(); scope; scope = scope->outer.get()) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return found->second;
  }
  const auto given = variables_.find(name);
  if (given != variables_.end()) return given->second;
  SACCADE_TRY(const std::optional<Value> function, find_function(name));
  if (function) return *function;
  if (name == "self") return not_supported("the name 'self' is not supported");
  return Value::undefined(fmt::format("'{}' is undefined", name));
}

Result<Value> Evaluator::eval_parts(const Expr& expr, SequenceKind kind) {
  Values items;
  for (const ExprPtr& part : expr.parts) {
    SACCADE_TRY(Value item, eval(*part));
    items.push_back(std::move(item));
  }
  return make_sequence(std::move(items), kind);
}

Result<Value> Evaluator::eval_dict(const Expr& expr) {
  Dict dict;
  for (size_t i = 0; i + 1 < expr.parts.size(); i += 2) {
    SACCADE_TRY(const Value key, eval(*expr.parts[i]));
    SACCADE_TRY(Value value, eval(*expr.parts[i + 1]));
    SACCADE_CHECK(dict.set(key, std::move(value)));
  }
  return make_dict(std::move(dict));
}

Result<Value> Evaluator::eval_subscript(const Expr& expr) {
  SACCADE_TRY(const Value value, eval(*expr.parts[0]));
  if (expr.kind == ExprKind::attribute) return attribute(machine_, value, expr.name);
  SACCADE_TRY(const Value key, eval(*expr.parts[1]));
  return item(machine_, value, key);
}

Result<Value> Evaluator::eval_slice(const Expr& expr) {
  SACCADE_TRY(const Value value, eval(*expr.parts[0]));
  std::array<Value, 3> bounds;
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (!expr.parts[i + 1]) continue;
    SACCADE_TRY(bounds[i], eval(*expr.parts[i + 1]));
  }
  return slice(machine_, value, bounds[0], bounds[1], bounds[2]);
}

Result<void> Evaluator::spread(const Value& dict, Arguments& arguments) {
  if (dict.is(Kind::undefined)) return undefined_error(dict);
  if (!dict.is(Kind::dict))
    return type_error(fmt::format("'**' needs a mapping, found '{}'", dict.type_name()));
  for (const auto& [key, value] : dict.dict().entries()) {
    SACCADE_TRY(std::string name, need_text(key, "the name of an argument"));
    for (const auto& [other, given] : arguments.named)
      if (other == name) return type_error(fmt::format("the argument '{}' is given twice", name));
    arguments.named.emplace_back(std::move(name), value);
  }
  return {};
}

Result<Arguments> Evaluator::eval_arguments(const CallArguments& call) {
  Arguments arguments;
  for (const ExprPtr& each : call.positional) {
    SACCADE_TRY(Value value, eval(*each));
    arguments.positional.push_back(std::move(value));
  }
  if (call.list) {
    SACCADE_TRY(const Value list, eval(*call.list));
    SACCADE_TRY(const Values more, collect(machine_, list));
    arguments.positional.insert(arguments.positional.end(), more.begin(), more.end());
  }
  for (const auto& [name, each] : call.named) {
    SACCADE_TRY(Value value, eval(*each));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (call.dict) {
    SACCADE_TRY(const Value dict, eval(*call.dict));
    SACCADE_CHECK(spread(dict, arguments));
  }
  return arguments;
}

Result<Value> Evaluator::eval_call(const Expr& expr, const Value* caller) {
  SACCADE_TRY(const Value callee, eval(*expr.parts[0]));
  SACCADE_TRY(Arguments arguments, eval_arguments(expr.call));
  if (caller) arguments.named.emplace_back("caller", *caller);
  if (callee.is(Kind::undefined)) return undefined_error(callee);
  if (!callee.is(Kind::callable))
    return type_error(fmt::format("'{}' object is not callable", callee.type_name()));
  return callee.callable().call(machine_, arguments);
}

// `body`: what the innermost filter of a block works on.
Result<Value> Evaluator::eval_filter(const Expr& expr, const Value* body) {
  Value subject;
  if (!expr.parts[0]) {
    subject = *body;
  } else if (body && expr.parts[0]->kind == ExprKind::filter) {
    SACCADE_TRY(subject, eval_filter(*expr.parts[0], body));
  } else {
    SACCADE_TRY(subject, eval(*expr.parts[0]));
  }
  SACCADE_TRY(const Arguments arguments, eval_arguments(expr.call));
  auto made = apply_filter(machine_, expr.name, subject, arguments);
  if (!made.ok()) return located(std::move(made).error(), expr.line);
  return made;
}

Result<Value> Evaluator::eval_test(const Expr& expr) {
  SACCADE_TRY(const Value subject, eval(*expr.parts[0]));
  SACCADE_TRY(const Arguments arguments, eval_arguments(expr.call));
  SACCADE_TRY(const bool answer, apply_test(machine_, expr.name, subject, arguments));
  return Value::of(answer);
}

Result<Value> Evaluator::eval_unary(const Expr& expr) {
  SACCADE_TRY(const Value value, eval(*expr.parts[0]));
  if (expr.kind == ExprKind::negation) return Value::of(!value.truth());
  return expr.kind == ExprKind::minus ? negate(value) : identity(value);
}

Result<Value> Evaluator::eval_logic(const Expr& expr) {
  SACCADE_TRY(Value left, eval(*expr.parts[0]));
  if (left.truth() == (expr.kind == ExprKind::either)) return left;
  return eval(*expr.parts[1]);
}

Result<Value> Evaluator::eval_comparison(const Expr& expr) {
  SACCADE_TRY(Value left, eval(*expr.parts[0]));
  for (size_t i = 0; i < expr.comparisons.size(); ++i) {
    SACCADE_TRY(Value right, eval(*expr.parts[i + 1]));
    SACCADE_TRY(const bool holds, compare(machine_, expr.comparisons[i], left, right));
    if (!holds) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

Result<Value> Evaluator::eval_concatenation(const Expr& expr) {
  std::string text;
  for (const ExprPtr& part : expr.parts) {
    SACCADE_TRY(const Value value, eval(*part));
    SACCADE_TRY(const std::string shown, to_text(machine_, value));
    text += shown;
    if (text.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
  }
  return Value::of(std::move(text));
}

Result<Value> Evaluator::eval_conditional(const Expr& expr) {
  SACCADE_TRY(const Value condition, eval(*expr.parts[0]));
  if (condition.truth()) return eval(*expr.parts[1]);
  if (expr.parts[2]) return eval(*expr.parts[2]);
  return Value::undefined(
      fmt::format("the 'if' on line {} is false and has no 'else', so there is no value", expr.line));
}

}  // namespace saccade::jinja
