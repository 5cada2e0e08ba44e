// A template's text as tokens. White space control is settled here: trim_blocks and lstrip_blocks are on, as
// chat templates are written for. Private header.
//
// Source: the Jinja 3.1 template designer documentation, "Whitespace Control", "Escaping", "Literals".
// Errors (bad_format) begin with "line N: ". Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

enum class TokenKind {
  text,
  block_begin,
  block_end,
  print_begin,
  print_end,
  name,
  string,
  number,
  symbol,
  end
};

struct LexToken {
  TokenKind kind = TokenKind::end;
  std::string text;  // of a name, a symbol, or text between tags; a string with its escapes resolved
  Value number;
  int line = 1;
};

// The last token is `end`.
Result<std::vector<LexToken>> lex(std::string_view source);

[[nodiscard]] Error at_line(int line, std::string_view message);  // bad_format: "line 3: ..."
[[nodiscard]] std::string describe(const LexToken& token);        // for messages: what was found

}  // namespace saccade::jinja
