#include "core/tokens/jinja/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/tokens/jinja/format.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

std::string_view symbol(Binary op) {
  switch (op) {
    case Binary::add:
      return "+";
    case Binary::subtract:
      return "-";
    case Binary::multiply:
      return "*";
    case Binary::divide:
      return "/";
    case Binary::floor_divide:
      return "//";
    case Binary::modulo:
      return "%";
    case Binary::power:
      return "**";
  }
  return "?";
}

Error wrong_operands(Binary op, const Value& left, const Value& right) {
  return type_error(fmt::format("unsupported operand types for {}: '{}' and '{}'", symbol(op),
                                left.type_name(), right.type_name()));
}

Error overflow(Binary op) {
  return not_supported(fmt::format("the result of {} has more than 64 bits", symbol(op)));
}

Error division_by_zero() { return type_error("division by zero"); }

Result<Value> integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return overflow(Binary::power);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return overflow(Binary::power);
  }
  return Value::of(result);
}

// The remainder has the sign of the divisor, the quotient is rounded down.
Result<Value> integer_division(Binary op, int64_t a, int64_t b) {
  if (b == 0) return division_by_zero();
  if (a == std::numeric_limits<int64_t>::min() && b == -1) {
    if (op == Binary::modulo) return Value::of(int64_t{0});
    return overflow(op);
  }
  const bool inexact = a % b != 0 && ((a < 0) != (b < 0));
  if (op == Binary::modulo) return Value::of(a % b + (inexact ? b : 0));
  return Value::of(a / b - (inexact ? 1 : 0));
}

Result<Value> apply_integers(Binary op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool over = false;
  switch (op) {
    case Binary::add:
      over = __builtin_add_overflow(a, b, &result);
      break;
    case Binary::subtract:
      over = __builtin_sub_overflow(a, b, &result);
      break;
    case Binary::multiply:
      over = __builtin_mul_overflow(a, b, &result);
      break;
    case Binary::divide:
      if (b == 0) return division_by_zero();
      return Value::of(static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b)));
    case Binary::floor_divide:
    case Binary::modulo:
      return integer_division(op, a, b);
    case Binary::power:
      if (b >= 0) return integer_power(a, b);
      if (a == 0) return type_error("0.0 cannot be raised to a negative power");
      return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  if (over) return overflow(op);
  return Value::of(result);
}

// As Python divides floats: the quotient from the exact remainder.
Result<Value> real_division(Binary op, double a, double b) {
  if (b == 0.0) return division_by_zero();
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0.0) {
    if ((b < 0) != (remainder < 0)) {
      remainder += b;
      quotient -= 1.0;
    }
  } else {
    remainder = std::copysign(0.0, b);
  }
  if (op == Binary::modulo) return Value::of(remainder);
  if (quotient == 0.0) return Value::of(std::copysign(0.0, a / b));
  double whole = std::floor(quotient);
  if (quotient - whole > 0.5) whole += 1.0;
  return Value::of(whole);
}

Result<Value> real_power(double a, double b) {
  if (a == 0.0 && b < 0.0) return type_error("0.0 cannot be raised to a negative power");
  if (a < 0.0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b))
    return not_supported("a complex number is not supported");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
    return type_error("the result of ** is too large");
  return Value::of(result);
}

Result<Value> apply_reals(Binary op, double a, double b) {
  switch (op) {
    case Binary::add:
      return Value::of(a + b);
    case Binary::subtract:
      return Value::of(a - b);
    case Binary::multiply:
      return Value::of(a * b);
    case Binary::divide:
      if (b == 0.0) return division_by_zero();
      return Value::of(a / b);
    case Binary::floor_divide:
    case Binary::modulo:
      return real_division(op, a, b);
    case Binary::power:
      break;
  }
  return real_power(a, b);
}

// What `safe` marked stays marked, and escapes what it meets.
Result<Value> join_texts(const Value& left, const Value& right) {
  if (left.text().size() + right.text().size() > max_text_bytes)
    return not_supported("a text grows beyond 16 MB");
  const bool markup = left.is_markup() || right.is_markup();
  if (!markup) return Value::of(left.text() + right.text());
  const auto part = [](const Value& value) {
    return value.is_markup() ? value.text() : html_escape(value.text());
  };
  return Value::of(part(left) + part(right), true);
}

bool is_list_or_tuple(const Value& value) {
  return value.is(Kind::sequence) &&
         (value.sequence().kind == SequenceKind::list || value.sequence().kind == SequenceKind::tuple);
}

Result<Value> repeat(Machine& machine, const Value& value, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (count > max_text_bytes || value.size() * count > 2 * max_text_bytes)
    return not_supported("a repeated text or list grows beyond 16 MB");
  SACCADE_CHECK(machine.work(value.size() * count));
  if (value.is(Kind::text)) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += value.text();
    if (out.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
    return Value::of(std::move(out), value.is_markup());
  }
  Values items;
  for (size_t i = 0; i < count; ++i) items.insert(items.end(), value.items().begin(), value.items().end());
  return make_sequence(std::move(items), value.sequence().kind);
}

