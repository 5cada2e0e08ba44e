#include "core/tokens/jinja/check_names.h"

#include <fmt/format.h>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/lexer.h"

namespace saccade::jinja {
namespace {

Result<void> check(const Block& block, bool soft);

Result<void> check(const ExprPtr& expr, bool soft) {
  if (!expr) return {};
  if (!soft && expr->kind == ExprKind::filter && !find_filter(expr->name))
    return at_line(expr->line, fmt::format("there is no filter '{}'", expr->name));
  if (!soft && expr->kind == ExprKind::test && !find_test(expr->name))
    return at_line(expr->line, fmt::format("there is no test '{}'", expr->name));
  const bool inner = soft || expr->kind == ExprKind::conditional;
  for (const ExprPtr& part : expr->parts) SACCADE_CHECK(check(part, inner));
  for (const ExprPtr& part : expr->call.positional) SACCADE_CHECK(check(part, inner));
  for (const auto& [name, part] : expr->call.named) SACCADE_CHECK(check(part, inner));
  SACCADE_CHECK(check(expr->call.list, inner));
  return check(expr->call.dict, inner);
}

Result<void> check(const Statement& statement, bool soft) {
  const bool is_branch = statement.kind == StatementKind::branch;
  const bool is_loop = statement.kind == StatementKind::loop;
  for (size_t i = 0; i < statement.exprs.size(); ++i) {
    const bool inner = is_branch || (soft && !(is_loop && i == 1));  // a loop's condition stands on its own
    SACCADE_CHECK(check(statement.exprs[i], inner));
  }
  for (const Parameter& parameter : statement.parameters) SACCADE_CHECK(check(parameter.fallback, false));
  for (const Block& block : statement.blocks) SACCADE_CHECK(check(block, is_branch));
  return {};
}

Result<void> check(const Block& block, bool soft) {
  for (const auto& statement : block) SACCADE_CHECK(check(*statement, soft));
  return {};
}

}  // namespace

Result<void> check_names(const Block& block) { return check(block, false); }

}  // namespace saccade::jinja
