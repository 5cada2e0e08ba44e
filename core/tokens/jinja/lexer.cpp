#include "core/tokens/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/jinja/string_literal.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

using tokens::character_at;
using tokens::utf8_length;

// "\r\n" and "\r" become "\n", and one line end at the end goes.
std::string normalise(std::string_view source) {
  std::string out;
  for (size_t at = 0; at < source.size(); ++at) {
    if (source[at] == '\r') {
      out += '\n';
      if (at + 1 < source.size() && source[at + 1] == '\n') ++at;
    } else {
      out += source[at];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

// None where the text is no number.
Result<Value> read_number(const std::string& text, bool real) {
  if (real) {
    SACCADE_TRY(const auto number, parse_real(text));
    return number ? Value::of(*number) : Value();
  }
  SACCADE_TRY(const auto number, parse_integer(text, 0));
  return number ? Value::of(*number) : Value();
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalise(source)) {}
  Result<std::vector<LexToken>> run();

 private:
  Result<void> add_text();
  Result<void> add_tag();
  Result<void> skip_comment();
  Result<void> add_raw(size_t body);
  Result<void> add_inside(bool block);
  Result<bool> add_tag_end(bool block);
  Result<void> add_number();
  Result<void> add_string();
  Result<void> add_symbol();

  [[nodiscard]] bool sees(std::string_view what, size_t at) const {
    return std::string_view(source_).substr(at).starts_with(what);
  }
  [[nodiscard]] size_t skip_space(size_t at) const {
    while (at < source_.size() && is_space(character_at(source_, at))) at += utf8_length(source_[at]);
    return at;
  }
  // What stands before a tag: a '-' takes all white space, otherwise that of a tag's own line goes.
  [[nodiscard]] std::string_view before_tag(size_t begin, size_t end, char sign, bool prints) const;
  // After a tag that ended at `at`: trims as its sign says and remembers whether a line begins.
  void leave_tag(size_t at, char sign, bool trims);
  void add(TokenKind kind, std::string text = {}) { tokens_.push_back({kind, std::move(text), {}, line_}); }
  void move_to(size_t at) {
    const auto newlines = std::count(source_.begin() + static_cast<int64_t>(at_),
                                     source_.begin() + static_cast<int64_t>(at), '\n');
    line_ += static_cast<int>(newlines);
    at_ = at;
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;
  std::string open_;  // brackets that are to be closed, innermost last
  std::vector<LexToken> tokens_;
};

std::string_view Lexer::before_tag(size_t begin, size_t end, char sign, bool prints) const {
  const std::string_view text = std::string_view(source_).substr(begin, end - begin);
  if (sign == '-') return strip(text, Side::right);
  if (sign == '+' || prints) return text;
  const size_t newline = text.rfind('\n');
  const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
  if (line == 0 && !line_starts_) return text;
  return strip(text.substr(line), Side::both).empty() ? text.substr(0, line) : text;
}

void Lexer::leave_tag(size_t at, char sign, bool trims) {
  if (sign == '-') {
    at = skip_space(at);
  } else if (sign != '+' && trims && sees("\n", at)) {
    ++at;
  }
  move_to(at);
  line_starts_ = source_[at - 1] == '\n';
}

Result<std::vector<LexToken>> Lexer::run() {
  while (at_ < source_.size()) SACCADE_CHECK(add_text());
  add(TokenKind::end);
  return std::move(tokens_);
}

// Text up to the next tag, and the tag.
Result<void> Lexer::add_text() {
  size_t tag = source_.find('{', at_);
  while (tag != std::string::npos && !sees("{{", tag) && !sees("{%", tag) && !sees("{#", tag))
    tag = source_.find('{', tag + 1);
  if (tag == std::string::npos) {
    add(TokenKind::text, source_.substr(at_));
    move_to(source_.size());
    return {};
  }
  const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
  const std::string_view text = before_tag(at_, tag, sign, source_[tag + 1] == '{');
  if (!text.empty()) add(TokenKind::text, std::string(text));
  move_to(tag);
  return add_tag();
}

Result<void> Lexer::add_tag() {
  const char kind = source_[at_ + 1];
  const bool has_sign = at_ + 2 < source_.size() && (source_[at_ + 2] == '-' || source_[at_ + 2] == '+');
  const size_t inside = at_ + (has_sign ? 3 : 2);
  if (kind == '#') {
    move_to(inside);
    return skip_comment();
  }
  if (kind == '%') {
    const size_t name = skip_space(inside);
    const size_t after = sees("raw", name) ? skip_space(name + 3) : name;
    if (after != name && sees("%}", after)) return add_raw(after + 2);
    if (after != name && sees("-%}", after)) return add_raw(skip_space(after + 3));
  }
  add(kind == '%' ? TokenKind::block_begin : TokenKind::print_begin);
  move_to(inside);
  return add_inside(kind == '%');
}

Result<void> Lexer::skip_comment() {
  const size_t end = source_.find("#}", at_);
  if (end == std::string::npos) return at_line(line_, "expected the end of a comment, found none");
  const char sign = end > at_ ? source_[end - 1] : ' ';
  leave_tag(end + 2, sign, true);
  return {};
}

// `body`: where the raw text begins.
Result<void> Lexer::add_raw(size_t body) {
  const int line = line_;
  move_to(body);
  line_starts_ = source_[body - 1] == '\n';
  for (size_t tag = source_.find("{%", body); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    const size_t name = skip_space(tag + (sign == '-' || sign == '+' ? 3 : 2));
    if (!sees("endraw", name)) continue;
    const size_t end = skip_space(name + 6);
    const bool has_sign = sees("-%}", end) || sees("+%}", end);
    if (!has_sign && !sees("%}", end)) continue;
    const std::string_view text = before_tag(body, tag, sign, false);
    if (!text.empty()) add(TokenKind::text, std::string(text));
    leave_tag(end + (has_sign ? 3 : 2), source_[end], true);
    return {};
  }
  return at_line(line, "expected {% endraw %}, found the end of the template");
}

// The expression tokens of a tag, to its end.
Result<void> Lexer::add_inside(bool block) {
  open_.clear();
  while (true) {
    move_to(skip_space(at_));
    if (at_ >= source_.size()) {
      return at_line(line_, fmt::format("expected {}, found the end of the template", block ? "%}" : "}}"));
    }
    if (open_.empty()) {
      SACCADE_TRY(const bool ended, add_tag_end(block));
      if (ended) return {};
    }
    const char c = source_[at_];
    if (is_digit(c)) {
      SACCADE_CHECK(add_number());
    } else if (is_name_start(c)) {
      size_t end = at_;
      while (end < source_.size() && is_name_part(source_[end])) ++end;
      add(TokenKind::name, source_.substr(at_, end - at_));
      move_to(end);
    } else if (c == '\'' || c == '"') {
      SACCADE_CHECK(add_string());
    } else {
      SACCADE_CHECK(add_symbol());
    }
  }
}

Result<bool> Lexer::add_tag_end(bool block) {
  const std::string_view mark = block ? "%}" : "}}";
  const char sign = source_[at_];
  const bool has_sign = (sign == '-' || (block && sign == '+')) && sees(mark, at_ + 1);
  if (!has_sign && !sees(mark, at_)) return false;
  add(block ? TokenKind::block_end : TokenKind::print_end);
  leave_tag(at_ + (has_sign ? 3 : 2), has_sign ? sign : ' ', block);
  return true;
}

Result<void> Lexer::add_number() {
  // Integers with a prefix take letters; floats need digits on both sides of their point.
  const auto digits = [&](size_t at) {
    while (at < source_.size() && (is_digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() &&
                                                             is_digit(source_[at + 1]))))
      ++at;
    return at;
  };
  size_t end = digits(at_);
  bool real = false;
  const bool whole = at_ > 0 && source_[at_ - 1] == '.';  // "list.0.1" has no float in it
  if (!whole && sees(".", end) && end + 1 < source_.size() && is_digit(source_[end + 1])) {
    end = digits(end + 1);
    real = true;
  }
  if (!whole && (sees("e", end) || sees("E", end))) {
    size_t exponent = end + 1;
    if (sees("+", exponent) || sees("-", exponent)) ++exponent;
    if (exponent < source_.size() && is_digit(source_[exponent])) {
      end = digits(exponent);
      real = true;
    }
  }
  if (!real && end == at_ + 1 && source_[at_] == '0' && end < source_.size() && is_name_start(source_[end]))
    while (end < source_.size() && is_name_part(source_[end])) ++end;
  const std::string text = source_.substr(at_, end - at_);
  auto value = read_number(text, real);
  if (!value.ok()) return at_line(line_, value.error().message);
  if (value->is(Kind::none)) return at_line(line_, fmt::format("expected a number, found {}", text));
  tokens_.push_back({TokenKind::number, text, *value, line_});
  move_to(end);
  return {};
}

Result<void> Lexer::add_string() {
  const char quote = source_[at_];
  size_t end = at_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) return at_line(line_, "expected the end of a string, found none");
  auto text = unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1));
  if (!text.ok()) return at_line(line_, text.error().message);
  add(TokenKind::string, std::move(*text));
  move_to(end + 1);
  return {};
}

