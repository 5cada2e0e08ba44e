// GPT-2's alphabet: each of the 256 bytes as one printable character, so that a vocabulary of byte strings
// can be written as text. Printable Latin-1 stands for itself, the rest for U+0100 onward (" " is "Ġ", line
// feed "Ċ"). Source: Radford et al., "Language models are unsupervised multitask learners", 2019, the
// published encoder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace saccade::tokens {

[[nodiscard]] char32_t byte_to_letter(unsigned char byte);
[[nodiscard]] std::optional<unsigned char> letter_to_byte(char32_t letter);

// The bytes a token string stands for; nothing when it has a character outside the alphabet.
[[nodiscard]] std::optional<std::string> letters_to_bytes(std::string_view token);

}  // namespace saccade::tokens
