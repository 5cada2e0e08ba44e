// Python's operators on values, and printing. Private header. Errors as Python raises them: wrong types, a
// division by zero. Thread: that of the machine.
#pragma once

#include "core/tokens/jinja/machine.h"
#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

enum class Binary { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class Comparison { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

Result<Value> apply(Machine& machine, Binary op, const Value& left, const Value& right);
Result<Value> negate(const Value& value);
Result<Value> identity(const Value& value);  // unary plus
Result<bool> compare(Machine& machine, Comparison op, const Value& left, const Value& right);
Result<bool> equal(Machine& machine, const Value& left, const Value& right);
Result<bool> less(Machine& machine, const Value& left, const Value& right);
Result<bool> contains(Machine& machine, const Value& container, const Value& item);

// value[begin:end:step]; none where a bound is missing.
Result<Value> slice(Machine& machine, const Value& value, const Value& begin, const Value& end,
                    const Value& step);
// Python's index of item `at` of `size`; nothing outside.
[[nodiscard]] std::optional<size_t> item_index(int64_t at, size_t size);

// str() and repr(). Generators, functions and objects would print an address: an error.
Result<std::string> to_text(Machine& machine, const Value& value);
Result<std::string> to_repr(Machine& machine, const Value& value);

// The values of anything that can be iterated over, in turn.
Result<Value> iterate(const Value& value);  // an iterator
Result<std::optional<Value>> next(Machine& machine, const Value& iterator);
Result<Values> collect(Machine& machine, const Value& value);

}  // namespace saccade::jinja
