// The few questions about Unicode that tokenizers ask: UTF-8 walking and checking, character classes, case
// and the four normal forms' building blocks (Unicode Standard, chapter 3; tables from utf8proc).
//
// Text is UTF-8 that has been checked with find_invalid_utf8() unless a function says otherwise. Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace saccade::tokens {

// Byte offset of the first byte that is no part of a well-formed character; nothing when all is well.
[[nodiscard]] std::optional<size_t> find_invalid_utf8(std::string_view bytes);
// Each maximal ill-formed part becomes one U+FFFD (Unicode 3.9, "substitution of maximal subparts").
[[nodiscard]] std::string replace_invalid_utf8(std::string_view bytes);

// Length in bytes of the character whose first byte this is.
[[nodiscard]] inline size_t utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
[[nodiscard]] inline bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}
// The character that starts at byte `at`.
[[nodiscard]] char32_t character_at(std::string_view text, size_t at);
// First byte of the character that ends just before byte `end` (end > 0).
[[nodiscard]] size_t character_before(std::string_view text, size_t end);
void append_utf8(std::string& out, char32_t character);
[[nodiscard]] size_t count_characters(std::string_view text);

[[nodiscard]] bool is_whitespace(char32_t character);   // property White_Space
[[nodiscard]] bool is_numeric(char32_t character);      // categories Nd, Nl, No
[[nodiscard]] bool is_punctuation(char32_t character);  // categories P*, and every ASCII symbol
[[nodiscard]] bool is_word(char32_t character);         // \w: Alphabetic, M, Nd, Pc, Join_Control
[[nodiscard]] bool is_unprintable(char32_t character);  // categories Cc, Cf, Zl, Zp, Co, Cs, Cn

[[nodiscard]] bool is_mark(char32_t character, bool all);  // category Mn; with `all` Mc and Me, too
// Bytes of the extended grapheme cluster that `text`, not empty, begins with (Unicode Standard Annex 29).
[[nodiscard]] size_t cluster_length(std::string_view text);

// Full lower case: one character, two for U+0130.
void append_lower(std::u32string& out, char32_t character);

// Canonical (or compatibility) decomposition of one character, appended.
void append_decomposition(std::u32string& out, char32_t character, bool compatibility);
[[nodiscard]] int combining_class(char32_t character);
// The primary composite of two characters, if they have one.
[[nodiscard]] std::optional<char32_t> compose(char32_t first, char32_t second);

}  // namespace saccade::tokens
