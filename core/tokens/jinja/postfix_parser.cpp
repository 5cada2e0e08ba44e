// What follows a value: attributes, items, calls, filters, tests.
#include <algorithm>

#include "core/tokens/jinja/expression_parser.h"
#include "core/tokens/jinja/parser.h"

namespace saccade::jinja {
namespace {

ExprPtr around(ExprKind kind, int line, ExprPtr inner) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  node->parts.push_back(std::move(inner));
  return node;
}

}  // namespace

Result<ExprPtr> ExpressionParser::postfix(ExprPtr node) {
  while (true) {
    if (tokens_.is_symbol(".") || tokens_.is_symbol("[")) {
      SACCADE_TRY(node, subscript(std::move(node)));
    } else if (tokens_.is_symbol("(")) {
      node = around(ExprKind::call, tokens_.line(), std::move(node));
      SACCADE_TRY(node->call, arguments());
      SACCADE_TRY(node, finish(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExprPtr> ExpressionParser::filters_and_tests(ExprPtr node) {
  while (true) {
    if (tokens_.skip_symbol("|")) {
      SACCADE_TRY(node, filter(std::move(node)));
    } else if (tokens_.skip_name("is")) {
      SACCADE_TRY(node, test(std::move(node)));
    } else if (tokens_.is_symbol("(")) {
      node = around(ExprKind::call, tokens_.line(), std::move(node));
      SACCADE_TRY(node->call, arguments());
      SACCADE_TRY(node, finish(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExprPtr> ExpressionParser::subscript(ExprPtr node) {
  const LexToken symbol = tokens_.take();
  if (symbol.text == "[") return bracket(std::move(node));
  if (tokens_.is(TokenKind::name)) {
    node = around(ExprKind::attribute, symbol.line, std::move(node));
    node->name = tokens_.take().text;
    return finish(std::move(node));
  }
  if (!tokens_.is(TokenKind::number) || !tokens_.now().number.is(Kind::integer))
    return tokens_.expected("a name or a whole number after '.'");
  node = around(ExprKind::item, symbol.line, std::move(node));
  auto index = std::make_unique<Expr>();
  index->line = symbol.line;
  index->value = tokens_.take().number;
  node->parts.push_back(std::move(index));
  return finish(std::move(node));
}

// After "[".
Result<ExprPtr> ExpressionParser::bracket(ExprPtr node) {
  const int line = tokens_.line();
  if (tokens_.is_symbol(":")) return slice(std::move(node), nullptr);
  if (tokens_.is_symbol("]")) return tokens_.expected("an expression");
  SACCADE_TRY(ExprPtr index, expression());
  if (tokens_.is_symbol(":")) return slice(std::move(node), std::move(index));
  if (tokens_.is_symbol(",")) {
    index = around(ExprKind::tuple, line, std::move(index));
    while (tokens_.skip_symbol(",")) {
      if (tokens_.is_symbol("]")) break;
      SACCADE_TRY(ExprPtr next, expression());
      index->parts.push_back(std::move(next));
    }
    SACCADE_TRY(index, finish(std::move(index)));
  }
  SACCADE_CHECK(tokens_.expect_symbol("]"));
  node = around(ExprKind::item, line, std::move(node));
  node->parts.push_back(std::move(index));
  return finish(std::move(node));
}

// At the first ":".
Result<ExprPtr> ExpressionParser::slice(ExprPtr node, ExprPtr begin) {
  node = around(ExprKind::slice, tokens_.line(), std::move(node));
  node->parts.push_back(std::move(begin));
  for (int i = 0; i < 2; ++i) {
    ExprPtr bound;
    if (tokens_.skip_symbol(":") && !tokens_.is_symbol(":") && !tokens_.is_symbol("]")) {
      SACCADE_TRY(bound, expression());
    }
    node->parts.push_back(std::move(bound));
  }
  SACCADE_CHECK(tokens_.expect_symbol("]"));
  return finish(std::move(node));
}

Result<std::string> ExpressionParser::dotted_name() {
  SACCADE_TRY(std::string name, tokens_.expect_any_name("a name"));
  while (tokens_.skip_symbol(".")) {
    SACCADE_TRY(const std::string part, tokens_.expect_any_name("a name"));
    name += "." + part;
  }
  return name;
}

Result<ExprPtr> ExpressionParser::filter(ExprPtr node) {
  node = around(ExprKind::filter, tokens_.line(), std::move(node));
  SACCADE_TRY(node->name, dotted_name());
  if (tokens_.is_symbol("(")) {
    SACCADE_TRY(node->call, arguments());
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::filter_chain(bool first_has_no_bar) {
  ExprPtr node;
  if (first_has_no_bar) {
    SACCADE_TRY(node, filter(nullptr));
  }
  while (tokens_.skip_symbol("|")) {
    SACCADE_TRY(node, filter(std::move(node)));
  }
  return node;
}

// After "is".
Result<ExprPtr> ExpressionParser::test(ExprPtr node) {
  const int line = tokens_.line();
  const bool negated = tokens_.skip_name("not");
  node = around(ExprKind::test, line, std::move(node));
  SACCADE_TRY(node->name, dotted_name());
  const bool begins_value = tokens_.is(TokenKind::name) || tokens_.is(TokenKind::string) ||
                            tokens_.is(TokenKind::number) || tokens_.is_symbol("[") || tokens_.is_symbol("{");
  const bool goes_on = tokens_.is_name("else") || tokens_.is_name("or") || tokens_.is_name("and");
  if (tokens_.is_symbol("(")) {
    SACCADE_TRY(node->call, arguments());
  } else if (begins_value && !goes_on) {
    if (tokens_.is_name("is")) return tokens_.expected("no second test after the first");
    SACCADE_TRY(ExprPtr argument, primary());
    SACCADE_TRY(argument, postfix(std::move(argument)));
    node->call.positional.push_back(std::move(argument));
  }
  SACCADE_TRY(node, finish(std::move(node)));
  if (!negated) return node;
  return finish(around(ExprKind::negation, line, std::move(node)));
}

Result<CallArguments> ExpressionParser::arguments() {
  CallArguments call;
  SACCADE_CHECK(tokens_.expect_symbol("("));
  bool first = true;
  while (!tokens_.is_symbol(")")) {
    if (!first) {
      SACCADE_CHECK(tokens_.expect_symbol(","));
      if (tokens_.is_symbol(")")) break;
    }
    first = false;
    SACCADE_CHECK(argument(call));
  }
  SACCADE_CHECK(tokens_.expect_symbol(")"));
  return call;
}

Result<void> ExpressionParser::argument(CallArguments& call) {
  const LexToken& after = tokens_.after();
  const bool is_named = tokens_.is(TokenKind::name) && after.kind == TokenKind::symbol && after.text == "=";
  if (tokens_.is_symbol("*")) {
    if (call.list || call.dict) return tokens_.expected("one '*' before '**'");
    tokens_.skip();
    SACCADE_TRY(call.list, expression());
  } else if (tokens_.is_symbol("**")) {
    if (call.dict) return tokens_.expected("one '**'");
    tokens_.skip();
    SACCADE_TRY(call.dict, expression());
  } else if (is_named) {
    if (call.dict) return tokens_.expected("'**' as the last argument");
    std::string name = tokens_.take().text;
    for (const auto& [other, value] : call.named)
      if (other == name)
        return at_line(tokens_.line(), fmt::format("the argument '{}' is given twice", name));
    tokens_.skip();
    SACCADE_TRY(ExprPtr value, expression());
    call.named.emplace_back(std::move(name), std::move(value));
  } else {
    if (call.list || call.dict || !call.named.empty())
      return tokens_.expected("a named argument after the named ones");
    SACCADE_TRY(ExprPtr value, expression());
    call.positional.push_back(std::move(value));
  }
  return {};
}

}  // namespace saccade::jinja
