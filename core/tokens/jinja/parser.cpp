#include "core/tokens/jinja/parser.h"

#include <algorithm>
#include <array>

#include "core/tokens/jinja/check_names.h"
#include "core/tokens/jinja/expression_parser.h"
#include "core/tokens/jinja/text.h"

namespace saccade::jinja {
namespace {

using StatementPtr = std::unique_ptr<Statement>;
using Ends = std::initializer_list<std::string_view>;

constexpr std::array<std::string_view, 8> left_out = {"block", "extends", "include",    "import",
                                                      "from",  "print",   "autoescape", "do"};

class Parser {
 public:
  explicit Parser(std::vector<LexToken> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}
  Result<Block> run();

 private:
  // Statements up to a tag that begins with one of `ends`; that word is the next token.
  Result<Block> block(Ends ends);
  // From the end of a tag to {% end %}, which is taken.
  Result<Block> body(std::string_view end);
  Result<void> add(Block& block);
  Result<StatementPtr> statement();
  Result<StatementPtr> named(const std::string& tag, int line);
  Result<StatementPtr> branch();
  Result<StatementPtr> loop();
  Result<StatementPtr> set();
  Result<StatementPtr> macro();
  Result<StatementPtr> call();
  Result<StatementPtr> filter();
  Result<StatementPtr> with();
  Result<StatementPtr> generation();
  Result<StatementPtr> interrupt(StatementKind kind);
  Result<Block> macro_body(Statement& macro, std::string_view end);
  Result<std::vector<Parameter>> signature();
  Result<Target> target(bool may_be_attribute, std::string_view end = {});
  Result<Target> one_target(bool may_be_attribute);

