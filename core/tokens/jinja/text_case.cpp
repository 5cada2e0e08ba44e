// Upper and lower case as Python's str has them: simple mappings from utf8proc, the sharp s and the final
// sigma by rule; other characters whose case is more than one character are refused.
#include <fmt/format.h>
#include <utf8proc.h>

#include "core/tokens/jinja/text.h"
#include "core/tokens/jinja/value.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

using tokens::character_at;
using tokens::utf8_length;

constexpr char32_t sharp_s = 0xDF;
constexpr char32_t capital_sigma = 0x3A3;

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_cased(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT;
}

bool is_upper_letter(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LT;
}

// SpecialCasing.txt: characters whose upper case is several characters (some neighbours are caught as well).
bool has_long_upper(char32_t c) {
  return c == 0x149 || c == 0x1F0 || c == 0x390 || c == 0x3B0 || c == 0x587 || (c >= 0x1E96 && c <= 0x1E9A) ||
         (c >= 0x1F50 && c <= 0x1FFC) || (c >= 0xFB00 && c <= 0xFB17);
}

Error no_case(char32_t c) {
  return not_supported(fmt::format("the case of U+{:04X} is not supported", static_cast<uint32_t>(c)));
}

Result<void> append_upper(std::string& out, char32_t c, bool as_title) {
  if (c == sharp_s) {
    out += as_title ? "Ss" : "SS";
    return {};
  }
  if (has_long_upper(c)) return no_case(c);
  const auto simple = static_cast<utf8proc_int32_t>(c);
  tokens::append_utf8(out,
                      static_cast<char32_t>(as_title ? utf8proc_totitle(simple) : utf8proc_toupper(simple)));
  return {};
}

// Whether a neighbour of a sigma is a cased letter; nothing where it may have to be skipped to find out.
std::optional<bool> is_letter_beside(std::string_view text, size_t at) {
  const char32_t c = character_at(text, at);
  if (is_cased(c)) return true;
  const bool plain = c < 0x80 && c != '\'' && c != '.' && c != ':' && c != '^' && c != '`';
  return plain ? std::optional(false) : std::nullopt;
}

Result<void> append_sigma(std::string& out, std::string_view text, size_t at) {
  const size_t next = at + utf8_length(text[at]);
  const auto before =
      at == 0 ? std::optional(false) : is_letter_beside(text, tokens::character_before(text, at));
  const auto after = next >= text.size() ? std::optional(false) : is_letter_beside(text, next);
  if (!before || !after) return no_case(capital_sigma);
  out += *before && !*after ? "\u03C2" : "\u03C3";
  return {};
}

Result<void> append_lower(std::string& out, std::string_view text, size_t at) {
  const char32_t c = character_at(text, at);
  if (c == capital_sigma) return append_sigma(out, text, at);
  std::u32string small;
  tokens::append_lower(small, c);
  for (const char32_t part : small) tokens::append_utf8(out, part);
  return {};
}

}  // namespace

Result<std::string> lower(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at]))
    SACCADE_CHECK(append_lower(out, text, at));
  return out;
}

Result<std::string> upper(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at]))
    SACCADE_CHECK(append_upper(out, character_at(text, at), false));
  return out;
}

Result<std::string> capitalize(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    if (at == 0) {
      SACCADE_CHECK(append_upper(out, character_at(text, at), true));
    } else {
      SACCADE_CHECK(append_lower(out, text, at));
    }
  }
  return out;
}

Result<std::string> title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    const char32_t c = character_at(text, at);
    if (inside) {
      SACCADE_CHECK(append_lower(out, text, at));
    } else {
      SACCADE_CHECK(append_upper(out, c, true));
    }
    inside = is_cased(c);
  }
  return out;
}

bool is_lower(std::string_view text) {
  bool any = false;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    const char32_t c = character_at(text, at);
    if (is_upper_letter(c)) return false;
    any = any || is_cased(c);
  }
  return any;
}

bool is_upper(std::string_view text) {
  bool any = false;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    const char32_t c = character_at(text, at);
    if (is_cased(c) && category(c) != UTF8PROC_CATEGORY_LU) return false;
    any = any || is_cased(c);
  }
  return any;
}

}  // namespace saccade::jinja