Result<void> Lexer::add_symbol() {
  for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
    if (!sees(two, at_)) continue;
    add(TokenKind::symbol, std::string(two));
    move_to(at_ + 2);
    return {};
  }
  const char c = source_[at_];
  const std::string found = source_.substr(at_, utf8_length(c));
  if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos)
    return at_line(line_, fmt::format("the character '{}' is not expected here", found));
  if (c == '(') open_ += ')';
  if (c == '[') open_ += ']';
  if (c == '{') open_ += '}';
  if (c == ')' || c == ']' || c == '}') {
    if (open_.empty()) return at_line(line_, fmt::format("'{}' closes nothing", c));
    if (open_.back() != c) return at_line(line_, fmt::format("expected '{}', found '{}'", open_.back(), c));
    open_.pop_back();
  }
  add(TokenKind::symbol, found);
  move_to(at_ + 1);
  return {};
}

}  // namespace

Result<std::vector<LexToken>> lex(std::string_view source) { return Lexer(source).run(); }

Error at_line(int line, std::string_view message) {
  return make_error(ErrorCode::bad_format, fmt::format("line {}: {}", line, message));
}

std::string describe(const LexToken& token) {
  switch (token.kind) {
    case TokenKind::text:
      return "text";
    case TokenKind::block_begin:
      return "'{%'";
    case TokenKind::block_end:
      return "'%}'";
    case TokenKind::print_begin:
      return "'{{'";
    case TokenKind::print_end:
      return "'}}'";
    case TokenKind::string:
      return "the string " + quoted(std::string(characters(token.text, 0, 40)));
    case TokenKind::name:
    case TokenKind::number:
    case TokenKind::symbol:
      return "'" + std::string(characters(token.text, 0, 40)) + "'";
    case TokenKind::end:
      return "the end of the template";
  }
  return "nothing";
}

}  // namespace saccade::jinja
