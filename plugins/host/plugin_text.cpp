#include "plugins/host/plugin_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/tokens/unicode.h"

namespace saccade::plugins {
namespace {

// C0, DEL and C1 (in UTF-8: C2 80 to C2 9F).
bool is_control(std::string_view text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20 || byte == 0x7F) return true;
  return byte == 0xC2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
}

}  // namespace

Result<void> check_text(std::string_view text, size_t longest) {
  if (text.size() > longest)
    return make_error(ErrorCode::bad_format, fmt::format("is longer than {} bytes", longest));
  if (const auto at = tokens::find_invalid_utf8(text))
    return make_error(ErrorCode::bad_format, fmt::format("is not UTF-8 at byte {}", *at));
  for (size_t at = 0; at < text.size(); ++at)
    if (is_control(text, at))
      return make_error(ErrorCode::bad_format, fmt::format("holds a control character at byte {}", at));
  return {};
}

Result<std::string> read_c_text(const char* text, size_t longest) {
  if (!text) return make_error(ErrorCode::bad_format, "is a null pointer");
  const std::string_view found(text, ::strnlen(text, longest + 1));
  SACCADE_CHECK(check_text(found, longest));
  return std::string(found);
}

std::string printable(std::string_view text) {
  std::string valid = tokens::replace_invalid_utf8(text);
  for (size_t at = 0; at < valid.size(); ++at)
    if (is_control(valid, at)) valid.replace(at, static_cast<unsigned char>(valid[at]) == 0xC2 ? 2 : 1, "?");
  return valid;
}

std::string shown(std::string_view text) {
  constexpr size_t longest = 60;
  return printable(text.substr(0, longest)) + (text.size() > longest ? "..." : "");
}

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && text.size() <= 64 && letter(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

}  // namespace saccade::plugins
