// repr() of texts and floats, int() and float() of texts.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "core/tokens/jinja/text.h"
#include "core/tokens/jinja/value.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

using tokens::utf8_length;

bool is_shown_as_is(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7F;
  return !tokens::is_unprintable(c) && !tokens::is_whitespace(c);
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

// The digits without Python's underscores, which must stand between two digits; nothing otherwise.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '_') {
      out += text[at];
      continue;
    }
    const bool between =
        at > 0 && at + 1 < text.size() && digit_value(text[at - 1]) < 36 && digit_value(text[at + 1]) < 36;
    if (!between) return std::nullopt;
  }
  return out;
}

Result<std::string_view> plain_number(std::string_view text) {
  text = strip(text, Side::both);
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at]))
    if (tokens::character_at(text, at) >= 0x80 && tokens::is_numeric(tokens::character_at(text, at)))
      return not_supported(fmt::format("reading a number from {} is not supported", quoted(text)));
  return text;
}

// Takes "0x" and its like off; nothing when base 0 finds no valid digits to come.
std::optional<int64_t> take_prefix(std::string_view& digits, int64_t base) {
  const char mark = digits.size() > 1 && digits[0] == '0' ? digits[1] : '\0';
  const int64_t marked = mark == 'x' || mark == 'X'   ? 16
                         : mark == 'o' || mark == 'O' ? 8
                         : mark == 'b' || mark == 'B' ? 2
                                                      : 0;
  if (marked != 0 && (base == 0 || base == marked)) {
    digits.remove_prefix(2);
    if (!digits.empty() && digits[0] == '_') digits.remove_prefix(1);
    return marked;
  }
  if (base != 0) return base;
  if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of("0_") != std::string_view::npos)
    return std::nullopt;
  return 10;
}

}  // namespace

std::string quoted(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    const char32_t c = tokens::character_at(text, at);
    const auto code = static_cast<uint32_t>(c);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_shown_as_is(c)) {
      tokens::append_utf8(out, c);
    } else {
      out += code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const double magnitude = std::abs(value);
  const bool plain = magnitude == 0.0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                         plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string out(buffer.data(), end);
  if (code != std::errc()) return "nan";
  if (plain && out.find('.') == std::string::npos) out += ".0";
  return out;
}

Result<std::optional<int64_t>> parse_integer(std::string_view text, int64_t base) {
  using Found = std::optional<int64_t>;
  SACCADE_TRY(std::string_view rest, plain_number(text));
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  const auto real_base = take_prefix(rest, base);
  const auto digits = real_base ? without_underscores(rest) : std::nullopt;
  if (!digits || digits->empty()) return Found();
  for (const char c : *digits)
    if (digit_value(c) >= *real_base) return Found();
  int64_t value = 0;
  const std::string signed_digits = (negative ? "-" : "") + *digits;
  const char* const end = signed_digits.data() + signed_digits.size();
  const auto [stop, code] = std::from_chars(signed_digits.data(), end, value, static_cast<int>(*real_base));
  if (code != std::errc() || stop != end)
    return not_supported(fmt::format("the integer {} has more than 64 bits", signed_digits.substr(0, 40)));
  return Found(value);
}

Result<std::optional<double>> parse_real(std::string_view text) {
  using Found = std::optional<double>;
  SACCADE_TRY(std::string_view rest, plain_number(text));
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  const auto digits = without_underscores(rest);
  if (!digits || digits->empty()) return Found();
  const char first = (*digits)[0];
  if (first == '-' || first == '+' || digits->find('(') != std::string::npos) return Found();
  double value = 0.0;
  const char* const end = digits->data() + digits->size();
  const auto [stop, code] = std::from_chars(digits->data(), end, value);
  if (stop != end) return Found();
  if (code != std::errc())
    return not_supported(fmt::format("the number {} is outside what a float holds", digits->substr(0, 40)));
  return Found(negative ? -value : value);
}

}  // namespace saccade::jinja
