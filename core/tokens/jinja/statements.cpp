#include <fmt/format.h>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/evaluator.h"
#include "core/tokens/jinja/operators.h"

namespace saccade::jinja {

Result<std::string> Evaluator::run(const Block& block) {
  std::string text;
  out_ = &text;
  const Result<Flow> flow = exec(block);  // the parser lets break and continue stand in loops only
  out_ = nullptr;
  if (!flow.ok()) return flow.error();
  return text;
}

Result<void> Evaluator::write(std::string_view text) {
  out_->append(text);
  if (out_->size() > max_text_bytes) return not_supported("the text grows beyond 16 MB");
  return machine_.work(text.size());
}

Result<Flow> Evaluator::exec(const Block& block) {
  for (const auto& statement : block) {
    SACCADE_TRY(const Flow flow, exec(*statement));
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Result<Flow> Evaluator::exec(const Statement& statement) {
  const Level level(machine_);
  if (!level.entered().ok()) return located(level.entered().error(), statement.line);
  SACCADE_CHECK(machine_.work(Machine::work_of_one));
  auto flow = exec_kind(statement);
  if (!flow.ok()) return located(std::move(flow).error(), statement.line);
  return flow;
}

Result<Flow> Evaluator::exec_kind(const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::text:
      SACCADE_CHECK(write(statement.text));
      return Flow::normal;
    case StatementKind::print:
      return exec_print(statement);
    case StatementKind::branch:
      return exec_branch(statement);
    case StatementKind::loop:
      return exec_loop(statement);
    case StatementKind::assign:
      return exec_assign(statement);
    case StatementKind::capture:
      return exec_capture(statement);
    case StatementKind::macro: {
      SACCADE_TRY(const Value macro, make_macro(statement));
      scope_->names[statement.text] = macro;
      return Flow::normal;
    }
    case StatementKind::call:
      return exec_call_block(statement);
    case StatementKind::filter:
      return exec_filter(statement);
    case StatementKind::with:
      return exec_with(statement);
    case StatementKind::generation:
      return exec_generation(statement);
    case StatementKind::leave_loop:
      return Flow::leave_loop;
    case StatementKind::next_in_loop:
      return Flow::next_in_loop;
  }
  return Flow::normal;
}

Result<Flow> Evaluator::exec_print(const Statement& statement) {
  SACCADE_TRY(const Value value, eval(*statement.exprs[0]));
  SACCADE_TRY(const std::string text, to_text(machine_, value));
  SACCADE_CHECK(write(text));
  return Flow::normal;
}

Result<Flow> Evaluator::exec_branch(const Statement& statement) {
  for (size_t i = 0; i < statement.exprs.size(); ++i) {
    SACCADE_TRY(const Value condition, eval(*statement.exprs[i]));
    if (condition.truth()) return exec(statement.blocks[i]);
  }
  if (statement.blocks.size() > statement.exprs.size()) return exec(statement.blocks.back());
  return Flow::normal;
}

// With a condition the items are sifted as they come, in a scope that sees what is around the loop.
Result<std::shared_ptr<Loop>> Evaluator::start_loop(const Statement& statement) {
  SACCADE_TRY(const Value source, eval(*statement.exprs[0]));
  SACCADE_TRY(const Value iterator, iterate(source));
  if (!statement.exprs[1]) {
    std::optional<size_t> length;
    if (!source.is(Kind::iterator)) {
      SACCADE_TRY(length, source.length());
    }
    return std::make_shared<Loop>(iterator, length);
  }
  // The loop does not outlive this scope, which holds its variable: no cycle through `outer`.
  auto sift = [this, iterator, outer = scope_, &statement]() -> Result<std::optional<Value>> {
    while (true) {
      SACCADE_TRY(std::optional<Value> each, next(machine_, iterator));
      if (!each) return each;
      const InScope inside(*this, outer);
      SACCADE_CHECK(assign(statement.targets[0], *each));
      SACCADE_TRY(const Value passes, eval(*statement.exprs[1]));
      if (passes.truth()) return each;
    }
  };
  SACCADE_TRY(Value sifted, make_iterator(std::move(sift), source.depth()));
  return std::make_shared<Loop>(std::move(sifted), std::nullopt);
}

Result<Flow> Evaluator::exec_loop(const Statement& statement) {
  SACCADE_TRY(const std::shared_ptr<Loop> loop, start_loop(statement));
  bool completed_a_pass = false;  // as in jinja2, a pass that was broken off does not count for `else`
  {
    const InScope inside(*this, scope_);
    while (true) {
      SACCADE_TRY(const std::optional<Value> each, loop->advance(machine_));
      if (!each) break;
      scope_->names.clear();
      scope_->names["loop"] = Value::of(std::shared_ptr<Object>(loop));
      SACCADE_CHECK(assign(statement.targets[0], *each));
      SACCADE_TRY(const Flow flow, exec(statement.blocks[0]));
      if (flow == Flow::leave_loop) break;
      if (flow == Flow::normal) completed_a_pass = true;
    }
  }
  if (completed_a_pass || statement.blocks[1].empty()) return Flow::normal;
  const InScope inside(*this, scope_);
  return exec(statement.blocks[1]);
}

Result<void> Evaluator::assign_attribute(const Target& target, const Value& value) {
  SACCADE_TRY(const Value holder, lookup(target.name));
  auto* space = holder.is(Kind::object) ? dynamic_cast<Namespace*>(&holder.object()) : nullptr;
  if (!space)
    return type_error(
        fmt::format("'{}' is no namespace, so '{}' cannot be set", target.name, target.attribute));
  return space->set(target.attribute, value);
}

Result<void> Evaluator::assign(const Target& target, const Value& value) {
  if (!target.is_tuple) {
    if (!target.attribute.empty()) return assign_attribute(target, value);
    scope_->names[target.name] = value;
    return {};
  }
  SACCADE_TRY(const Values parts, collect(machine_, value));
  if (parts.size() != target.parts.size())
    return type_error(
        fmt::format("expected {} values to unpack, found {}", target.parts.size(), parts.size()));
  for (size_t i = 0; i < parts.size(); ++i) SACCADE_CHECK(assign(target.parts[i], parts[i]));
  return {};
}

Result<Flow> Evaluator::exec_assign(const Statement& statement) {
  SACCADE_TRY(const Value value, eval(*statement.exprs[0]));
  SACCADE_CHECK(assign(statement.targets[0], value));
  return Flow::normal;
}

Result<std::string> Evaluator::text_of(const Block& block, Flow& flow) {
  std::string text;
  std::string* const before = std::exchange(out_, &text);
  const InScope inside(*this, scope_);
  auto done = exec(block);
  out_ = before;
  if (!done.ok()) return std::move(done).error();
  flow = *done;
  return text;
}

Result<Flow> Evaluator::exec_capture(const Statement& statement) {
  Flow flow = Flow::normal;
  SACCADE_TRY(std::string text, text_of(statement.blocks[0], flow));
  if (flow != Flow::normal) return flow;
  Value value = Value::of(std::move(text));
  if (statement.exprs[0]) {
    SACCADE_TRY(value, eval_filter(*statement.exprs[0], &value));
  }
  SACCADE_CHECK(assign(statement.targets[0], value));
  return Flow::normal;
}

Result<Flow> Evaluator::exec_filter(const Statement& statement) {
  Flow flow = Flow::normal;
  SACCADE_TRY(std::string text, text_of(statement.blocks[0], flow));
  if (flow != Flow::normal) return flow;
  const Value body = Value::of(std::move(text));
  SACCADE_TRY(const Value made, eval_filter(*statement.exprs[0], &body));
  SACCADE_TRY(const std::string shown, to_text(machine_, made));
  SACCADE_CHECK(write(shown));
  return Flow::normal;
}

Result<Flow> Evaluator::exec_with(const Statement& statement) {
  Values values;
  for (const ExprPtr& each : statement.exprs) {
    SACCADE_TRY(Value value, eval(*each));
    values.push_back(std::move(value));
  }
  const InScope inside(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) SACCADE_CHECK(assign(statement.targets[i], values[i]));
  return exec(statement.blocks[0]);
}

Result<Flow> Evaluator::exec_generation(const Statement& statement) {
  const InScope inside(*this, scope_);
  return exec(statement.blocks[0]);
}

Result<Flow> Evaluator::exec_call_block(const Statement& statement) {
  SACCADE_TRY(const Value caller, make_macro(statement));
  SACCADE_TRY(const Value made, eval_call(*statement.exprs[0], &caller));
  SACCADE_TRY(const std::string text, need_text(made, "what a call block makes"));
  SACCADE_CHECK(write(text));
  return Flow::normal;
}

Result<std::string> evaluate(const Block& block, const Variables& variables,
                             std::optional<std::string> date) {
  Machine machine(std::move(date));
  Evaluator evaluator(machine, variables);
  return evaluator.run(block);
}

}  // namespace saccade::jinja
