#include "core/capture/encoding.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>

#include "core/tokens/unicode.h"

namespace saccade {

bool needs_escape(std::string_view text) {
  return text.find('\0') != std::string_view::npos || tokens::find_invalid_utf8(text).has_value();
}

std::string escape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t valid = tokens::find_invalid_utf8(text).value_or(text.size());
    for (const char c : text.substr(0, valid)) {
      if (c == '\\')
        out += "\\\\";
      else if (c == '\0')
        out += "\\x00";
      else
        out += c;
    }
    text.remove_prefix(valid);
    if (text.empty()) break;
    out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    text.remove_prefix(1);
  }
  return out;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '\\') {
      out += '\\';
      ++i;
      continue;
    }
    const std::string_view digits = text.substr(std::min(i + 2, text.size()), 2);
    int byte = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (i + 1 >= text.size() || text[i + 1] != 'x' || digits.size() != 2 || code != std::errc() ||
        end != digits.data() + 2 || byte < 0)
      return make_error(ErrorCode::bad_format,
                        fmt::format("expected \\xHH or \\\\ at byte {} of an escaped text", i));
    out += static_cast<char>(byte);
    i += 3;
  }
  return out;
}

uint16_t to_float16(float value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return sign | 0x7E00;
  const float size = std::fabs(value);
  if (size >= 65520.0F) return sign | 0x7C00;  // rounds beyond the largest, 65504
  if (size < 0x1p-14F)                         // subnormal: whole multiples of 2^-24
    return sign | static_cast<uint16_t>(std::nearbyintf(size * 0x1p24F));
  const auto bits = std::bit_cast<uint32_t>(size) - (uint32_t{127 - 15} << 23);
  const uint32_t half = (bits + 0xFFF + ((bits >> 13) & 1)) >> 13;  // a carry moves into the exponent
  return sign | static_cast<uint16_t>(half);
}

}  // namespace saccade
