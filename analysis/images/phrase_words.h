// Words among tokens, for what is said about a picture: which tokens make a word, and whether it means
// something. Pure; thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tokens/tokenizer.h"

namespace saccade {

struct PhraseWord {
  std::string text;            // without the blanks around it
  int64_t begin = 0, end = 0;  // its tokens
  bool is_stop = false;        // a stop word of English, punctuation or a special token
};

// Of tokens [begin, end). A token goes on with the word before it where it follows that in the text without a
// blank, and both are of letters or digits.
[[nodiscard]] std::vector<PhraseWord> phrase_words(std::span<const Token> tokens, int64_t begin, int64_t end);
// The first place where the words of `phrase` stand one after another, whatever their case; punctuation
// between them does not count. Empty: nowhere.
[[nodiscard]] std::vector<PhraseWord> find_phrase(std::span<const PhraseWord> words, std::string_view phrase);
[[nodiscard]] bool is_stop_word(std::string_view word);

}  // namespace saccade
