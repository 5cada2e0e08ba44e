// What a fuzz target does with a tokenizer that a reader made of its bytes.
#pragma once

#include <memory>
#include <string_view>

#include "core/tokens/tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace saccade::fuzz {

// Encodes and decodes; offsets must stay inside the text, and every id must be one it can read.
inline void use(const Result<std::shared_ptr<const Tokenizer>>& tokenizer) {
  if (!tokenizer.ok()) return;
  for (const std::string_view text : {"", "Hello, w\u00f6rld 123!\n", "<s> \U0001F600\u0301 a  b"}) {
    const auto tokens = (*tokenizer)->encode(text, {});
    if (!tokens.ok()) continue;
    if (!(*tokenizer)->decode(tokens->ids()).ok()) __builtin_trap();
    for (const Token& token : tokens->tokens) {
      if (token.begin < 0 || token.end < token.begin || token.end > static_cast<int64_t>(text.size()))
        __builtin_trap();
    }
  }
}

}  // namespace saccade::fuzz
