#include "core/tokens/byte_alphabet.h"

#include <array>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr int moved_bytes = 68;  // bytes that do not stand for themselves

struct Tables {
  std::array<char32_t, 256> letter{};
  std::array<unsigned char, moved_bytes> moved{};  // letter - 0x100 -> byte
};

constexpr Tables make_tables() {
  Tables tables;
  size_t next = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(static_cast<int>(byte))) {
      tables.letter[byte] = static_cast<char32_t>(byte);
    } else {
      tables.moved[next] = static_cast<unsigned char>(byte);
      tables.letter[byte] = static_cast<char32_t>(0x100 + next);
      ++next;
    }
  }
  return tables;
}

constexpr Tables tables = make_tables();

}  // namespace

char32_t byte_to_letter(unsigned char byte) { return tables.letter[byte]; }

std::optional<unsigned char> letter_to_byte(char32_t letter) {
  if (letter < 0x100) {
    if (!stands_for_itself(static_cast<int>(letter))) return std::nullopt;
    return static_cast<unsigned char>(letter);
  }
  if (letter >= 0x100 + moved_bytes) return std::nullopt;
  return tables.moved[letter - 0x100];
}

std::optional<std::string> letters_to_bytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t at = 0; at < token.size(); at += utf8_length(token[at])) {
    const auto byte = letter_to_byte(character_at(token, at));
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
  }
  return bytes;
}

}  // namespace saccade::tokens
