// The tokens of a vocabulary that are marks and not text: ends, padding, masks, turns of a conversation.
#pragma once

#include <string>
#include <vector>

#include "core/tokens/tokenizer.h"

namespace saccade {

// In the order of their ids. Asks for every token once: for work in the background. Thread: any.
[[nodiscard]] std::vector<Token> special_tokens(const Tokenizer& tokenizer);

// One line for people, the ends first: "BOS <s> (1), EOS </s> (2), <unk> (0)"; of many the first and how many
// more there are. Empty when there are none.
[[nodiscard]] std::string special_tokens_text(const Tokenizer& tokenizer);

}  // namespace saccade
