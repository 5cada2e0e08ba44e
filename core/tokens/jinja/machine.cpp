#include "core/tokens/jinja/machine.h"

#include <fmt/format.h>

#include "core/tokens/jinja/text.h"

namespace saccade::jinja {

Result<std::optional<Value>> Namespace::attribute(Machine&, std::string_view name) {
  const auto found = attributes_.find(name);
  return found == attributes_.end() ? std::optional<Value>() : std::optional<Value>(found->second);
}

Result<void> Namespace::set(const std::string& name, Value value) {
  if (name.starts_with('_'))
    return type_error(
        fmt::format("a namespace cannot hold {}: the name begins with an underscore", quoted(name)));
  SACCADE_CHECK(check_holdable(value));
  attributes_[name] = std::move(value);
  return {};
}

Result<void> Machine::step() {
  if (++steps_ <= max_steps) return {};
  return not_supported(fmt::format("the template loops more than {} times", max_steps));
}

Result<void> Machine::work(size_t amount) {
  work_ += static_cast<int64_t>(amount);
  if (work_ <= max_work) return {};
  return not_supported(
      fmt::format("the template handles more than {} bytes of text and items on its way", max_work));
}

Result<void> Machine::enter() {
  if (depth_ >= max_depth)
    return not_supported(fmt::format("the template nests deeper than {} levels", max_depth));
  ++depth_;
  return {};
}

Result<Namespace*> Machine::make_namespace() {
  if (spaces_.size() >= max_namespaces)
    return not_supported(fmt::format("the template makes more than {} namespaces", max_namespaces));
  return &spaces_.emplace_back();
}

}  // namespace saccade::jinja
