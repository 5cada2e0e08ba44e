// Expressions of a template. Private header.
#pragma once

#include "core/tokens/jinja/ast.h"
#include "core/tokens/jinja/token_stream.h"

namespace saccade::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // One expression. Without `conditional`, "if" ends it.
  Result<ExprPtr> expression(bool conditional = true);
  // Expressions with commas between become a tuple; `end` names a word that ends it as well.
  Result<ExprPtr> tuple(bool conditional = true, std::string_view end = {}, bool may_be_empty = false);
  // The filters of a block: "|a|b(1)", or "a|b(1)" when `first_has_no_bar`; null when there is none.
  Result<ExprPtr> filter_chain(bool first_has_no_bar);

  // Names that were read since the last time, for macros that ask for caller, kwargs or varargs.
  struct Uses {
    bool caller = false, named = false, rest = false;
  };
  Uses uses;

 private:
  Result<ExprPtr> either();
  Result<ExprPtr> both();
  Result<ExprPtr> negation();
  Result<ExprPtr> comparison();
  Result<ExprPtr> sum();
  Result<ExprPtr> concatenation();
  Result<ExprPtr> product();
  Result<ExprPtr> power();
  Result<ExprPtr> unary(bool filters);
  Result<ExprPtr> primary();
  Result<ExprPtr> name();
  Result<ExprPtr> list();
  Result<ExprPtr> dict();
  Result<ExprPtr> postfix(ExprPtr node);
  Result<ExprPtr> filters_and_tests(ExprPtr node);
  Result<ExprPtr> subscript(ExprPtr node);
  Result<ExprPtr> bracket(ExprPtr node);
  Result<ExprPtr> slice(ExprPtr node, ExprPtr begin);
  Result<ExprPtr> filter(ExprPtr node);
  Result<ExprPtr> test(ExprPtr node);
  Result<CallArguments> arguments();
  Result<void> argument(CallArguments& call);
  Result<std::string> dotted_name();
  Result<ExprPtr> finish(ExprPtr node);  // its depth, which has a limit

  TokenStream& tokens_;
  int depth_ = 0;
};

}  // namespace saccade::jinja
