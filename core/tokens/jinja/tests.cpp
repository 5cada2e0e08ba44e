// The tests that "is" asks for.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"

namespace saccade::jinja {
namespace {

Result<Value> remainder_is(Machine& machine, const Value& subject, const Value& divisor, int64_t expected) {
  SACCADE_TRY(const Value rest, apply(machine, Binary::modulo, subject, divisor));
  SACCADE_TRY(const bool same, equal(machine, rest, Value::of(expected)));
  return Value::of(same);
}
Result<Value> is_odd(Machine& machine, const Value& subject, const Bound&) {
  return remainder_is(machine, subject, Value::of(int64_t{2}), 1);
}
Result<Value> is_even(Machine& machine, const Value& subject, const Bound&) {
  return remainder_is(machine, subject, Value::of(int64_t{2}), 0);
}
Result<Value> is_divisible(Machine& machine, const Value& subject, const Bound& arguments) {
  return remainder_is(machine, subject, *arguments[0], 0);
}

template <Kind kind>
Result<Value> is_kind(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is(kind));
}
Result<Value> is_defined(Machine&, const Value& subject, const Bound&) {
  return Value::of(!subject.is(Kind::undefined));
}
Result<Value> is_true(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is(Kind::boolean) && subject.boolean());
}
Result<Value> is_false(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is(Kind::boolean) && !subject.boolean());
}
Result<Value> is_number(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is_number());
}

// What has a length and can be indexed; jinja2's Undefined claims both.
Result<Value> is_sequence(Machine&, const Value& subject, const Bound&) {
  if (!subject.is(Kind::sequence))
    return Value::of(subject.is(Kind::text) || subject.is(Kind::dict) || subject.is(Kind::undefined));
  const SequenceKind kind = subject.sequence().kind;
  return Value::of(kind == SequenceKind::list || kind == SequenceKind::tuple || kind == SequenceKind::range);
}

Result<Value> is_iterable(Machine&, const Value& subject, const Bound&) {
  const bool is_loop = subject.is(Kind::object) && subject.type_name() == "LoopContext";
  return Value::of(is_loop || subject.is(Kind::text) || subject.is(Kind::sequence) ||
                   subject.is(Kind::dict) || subject.is(Kind::iterator) || subject.is(Kind::undefined));
}

Result<Value> is_callable(Machine&, const Value& subject, const Bound&) {
  const bool is_loop = subject.is(Kind::object) && subject.type_name() == "LoopContext";
  return Value::of(is_loop || subject.is(Kind::callable) || subject.is(Kind::undefined));
}

Result<Value> is_escaped(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is_markup());
}

Result<Value> is_in_lower(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(const std::string text, to_text(machine, subject));
  return Value::of(is_lower(text));
}
Result<Value> is_in_upper(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(const std::string text, to_text(machine, subject));
  return Value::of(is_upper(text));
}

Result<Value> is_same(Machine&, const Value& subject, const Bound& arguments) {
  const Value& other = *arguments[0];
  if (subject.kind() != other.kind()) return Value::of(false);
  if (subject.is(Kind::none)) return Value::of(true);
  if (subject.is(Kind::boolean)) return Value::of(subject.boolean() == other.boolean());
  if (subject.is(Kind::object)) return Value::of(subject.identity() == other.identity());
  return not_supported(
      fmt::format("whether two values of type '{}' are the same object is not known", subject.type_name()));
}

template <Comparison comparison>
Result<Value> compares(Machine& machine, const Value& subject, const Bound& arguments) {
  SACCADE_TRY(const bool answer, compare(machine, comparison, subject, *arguments[0]));
  return Value::of(answer);
}

Result<Value> is_filter(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is(Kind::text) && find_filter(subject.text()));
}
Result<Value> is_test(Machine&, const Value& subject, const Bound&) {
  return Value::of(subject.is(Kind::text) && find_test(subject.text()));
}

constexpr std::array<Builtin, 39> all_tests = {{
    {"odd", "", is_odd},
    {"even", "", is_even},
    {"divisibleby", "num", is_divisible},
    {"defined", "", is_defined},
    {"undefined", "", is_kind<Kind::undefined>},
    {"filter", "", is_filter},
    {"test", "", is_test},
    {"none", "", is_kind<Kind::none>},
    {"boolean", "", is_kind<Kind::boolean>},
    {"false", "", is_false},
    {"true", "", is_true},
    {"integer", "", is_kind<Kind::integer>},
    {"float", "", is_kind<Kind::real>},
    {"lower", "", is_in_lower},
    {"upper", "", is_in_upper},
    {"string", "", is_kind<Kind::text>},
    {"mapping", "", is_kind<Kind::dict>},
    {"number", "", is_number},
    {"sequence", "", is_sequence},
    {"iterable", "", is_iterable},
    {"callable", "/", is_callable},
    {"sameas", "other", is_same},
    {"escaped", "", is_escaped},
    {"in", "seq", compares<Comparison::in>},
    {"==", "/ other", compares<Comparison::equal>},
    {"eq", "/ other", compares<Comparison::equal>},
    {"equalto", "/ other", compares<Comparison::equal>},
    {"!=", "/ other", compares<Comparison::not_equal>},
    {"ne", "/ other", compares<Comparison::not_equal>},
    {">", "/ other", compares<Comparison::greater>},
    {"gt", "/ other", compares<Comparison::greater>},
    {"greaterthan", "/ other", compares<Comparison::greater>},
    {">=", "/ other", compares<Comparison::greater_equal>},
    {"ge", "/ other", compares<Comparison::greater_equal>},
    {"<", "/ other", compares<Comparison::less>},
    {"lt", "/ other", compares<Comparison::less>},
    {"lessthan", "/ other", compares<Comparison::less>},
    {"<=", "/ other", compares<Comparison::less_equal>},
    {"le", "/ other", compares<Comparison::less_equal>},
}};

}  // namespace

const Builtin* find_test(std::string_view name) {
  const auto found = std::find_if(all_tests.begin(), all_tests.end(),
                                  [&](const Builtin& each) { return each.name == name; });
  return found == all_tests.end() ? nullptr : &*found;
}

}  // namespace saccade::jinja