Result<Value> apply_containers(Machine& machine, Binary op, const Value& left, const Value& right) {
  if (op == Binary::add && left.is(Kind::text) && right.is(Kind::text)) return join_texts(left, right);
  if (op == Binary::modulo && left.is(Kind::text)) return format_percent(machine, left, right);
  if (op == Binary::add && is_list_or_tuple(left) && is_list_or_tuple(right) &&
      left.sequence().kind == right.sequence().kind) {
    Values items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    return make_sequence(std::move(items), left.sequence().kind);
  }
  const auto repeats = [](const Value& value) { return value.is(Kind::text) || is_list_or_tuple(value); };
  if (op == Binary::multiply && repeats(left) && right.is_integral())
    return repeat(machine, left, right.integer());
  if (op == Binary::multiply && left.is_integral() && repeats(right))
    return repeat(machine, right, left.integer());
  return wrong_operands(op, left, right);
}

}  // namespace

Result<Value> apply(Machine& machine, Binary op, const Value& left, const Value& right) {
  SACCADE_CHECK(machine.work(left.size() + right.size()));
  const bool formats = op == Binary::modulo && left.is(Kind::text);
  if (left.is(Kind::undefined)) return undefined_error(left);
  if (right.is(Kind::undefined) && !formats) return undefined_error(right);
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) return apply_integers(op, left.integer(), right.integer());
    return apply_reals(op, left.real(), right.real());
  }
  return apply_containers(machine, op, left, right);
}

Result<Value> negate(const Value& value) {
  if (value.is(Kind::undefined)) return undefined_error(value);
  if (value.is_integral()) return apply_integers(Binary::subtract, 0, value.integer());
  if (value.is(Kind::real)) return Value::of(-value.real());
  return type_error(fmt::format("bad operand type for unary -: '{}'", value.type_name()));
}

Result<Value> identity(const Value& value) {
  if (value.is(Kind::undefined)) return undefined_error(value);
  if (value.is_integral()) return Value::of(value.integer());
  if (value.is(Kind::real)) return value;
  return type_error(fmt::format("bad operand type for unary +: '{}'", value.type_name()));
}

std::optional<size_t> item_index(int64_t at, size_t size) {
  if (at < 0) at += static_cast<int64_t>(size);
  if (at < 0 || at >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(at);
}

namespace {

struct Bounds {
  int64_t begin = 0, end = 0, step = 1;
};

Result<std::optional<int64_t>> bound(const Value& value) {
  if (value.is(Kind::none)) return std::optional<int64_t>();
  if (value.is_integral()) return std::optional<int64_t>(value.integer());
  return type_error(fmt::format("slice indices must be integers or None, found '{}'", value.type_name()));
}

Result<Bounds> slice_bounds(const Value& begin, const Value& end, const Value& step, int64_t size) {
  SACCADE_TRY(const auto first, bound(begin));
  SACCADE_TRY(const auto last, bound(end));
  SACCADE_TRY(const auto stride, bound(step));
  Bounds bounds;
  bounds.step = stride.value_or(1);
  if (bounds.step == 0) return type_error("slice step cannot be zero");
  bounds.step = std::clamp<int64_t>(bounds.step, -size - 1, size + 1);
  const bool forward = bounds.step > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? size : size - 1;
  const auto place = [&](int64_t at) {
    return std::clamp(at < 0 ? std::max(at, -size - 1) + size : at, low, high);
  };
  bounds.begin = first ? place(*first) : (forward ? low : high);
  bounds.end = last ? place(*last) : (forward ? high : low);
  return bounds;
}

}  // namespace

Result<Value> slice(Machine& machine, const Value& value, const Value& begin, const Value& end,
                    const Value& step) {
  if (value.is(Kind::undefined)) return undefined_error(value);
  const bool sliceable = value.is(Kind::text) || is_list_or_tuple(value) ||
                         (value.is(Kind::sequence) && value.sequence().kind == SequenceKind::range);
  if (!sliceable) return type_error(fmt::format("'{}' object cannot be sliced", value.type_name()));
  if (value.is(Kind::sequence) && value.sequence().kind == SequenceKind::range)
    return not_supported("slicing a range is not supported");
  SACCADE_CHECK(machine.work(value.size()));
  SACCADE_TRY(const size_t size, value.length());
  SACCADE_TRY(const Bounds bounds, slice_bounds(begin, end, step, static_cast<int64_t>(size)));
  const auto goes_on = [&](int64_t at) { return bounds.step > 0 ? at < bounds.end : at > bounds.end; };
  if (value.is(Kind::text) && bounds.step == 1) {
    const auto last = static_cast<size_t>(std::max(bounds.begin, bounds.end));
    return Value::of(std::string(characters(value.text(), static_cast<size_t>(bounds.begin), last)),
                     value.is_markup());
  }
  if (value.is(Kind::text)) {
    const std::vector<std::string> all = characters_of(value.text());
    std::string out;
    for (int64_t at = bounds.begin; goes_on(at); at += bounds.step) out += all[static_cast<size_t>(at)];
    return Value::of(std::move(out), value.is_markup());
  }
  Values items;
  for (int64_t at = bounds.begin; goes_on(at); at += bounds.step)
    items.push_back(value.items()[static_cast<size_t>(at)]);
  return make_sequence(std::move(items), value.sequence().kind);
}

}  // namespace saccade::jinja
