// The parser's place in the tokens. Private header.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "core/tokens/jinja/lexer.h"

namespace saccade::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<LexToken> tokens) : tokens_(std::move(tokens)) {}

  [[nodiscard]] const LexToken& now() const { return tokens_[at_]; }
  [[nodiscard]] const LexToken& after() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  [[nodiscard]] int line() const { return now().line; }
  void skip() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  LexToken take() {
    LexToken token = now();
    skip();
    return token;
  }
  [[nodiscard]] bool is(TokenKind kind) const { return now().kind == kind; }
  [[nodiscard]] bool is_symbol(std::string_view text) const {
    return is(TokenKind::symbol) && now().text == text;
  }
  [[nodiscard]] bool is_name(std::string_view text) const {
    return is(TokenKind::name) && now().text == text;
  }
  bool skip_symbol(std::string_view text) { return is_symbol(text) && (skip(), true); }
  bool skip_name(std::string_view text) { return is_name(text) && (skip(), true); }

  [[nodiscard]] Error expected(std::string_view what) const {
    return at_line(line(), fmt::format("expected {}, found {}", what, describe(now())));
  }
  Result<void> expect_symbol(std::string_view text) {
    if (skip_symbol(text)) return {};
    return expected(fmt::format("'{}'", text));
  }
  Result<void> expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) return expected(what);
    skip();
    return {};
  }
  Result<std::string> expect_any_name(std::string_view what) {
    if (!is(TokenKind::name)) return expected(what);
    return take().text;
  }

 private:
  std::vector<LexToken> tokens_;
  size_t at_ = 0;
};

}  // namespace saccade::jinja