  StatementPtr make(StatementKind kind) const {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = tokens_.line();
    return made;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;        // around this statement, within the same macro: break and continue need one
  int loop_bodies_ = 0;  // around this statement: `loop` cannot be assigned to
};

Result<Block> Parser::run() {
  SACCADE_TRY(Block all, block({}));
  if (!tokens_.is(TokenKind::end)) return tokens_.expected("the end of the template");
  return all;
}

Result<Block> Parser::block(Ends ends) {
  if (++depth_ > max_parse_depth)
    return at_line(tokens_.line(), fmt::format("blocks nest deeper than {} levels", max_parse_depth));
  Block block;
  while (!tokens_.is(TokenKind::end)) {
    if (tokens_.is(TokenKind::block_begin)) {
      const LexToken& after = tokens_.after();
      const bool ended =
          after.kind == TokenKind::name && std::find(ends.begin(), ends.end(), after.text) != ends.end();
      if (ended) {
        tokens_.skip();
        --depth_;
        return block;
      }
    }
    SACCADE_CHECK(add(block));
  }
  --depth_;
  if (ends.size() == 0) return block;
  return tokens_.expected(fmt::format("{{% {} %}}", fmt::join(ends, " %} or {% ")));
}

Result<Block> Parser::body(std::string_view end) {
  SACCADE_CHECK(tokens_.expect(TokenKind::block_end, "'%}'"));
  SACCADE_TRY(Block inside, block({end}));
  tokens_.skip();
  return inside;
}

Result<void> Parser::add(Block& block) {
  StatementPtr made = make(StatementKind::text);
  if (tokens_.is(TokenKind::text)) {
    made->text = tokens_.take().text;
  } else if (tokens_.is(TokenKind::print_begin)) {
    made->kind = StatementKind::print;
    tokens_.skip();
    SACCADE_TRY(ExprPtr shown, expressions_.tuple());
    made->exprs.push_back(std::move(shown));
    SACCADE_CHECK(tokens_.expect(TokenKind::print_end, "'}}'"));
  } else {
    SACCADE_CHECK(tokens_.expect(TokenKind::block_begin, "'{%'"));
    SACCADE_TRY(made, statement());
    SACCADE_CHECK(tokens_.expect(TokenKind::block_end, "'%}'"));
  }
  block.push_back(std::move(made));
  return {};
}

// After "{%"; stops before "%}".
Result<StatementPtr> Parser::statement() {
  const int line = tokens_.line();
  SACCADE_TRY(const std::string tag, tokens_.expect_any_name("the name of a tag"));
  auto made = named(tag, line);
  if (made.ok()) (*made)->line = line;
  return made;
}

Result<StatementPtr> Parser::named(const std::string& tag, int line) {
  if (tag == "if") return branch();
  if (tag == "for") return loop();
  if (tag == "set") return set();
  if (tag == "macro") return macro();
  if (tag == "call") return call();
  if (tag == "filter") return filter();
  if (tag == "with") return with();
  if (tag == "generation") return generation();
  if (tag == "break") return interrupt(StatementKind::leave_loop);
  if (tag == "continue") return interrupt(StatementKind::next_in_loop);
  if (std::find(left_out.begin(), left_out.end(), tag) != left_out.end())
    return make_error(ErrorCode::unsupported,
                      fmt::format("line {}: the tag '{}' is not supported in chat templates", line, tag));
  return at_line(line, fmt::format("expected a tag such as if, for or set, found '{}'", tag));
}

Result<StatementPtr> Parser::branch() {
  StatementPtr made = make(StatementKind::branch);
  while (true) {
    SACCADE_TRY(ExprPtr condition, expressions_.tuple(false));
    made->exprs.push_back(std::move(condition));
    tokens_.skip_symbol(":");
    SACCADE_CHECK(tokens_.expect(TokenKind::block_end, "'%}'"));
    SACCADE_TRY(Block then, block({"elif", "else", "endif"}));
    made->blocks.push_back(std::move(then));
    const std::string end = tokens_.take().text;
    if (end == "endif") return made;
    if (end == "elif") continue;
    SACCADE_TRY(Block otherwise, body("endif"));
    made->blocks.push_back(std::move(otherwise));
    return made;
  }
}

Result<StatementPtr> Parser::loop() {
  StatementPtr made = make(StatementKind::loop);
  ++loop_bodies_;
  SACCADE_TRY(Target each, target(false, "in"));
  made->targets.push_back(std::move(each));
  if (!tokens_.skip_name("in")) return tokens_.expected("'in'");
  SACCADE_TRY(ExprPtr over, expressions_.tuple(false, "recursive"));
  made->exprs.push_back(std::move(over));
  ExprPtr condition;
  if (tokens_.skip_name("if")) {
    SACCADE_TRY(condition, expressions_.expression());
  }
  made->exprs.push_back(std::move(condition));
  if (tokens_.is_name("recursive"))
    return make_error(ErrorCode::unsupported,
                      fmt::format("line {}: a recursive loop is not supported", tokens_.line()));
  SACCADE_CHECK(tokens_.expect(TokenKind::block_end, "'%}'"));
  ++loops_;
  SACCADE_TRY(Block passes, block({"endfor", "else"}));
  --loops_;
  made->blocks.push_back(std::move(passes));
  Block otherwise;
  if (tokens_.take().text == "else") {
    SACCADE_TRY(otherwise, body("endfor"));
  }
  made->blocks.push_back(std::move(otherwise));
  --loop_bodies_;
  return made;
}

Result<StatementPtr> Parser::set() {
  StatementPtr made = make(StatementKind::assign);
  SACCADE_TRY(Target to, target(true));
  made->targets.push_back(std::move(to));
  if (tokens_.skip_symbol("=")) {
    SACCADE_TRY(ExprPtr value, expressions_.tuple());
    made->exprs.push_back(std::move(value));
    return made;
  }
  made->kind = StatementKind::capture;
  SACCADE_TRY(ExprPtr through, expressions_.filter_chain(false));
  made->exprs.push_back(std::move(through));
  SACCADE_TRY(Block inside, body("endset"));
  made->blocks.push_back(std::move(inside));
  return made;
}

// A body that runs on its own: the loops around it are not its loops.
Result<Block> Parser::macro_body(Statement& macro, std::string_view end) {
  const int loops = std::exchange(loops_, 0);
  const ExpressionParser::Uses outer = std::exchange(expressions_.uses, {});
  SACCADE_TRY(Block inside, body(end));
  macro.uses_caller = expressions_.uses.caller;
  macro.uses_named = expressions_.uses.named;
  macro.uses_rest = expressions_.uses.rest;
  expressions_.uses.caller = expressions_.uses.caller || outer.caller;
  expressions_.uses.named = expressions_.uses.named || outer.named;
  expressions_.uses.rest = expressions_.uses.rest || outer.rest;
  loops_ = loops;
  return inside;
}

Result<std::vector<Parameter>> Parser::signature() {
  std::vector<Parameter> parameters;
  SACCADE_CHECK(tokens_.expect_symbol("("));
  while (!tokens_.is_symbol(")")) {
    if (!parameters.empty()) SACCADE_CHECK(tokens_.expect_symbol(","));
    const bool needs_fallback = !parameters.empty() && parameters.back().fallback;
    SACCADE_TRY(const Target name, one_target(false));
    if (name.is_tuple) return tokens_.expected("the name of a parameter");
    Parameter parameter{name.name, nullptr};
    if (tokens_.skip_symbol("=")) {
      SACCADE_TRY(parameter.fallback, expressions_.expression());
    } else if (needs_fallback) {
      return tokens_.expected("'=' and a default, as the parameter before has one");
    }
    for (const Parameter& other : parameters)
      if (other.name == parameter.name)
        return at_line(tokens_.line(), fmt::format("the parameter '{}' is there twice", parameter.name));
    parameters.push_back(std::move(parameter));
  }
  SACCADE_CHECK(tokens_.expect_symbol(")"));
  return parameters;
}

Result<StatementPtr> Parser::macro() {
  StatementPtr made = make(StatementKind::macro);
  SACCADE_TRY(const Target name, one_target(false));
  if (name.is_tuple) return tokens_.expected("the name of the macro");
  made->text = name.name;
  SACCADE_TRY(made->parameters, signature());
  SACCADE_TRY(Block inside, macro_body(*made, "endmacro"));
  made->blocks.push_back(std::move(inside));
  return made;
}

Result<StatementPtr> Parser::call() {
  StatementPtr made = make(StatementKind::call);
  made->text = "caller";
  if (tokens_.is_symbol("(")) {
    SACCADE_TRY(made->parameters, signature());
  }
  SACCADE_TRY(ExprPtr what, expressions_.expression());
  if (what->kind != ExprKind::call) return tokens_.expected("a call of a macro before this");
  made->exprs.push_back(std::move(what));
  SACCADE_TRY(Block inside, macro_body(*made, "endcall"));
  made->blocks.push_back(std::move(inside));
  return made;
}

Result<StatementPtr> Parser::filter() {
  StatementPtr made = make(StatementKind::filter);
  SACCADE_TRY(ExprPtr through, expressions_.filter_chain(true));
  made->exprs.push_back(std::move(through));
  SACCADE_TRY(Block inside, body("endfilter"));
  made->blocks.push_back(std::move(inside));
  return made;
}

Result<StatementPtr> Parser::with() {
  StatementPtr made = make(StatementKind::with);
  while (!tokens_.is(TokenKind::block_end)) {
    if (!made->targets.empty()) SACCADE_CHECK(tokens_.expect_symbol(","));
    SACCADE_TRY(Target to, target(false));
    SACCADE_CHECK(tokens_.expect_symbol("="));
    SACCADE_TRY(ExprPtr value, expressions_.expression());
    made->targets.push_back(std::move(to));
    made->exprs.push_back(std::move(value));
  }
  SACCADE_TRY(Block inside, body("endwith"));
  made->blocks.push_back(std::move(inside));
  return made;
}

Result<StatementPtr> Parser::generation() {
  StatementPtr made = make(StatementKind::generation);
  const int loops = std::exchange(loops_, 0);
  SACCADE_TRY(Block inside, body("endgeneration"));
  loops_ = loops;
  made->blocks.push_back(std::move(inside));
  return made;
}

Result<StatementPtr> Parser::interrupt(StatementKind kind) {
  if (loops_ == 0) return tokens_.expected("a loop around 'break' or 'continue'");
  return make(kind);
}

Result<Target> Parser::target(bool may_be_attribute, std::string_view end) {
  SACCADE_TRY(Target first, one_target(may_be_attribute));
  if (!tokens_.is_symbol(",")) return first;
  Target all;
  all.is_tuple = true;
  all.line = first.line;
  all.parts.push_back(std::move(first));
  while (tokens_.skip_symbol(",")) {
    const bool ends =
        tokens_.is(TokenKind::block_end) || tokens_.is_symbol(")") || (!end.empty() && tokens_.is_name(end));
    if (ends) break;
    SACCADE_TRY(Target next, one_target(may_be_attribute));
    all.parts.push_back(std::move(next));
  }
  return all;
}

Result<Target> Parser::one_target(bool may_be_attribute) {
  Target made;
  made.line = tokens_.line();
  if (tokens_.skip_symbol("(")) {
    if (++depth_ > max_parse_depth) return tokens_.expected("fewer brackets");
    SACCADE_TRY(made, target(false));
    --depth_;
    SACCADE_CHECK(tokens_.expect_symbol(")"));
    return made;
  }
  SACCADE_TRY(made.name, tokens_.expect_any_name("a name to assign to"));
  constexpr std::array<std::string_view, 6> constants = {"true", "True", "false", "False", "none", "None"};
  if (std::find(constants.begin(), constants.end(), made.name) != constants.end())
    return at_line(made.line, fmt::format("'{}' cannot be assigned to", made.name));
  if (may_be_attribute && tokens_.skip_symbol(".")) {
    SACCADE_TRY(made.attribute, tokens_.expect_any_name("the name of an attribute"));
  } else if (made.name == "loop" && loop_bodies_ > 0) {
    return at_line(made.line, "'loop' cannot be assigned to within a loop");
  }
  return made;
}

}  // namespace

Result<Block> parse(std::string_view source) {
  SACCADE_TRY(std::vector<LexToken> tokens, lex(source));
  SACCADE_TRY(Block block, Parser(std::move(tokens)).run());
  SACCADE_CHECK(check_names(block));
  return block;
}

}  // namespace saccade::jinja
