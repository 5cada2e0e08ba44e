#include "core/tokens/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/tokens/jinja/parser.h"

namespace saccade::jinja {
namespace {

ExprPtr make(ExprKind kind, int line) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  return node;
}

template <class... Parts>
ExprPtr make(ExprKind kind, int line, Parts... parts) {
  ExprPtr node = make(kind, line);
  (node->parts.push_back(std::move(parts)), ...);
  return node;
}

ExprPtr make_constant(Value value, int line) {
  ExprPtr node = make(ExprKind::constant, line);
  node->value = std::move(value);
  return node;
}

Error too_deep(int line) {
  return at_line(line, fmt::format("the expression nests deeper than {} levels", max_parse_depth));
}

// Counts a level for as long as it lives.
class Deeper {
 public:
  explicit Deeper(int& depth) : depth_(depth) { ++depth_; }
  ~Deeper() { --depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  int& depth_;
};

std::optional<Comparison> comparison_of(const LexToken& token) {
  constexpr std::array<std::pair<std::string_view, Comparison>, 6> symbols = {{
      {"==", Comparison::equal},
      {"!=", Comparison::not_equal},
      {"<", Comparison::less},
      {"<=", Comparison::less_equal},
      {">", Comparison::greater},
      {">=", Comparison::greater_equal},
  }};
  if (token.kind != TokenKind::symbol) return std::nullopt;
  for (const auto& [symbol, comparison] : symbols)
    if (token.text == symbol) return comparison;
  return std::nullopt;
}

}  // namespace

Result<ExprPtr> ExpressionParser::finish(ExprPtr node) {
  const auto count = [&](const ExprPtr& part) {
    if (part) node->depth = std::max(node->depth, part->depth + 1);
  };
  for (const ExprPtr& part : node->parts) count(part);
  for (const ExprPtr& part : node->call.positional) count(part);
  for (const auto& [name, part] : node->call.named) count(part);
  count(node->call.list);
  count(node->call.dict);
  if (node->depth > 2 * max_parse_depth) return too_deep(node->line);
  return node;
}

Result<ExprPtr> ExpressionParser::expression(bool conditional) {
  const Deeper deeper(depth_);
  if (depth_ > max_parse_depth) return too_deep(tokens_.line());
  const int line = tokens_.line();
  SACCADE_TRY(ExprPtr node, either());
  while (conditional && tokens_.skip_name("if")) {
    SACCADE_TRY(ExprPtr condition, either());
    ExprPtr otherwise;
    if (tokens_.skip_name("else")) {
      SACCADE_TRY(otherwise, expression());
    }
    SACCADE_TRY(node, finish(make(ExprKind::conditional, line, std::move(condition), std::move(node),
                                  std::move(otherwise))));
  }
  return node;
}

Result<ExprPtr> ExpressionParser::tuple(bool conditional, std::string_view end, bool may_be_empty) {
  const auto ends = [&] {
    return tokens_.is(TokenKind::block_end) || tokens_.is(TokenKind::print_end) || tokens_.is_symbol(")") ||
           (!end.empty() && tokens_.is_name(end));
  };
  ExprPtr node = make(ExprKind::tuple, tokens_.line());
  bool has_comma = false;
  while (!ends()) {
    SACCADE_TRY(ExprPtr part, expression(conditional));
    node->parts.push_back(std::move(part));
    if (!tokens_.skip_symbol(",")) break;
    has_comma = true;
  }
  if (!has_comma && node->parts.size() == 1) return std::move(node->parts[0]);
  if (node->parts.empty() && !may_be_empty) return tokens_.expected("an expression");
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::either() {
  SACCADE_TRY(ExprPtr node, both());
  for (int line = tokens_.line(); tokens_.skip_name("or"); line = tokens_.line()) {
    SACCADE_TRY(ExprPtr right, both());
    SACCADE_TRY(node, finish(make(ExprKind::either, line, std::move(node), std::move(right))));
  }
  return node;
}

Result<ExprPtr> ExpressionParser::both() {
  SACCADE_TRY(ExprPtr node, negation());
  for (int line = tokens_.line(); tokens_.skip_name("and"); line = tokens_.line()) {
    SACCADE_TRY(ExprPtr right, negation());
    SACCADE_TRY(node, finish(make(ExprKind::both, line, std::move(node), std::move(right))));
  }
  return node;
}

Result<ExprPtr> ExpressionParser::negation() {
  const int line = tokens_.line();
  if (!tokens_.skip_name("not")) return comparison();
  const Deeper deeper(depth_);
  if (depth_ > max_parse_depth) return too_deep(line);
  SACCADE_TRY(ExprPtr node, negation());
  return finish(make(ExprKind::negation, line, std::move(node)));
}

Result<ExprPtr> ExpressionParser::comparison() {
  const int line = tokens_.line();
  SACCADE_TRY(ExprPtr node, sum());
  bool compares = false;
  while (true) {
    std::optional<Comparison> found = comparison_of(tokens_.now());
    if (tokens_.is_name("in")) found = Comparison::in;
    const LexToken& after = tokens_.after();
    if (tokens_.is_name("not") && after.kind == TokenKind::name && after.text == "in") {
      tokens_.skip();
      found = Comparison::not_in;
    }
    if (!found) break;
    tokens_.skip();
    if (!compares) node = make(ExprKind::comparison, line, std::move(node));
    compares = true;
    SACCADE_TRY(ExprPtr right, sum());
    node->comparisons.push_back(*found);
    node->parts.push_back(std::move(right));
  }
  return compares ? finish(std::move(node)) : Result<ExprPtr>(std::move(node));
}

Result<ExprPtr> ExpressionParser::sum() {
  SACCADE_TRY(ExprPtr node, concatenation());
  while (tokens_.is_symbol("+") || tokens_.is_symbol("-")) {
    const LexToken symbol = tokens_.take();
    SACCADE_TRY(ExprPtr right, concatenation());
    ExprPtr both = make(ExprKind::arithmetic, symbol.line, std::move(node), std::move(right));
    both->operation = symbol.text == "+" ? Binary::add : Binary::subtract;
    SACCADE_TRY(node, finish(std::move(both)));
  }
  return node;
}

Result<ExprPtr> ExpressionParser::concatenation() {
  const int line = tokens_.line();
  SACCADE_TRY(ExprPtr first, product());
  if (!tokens_.is_symbol("~")) return first;
  ExprPtr node = make(ExprKind::concatenate, line, std::move(first));
  while (tokens_.skip_symbol("~")) {
    SACCADE_TRY(ExprPtr next, product());
    node->parts.push_back(std::move(next));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::product() {
  constexpr std::array<std::pair<std::string_view, Binary>, 4> symbols = {{
      {"*", Binary::multiply},
      {"/", Binary::divide},
      {"//", Binary::floor_divide},
      {"%", Binary::modulo},
  }};
  SACCADE_TRY(ExprPtr node, power());
  while (true) {
    const auto found = std::find_if(symbols.begin(), symbols.end(),
                                    [&](const auto& each) { return tokens_.is_symbol(each.first); });
    if (found == symbols.end()) return node;
    const int line = tokens_.take().line;
    SACCADE_TRY(ExprPtr right, power());
    ExprPtr both = make(ExprKind::arithmetic, line, std::move(node), std::move(right));
    both->operation = found->second;
    SACCADE_TRY(node, finish(std::move(both)));
  }
}

Result<ExprPtr> ExpressionParser::power() {
  SACCADE_TRY(ExprPtr node, unary(true));
  for (int line = tokens_.line(); tokens_.skip_symbol("**"); line = tokens_.line()) {
    SACCADE_TRY(ExprPtr right, unary(true));
    ExprPtr both = make(ExprKind::arithmetic, line, std::move(node), std::move(right));
    both->operation = Binary::power;
    SACCADE_TRY(node, finish(std::move(both)));
  }
  return node;
}

Result<ExprPtr> ExpressionParser::unary(bool filters) {
  const int line = tokens_.line();
  const Deeper deeper(depth_);
  if (depth_ > max_parse_depth) return too_deep(line);
  ExprPtr node;
  if (tokens_.is_symbol("-") || tokens_.is_symbol("+")) {
    const ExprKind kind = tokens_.take().text == "-" ? ExprKind::minus : ExprKind::plus;
    SACCADE_TRY(ExprPtr operand, unary(false));
    SACCADE_TRY(node, finish(make(kind, line, std::move(operand))));
  } else {
    SACCADE_TRY(node, primary());
  }
  SACCADE_TRY(node, postfix(std::move(node)));
  if (!filters) return node;
  return filters_and_tests(std::move(node));
}

Result<ExprPtr> ExpressionParser::name() {
  LexToken token = tokens_.take();
  const std::string& text = token.text;
  if (text == "true" || text == "True") return make_constant(Value::of(true), token.line);
  if (text == "false" || text == "False") return make_constant(Value::of(false), token.line);
  if (text == "none" || text == "None") return make_constant(Value(), token.line);
  uses.caller = uses.caller || text == "caller";
  uses.named = uses.named || text == "kwargs";
  uses.rest = uses.rest || text == "varargs";
  ExprPtr node = make(ExprKind::name, token.line);
  node->name = std::move(token.text);
  return node;
}

Result<ExprPtr> ExpressionParser::primary() {
  const LexToken& token = tokens_.now();
  const int line = token.line;
  if (token.kind == TokenKind::name) return name();
  if (token.kind == TokenKind::number) return make_constant(tokens_.take().number, line);
  if (token.kind == TokenKind::string) {
    std::string text;
    while (tokens_.is(TokenKind::string)) text += tokens_.take().text;  // neighbours are one
    return make_constant(Value::of(std::move(text)), line);
  }
  if (tokens_.skip_symbol("(")) {
    SACCADE_TRY(ExprPtr node, tuple(true, {}, true));
    SACCADE_CHECK(tokens_.expect_symbol(")"));
    return node;
  }
  if (tokens_.skip_symbol("[")) return list();
  if (tokens_.skip_symbol("{")) return dict();
  return tokens_.expected("an expression");
}

Result<ExprPtr> ExpressionParser::list() {
  ExprPtr node = make(ExprKind::list, tokens_.line());
  while (!tokens_.skip_symbol("]")) {
    if (!node->parts.empty()) {
      SACCADE_CHECK(tokens_.expect_symbol(","));
      if (tokens_.skip_symbol("]")) break;
    }
    SACCADE_TRY(ExprPtr item, expression());
    node->parts.push_back(std::move(item));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::dict() {
  ExprPtr node = make(ExprKind::dict, tokens_.line());
  while (!tokens_.skip_symbol("}")) {
    if (!node->parts.empty()) {
      SACCADE_CHECK(tokens_.expect_symbol(","));
      if (tokens_.skip_symbol("}")) break;
    }
    SACCADE_TRY(ExprPtr key, expression());
    SACCADE_CHECK(tokens_.expect_symbol(":"));
    SACCADE_TRY(ExprPtr value, expression());
    node->parts.push_back(std::move(key));
    node->parts.push_back(std::move(value));
  }
  return finish(std::move(node));
}

}  // namespace saccade::jinja
