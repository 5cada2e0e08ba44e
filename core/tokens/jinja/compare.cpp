// Equality, order and membership.
#include <fmt/format.h>

#include "core/tokens/jinja/operators.h"

namespace saccade::jinja {
namespace {

bool numbers_equal(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) return left.integer() == right.integer();
  if (left.is_integral()) return static_cast<long double>(left.integer()) == right.real();
  if (right.is_integral()) return left.real() == static_cast<long double>(right.integer());
  return left.real() == right.real();
}

bool numbers_less(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) return left.integer() < right.integer();
  if (left.is_integral()) return static_cast<long double>(left.integer()) < right.real();
  if (right.is_integral()) return left.real() < static_cast<long double>(right.integer());
  return left.real() < right.real();
}

Result<bool> sequences_equal(Machine& machine, const Value& left, const Value& right) {
  const SequenceKind kind = left.sequence().kind;
  if (kind == SequenceKind::keys || kind == SequenceKind::items || kind == SequenceKind::values)
    return not_supported(fmt::format("comparing '{}' is not supported", left.type_name()));
  if (kind != right.sequence().kind || left.items().size() != right.items().size()) return false;
  for (size_t i = 0; i < left.items().size(); ++i) {
    SACCADE_TRY(const bool same, equal(machine, left.items()[i], right.items()[i]));
    if (!same) return false;
  }
  return true;
}

Result<bool> dicts_equal(Machine& machine, const Dict& left, const Dict& right) {
  if (left.entries().size() != right.entries().size()) return false;
  for (const auto& [key, value] : left.entries()) {
    SACCADE_TRY(const Value* other, right.find(key));
    if (!other) return false;
    SACCADE_TRY(const bool same, equal(machine, value, *other));
    if (!same) return false;
  }
  return true;
}

// List and tuple order: the first pair that differs decides, otherwise the length.
Result<bool> sequences_less(Machine& machine, const Value& left, const Value& right) {
  const size_t common = std::min(left.items().size(), right.items().size());
  for (size_t i = 0; i < common; ++i) {
    SACCADE_TRY(const bool same, equal(machine, left.items()[i], right.items()[i]));
    if (!same) return less(machine, left.items()[i], right.items()[i]);
  }
  return left.items().size() < right.items().size();
}

bool has_order(const Value& left, const Value& right) {
  if (!left.is(Kind::sequence) || !right.is(Kind::sequence)) return false;
  const SequenceKind kind = left.sequence().kind;
  return kind == right.sequence().kind && (kind == SequenceKind::list || kind == SequenceKind::tuple);
}

}  // namespace

Result<bool> equal(Machine& machine, const Value& left, const Value& right) {
  SACCADE_CHECK(machine.work(Machine::work_of_one + std::min(left.size(), right.size())));
  if (left.is_number() && right.is_number()) return numbers_equal(left, right);
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::text:
      return left.text() == right.text();
    case Kind::sequence:
      return sequences_equal(machine, left, right);
    case Kind::dict:
      return dicts_equal(machine, left.dict(), right.dict());
    case Kind::iterator:
      return &left.iterator() == &right.iterator();
    case Kind::callable:
    case Kind::object:
      return left.identity() == right.identity();
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      break;  // above
  }
  return false;
}

Result<bool> less(Machine& machine, const Value& left, const Value& right) {
  SACCADE_CHECK(machine.work(std::min(left.size(), right.size())));
  if (left.is(Kind::undefined)) return undefined_error(left);
  if (right.is(Kind::undefined)) return undefined_error(right);
  if (left.is_number() && right.is_number()) return numbers_less(left, right);
  if (left.is(Kind::text) && right.is(Kind::text))
    return left.text() < right.text();  // UTF-8 keeps the order
  if (has_order(left, right)) return sequences_less(machine, left, right);
  return type_error(fmt::format("'{}' and '{}' have no order", left.type_name(), right.type_name()));
}

Result<bool> contains(Machine& machine, const Value& container, const Value& item) {
  SACCADE_CHECK(machine.work(container.size()));
  if (container.is(Kind::text)) {
    if (!item.is(Kind::text))
      return type_error(fmt::format("'in' with a text on its right needs a text on its left, found '{}'",
                                    item.type_name()));
    return container.text().find(item.text()) != std::string::npos;
  }
  if (container.is(Kind::dict)) {
    SACCADE_TRY(const Value* found, container.dict().find(item));
    return found != nullptr;
  }
  if (container.is(Kind::object))
    return not_supported(fmt::format("'in' with '{}' is not supported", container.type_name()));
  SACCADE_TRY(const Value iterator, iterate(container));
  while (true) {
    SACCADE_TRY(const std::optional<Value> each, next(machine, iterator));
    if (!each) return false;
    SACCADE_TRY(const bool same, equal(machine, *each, item));
    if (same) return true;
  }
}

namespace {

// Python's <= and >= on floats are no negations of > and <: NaN.
bool has_nan(const Value& left, const Value& right) {
  const auto is_nan = [](const Value& value) { return value.is(Kind::real) && value.real() != value.real(); };
  return is_nan(left) || is_nan(right);
}

Result<bool> at_most(Machine& machine, const Value& left, const Value& right) {
  SACCADE_TRY(const bool above, less(machine, right, left));
  return !above && !has_nan(left, right);
}

}  // namespace

Result<bool> compare(Machine& machine, Comparison op, const Value& left, const Value& right) {
  const auto inverted = [](Result<bool> result) -> Result<bool> {
    if (!result.ok()) return result;
    return !*result;
  };
  switch (op) {
    case Comparison::equal:
      return equal(machine, left, right);
    case Comparison::not_equal:
      return inverted(equal(machine, left, right));
    case Comparison::less:
      return less(machine, left, right);
    case Comparison::greater:
      return less(machine, right, left);
    case Comparison::less_equal:
      return at_most(machine, left, right);
    case Comparison::greater_equal:
      return at_most(machine, right, left);
    case Comparison::in:
      return contains(machine, right, left);
    case Comparison::not_in:
      return inverted(contains(machine, right, left));
  }
  return false;
}

}  // namespace saccade::jinja
