// The running template: names in scopes, and the text so far. Private header.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/tokens/jinja/evaluate.h"
#include "core/tokens/jinja/loop.h"
#include "core/tokens/jinja/machine.h"

namespace saccade::jinja {

// Names as a block sees them. Assigning always goes to the innermost one.
struct Scope {
  std::shared_ptr<Scope> outer;
  Variables names;
  bool captured = false;  // a macro was made here, which keeps it
};

enum class Flow { normal, leave_loop, next_in_loop };

class Evaluator {
 public:
  Evaluator(Machine& machine, const Variables& variables)
      : machine_(machine), variables_(variables), scope_(std::make_shared<Scope>()) {}
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;
  ~Evaluator() {  // macros and their scopes hold each other
    for (const auto& scope : captured_) scope->names.clear();
  }

  Result<std::string> run(const Block& block);

 private:
  friend class InScope;

  // expressions.cpp
  Result<Value> eval(const Expr& expr);
  Result<Value> eval_kind(const Expr& expr);
  Result<Value> eval_unary(const Expr& expr);
  Result<Value> eval_subscript(const Expr& expr);
  Result<Value> eval_parts(const Expr& expr, SequenceKind kind);
  Result<Value> eval_dict(const Expr& expr);
  Result<Value> eval_slice(const Expr& expr);
  Result<Value> eval_call(const Expr& expr, const Value* caller = nullptr);
  Result<Value> eval_filter(const Expr& expr, const Value* body = nullptr);
  Result<Value> eval_test(const Expr& expr);
  Result<Value> eval_logic(const Expr& expr);
  Result<Value> eval_comparison(const Expr& expr);
  Result<Value> eval_concatenation(const Expr& expr);
  Result<Value> eval_conditional(const Expr& expr);
  Result<Arguments> eval_arguments(const CallArguments& call);
  Result<void> spread(const Value& dict, Arguments& arguments);
  Result<Value> lookup(std::string_view name);

  // statements.cpp
  Result<Flow> exec(const Block& block);
  Result<Flow> exec(const Statement& statement);
  Result<Flow> exec_kind(const Statement& statement);
  Result<Flow> exec_print(const Statement& statement);
  Result<Flow> exec_branch(const Statement& statement);
  Result<Flow> exec_loop(const Statement& statement);
  Result<Flow> exec_assign(const Statement& statement);
  Result<Flow> exec_capture(const Statement& statement);
  Result<Flow> exec_filter(const Statement& statement);
  Result<Flow> exec_with(const Statement& statement);
  Result<Flow> exec_call_block(const Statement& statement);
  Result<Flow> exec_generation(const Statement& statement);
  Result<std::shared_ptr<Loop>> start_loop(const Statement& statement);
  Result<void> assign(const Target& target, const Value& value);
  Result<void> assign_attribute(const Target& target, const Value& value);
  Result<void> write(std::string_view text);
  // Runs the block in a scope of its own and gives its text; the flow in `flow`.
  Result<std::string> text_of(const Block& block, Flow& flow);

  // macros.cpp
  Result<Value> make_macro(const Statement& macro);
  Result<Value> call_macro(const Statement& macro, const std::shared_ptr<Scope>& scope,
                           const Arguments& arguments);
  Result<void> bind(const Statement& macro, Arguments arguments);

  Machine& machine_;
  const Variables& variables_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::shared_ptr<Scope>> captured_;
  std::string* out_ = nullptr;
};

// A scope inside another one, for as long as it lives.
class InScope {
 public:
  InScope(Evaluator& evaluator, std::shared_ptr<Scope> outer)
      : evaluator_(evaluator), before_(evaluator.scope_) {
    evaluator.scope_ = std::make_shared<Scope>();
    evaluator.scope_->outer = std::move(outer);
  }
  ~InScope() { evaluator_.scope_ = before_; }
  InScope(const InScope&) = delete;
  InScope& operator=(const InScope&) = delete;

 private:
  Evaluator& evaluator_;
  std::shared_ptr<Scope> before_;
};

// Adds "line N" to an error that has no line yet; a template's own raise_exception stays as it is.
[[nodiscard]] Error located(Error error, int line);

}  // namespace saccade::jinja
