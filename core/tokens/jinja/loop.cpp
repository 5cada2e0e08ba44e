#include "core/tokens/jinja/loop.h"

#include <algorithm>

#include "core/tokens/jinja/operators.h"

namespace saccade::jinja {

Result<std::optional<Value>> Loop::advance(Machine& machine) {
  std::optional<Value> item = std::move(after_);
  after_.reset();
  if (!item) {
    SACCADE_TRY(item, next(machine, iterator_));
  }
  if (!item) return item;
  ++index0_;
  before_ = std::move(current_);
  current_ = item;
  return item;
}

Result<const std::optional<Value>*> Loop::peek(Machine& machine) {
  if (!after_) {
    SACCADE_TRY(after_, next(machine, iterator_));
  }
  return &after_;
}

// Of a generator: what is left is taken out to be counted.
Result<int64_t> Loop::length(Machine& machine) {
  if (length_) return static_cast<int64_t>(*length_);
  SACCADE_TRY(Values rest, collect(machine, iterator_));
  length_ = rest.size() + static_cast<size_t>(index0_ + 1) + (after_ ? 1 : 0);
  SACCADE_TRY(const Value list, make_sequence(std::move(rest)));
  SACCADE_TRY(iterator_, iterate(list));
  return static_cast<int64_t>(*length_);
}

Result<Value> Loop::cycle(const Arguments& arguments) const {
  if (arguments.positional.empty() || !arguments.named.empty())
    return type_error("loop.cycle needs the values to go through");
  return arguments.positional[static_cast<size_t>(index0_) % arguments.positional.size()];
}

Result<Value> Loop::changed(Machine& machine, const Arguments& arguments) {
  for (const Value& each : arguments.positional)
    if (each.is(Kind::object) || each.depth() > 0)
      return not_supported("loop.changed is supported for texts and numbers only");
  bool same = last_changed_ && last_changed_->size() == arguments.positional.size();
  for (size_t i = 0; same && i < arguments.positional.size(); ++i) {
    SACCADE_TRY(same, equal(machine, (*last_changed_)[i], arguments.positional[i]));
  }
  if (!same) last_changed_ = arguments.positional;
  return Value::of(!same);
}

// Holds the loop weakly, so that a loop cannot come to hold itself.
Value Loop::method(std::string name) {
  const bool cycles = name == "cycle";
  return make_callable(
      std::move(name),
      [cycles, weak = weak_from_this()](Machine& machine, const Arguments& arguments) -> Result<Value> {
        const std::shared_ptr<Loop> loop = weak.lock();
        if (!loop) return not_supported("a method of a loop that has ended is not supported");
        return cycles ? loop->cycle(arguments) : loop->changed(machine, arguments);
      });
}

Result<std::optional<Value>> Loop::attribute(Machine& machine, std::string_view name) {
  using Found = std::optional<Value>;
  if (name == "index") return Found(Value::of(index0_ + 1));
  if (name == "index0") return Found(Value::of(index0_));
  if (name == "first") return Found(Value::of(index0_ == 0));
  if (name == "depth") return Found(Value::of(int64_t{1}));
  if (name == "depth0") return Found(Value::of(int64_t{0}));
  if (name == "cycle" || name == "changed") return Found(method(std::string(name)));
  if (name == "length" || name == "revindex" || name == "revindex0") {
    SACCADE_TRY(const int64_t all, length(machine));
    return Found(Value::of(name == "length" ? all : name == "revindex" ? all - index0_ : all - index0_ - 1));
  }
  if (name == "previtem")
    return Found(index0_ > 0 && before_ ? *before_ : Value::undefined("there is no previous item"));
  if (name == "last" || name == "nextitem") {
    SACCADE_TRY(const std::optional<Value>* after, peek(machine));
    if (name == "last") return Found(Value::of(!after->has_value()));
    return Found(after->has_value() ? **after : Value::undefined("there is no next item"));
  }
  return Found();
}

}  // namespace saccade::jinja
