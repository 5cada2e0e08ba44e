// The variable `loop` of a for loop, which is also what drives it. Private header.
#pragma once

#include <memory>

#include "core/tokens/jinja/machine.h"
#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

class Loop : public Object, public std::enable_shared_from_this<Loop> {
 public:
  // `iterator` over the items; `length` where it is known beforehand.
  Loop(Value iterator, std::optional<size_t> length) : iterator_(std::move(iterator)), length_(length) {}

  // The next item, which becomes the current one; nothing at the end.
  Result<std::optional<Value>> advance(Machine& machine);

  [[nodiscard]] std::string_view type_name() const override { return "LoopContext"; }
  Result<std::optional<Value>> attribute(Machine& machine, std::string_view name) override;

 private:
  Result<int64_t> length(Machine& machine);
  Result<const std::optional<Value>*> peek(Machine& machine);  // looks at the item after this one
  Result<Value> cycle(const Arguments& arguments) const;
  Result<Value> changed(Machine& machine, const Arguments& arguments);
  Value method(std::string name);

  Value iterator_;
  std::optional<size_t> length_;
  int64_t index0_ = -1;
  std::optional<Value> before_, current_, after_;
  std::optional<Values> last_changed_;
};

}  // namespace saccade::jinja
