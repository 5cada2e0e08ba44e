#include "core/tokens/jinja/text.h"

#include <algorithm>

#include "core/tokens/unicode.h"

namespace saccade::jinja {

using tokens::character_at;
using tokens::character_before;
using tokens::utf8_length;

bool is_space(char32_t character) {
  return tokens::is_whitespace(character) || (character >= 0x1C && character <= 0x1F);
}

std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> list;
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at]))
    list.emplace_back(text.substr(at, utf8_length(text[at])));
  return list;
}

std::string_view characters(std::string_view text, size_t begin, size_t end) {
  size_t at = 0;
  size_t index = 0;
  for (; at < text.size() && index < begin; ++index) at += utf8_length(text[at]);
  const size_t first = at;
  for (; at < text.size() && index < end; ++index) at += utf8_length(text[at]);
  return text.substr(first, at - first);
}

std::string_view strip(std::string_view text, Side side, const std::optional<std::string>& characters) {
  const auto goes = [&](size_t at) {
    if (!characters) return is_space(character_at(text, at));
    const std::string_view one = text.substr(at, utf8_length(text[at]));
    for (size_t i = 0; i < characters->size(); i += utf8_length((*characters)[i]))
      if (std::string_view(*characters).substr(i, utf8_length((*characters)[i])) == one) return true;
    return false;
  };
  if (side != Side::right)
    while (!text.empty() && goes(0)) text.remove_prefix(utf8_length(text[0]));
  if (side != Side::left) {
    while (!text.empty()) {
      const size_t last = character_before(text, text.size());
      if (!goes(last)) break;
      text = text.substr(0, last);
    }
  }
  return text;
}

std::vector<std::string> split(std::string_view text, std::string_view separator, int64_t most,
                               bool from_right) {
  std::vector<std::string> parts;
  while (most != 0) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    const std::string_view before = text.substr(0, at);
    const std::string_view after = text.substr(at + separator.size());
    parts.emplace_back(from_right ? after : before);
    text = from_right ? before : after;
    if (most > 0) --most;
  }
  parts.emplace_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_at_space(std::string_view text, int64_t most, bool from_right) {
  std::vector<std::string> parts;
  const Side outer = from_right ? Side::right : Side::left;
  text = strip(text, outer);
  while (!text.empty() && most != 0) {
    if (most > 0) --most;
    size_t cut = from_right ? text.size() : 0;
    if (from_right) {
      while (cut > 0 && !is_space(character_at(text, character_before(text, cut))))
        cut = character_before(text, cut);
      parts.emplace_back(text.substr(cut));
      text = strip(text.substr(0, cut), outer);
    } else {
      while (cut < text.size() && !is_space(character_at(text, cut))) cut += utf8_length(text[cut]);
      parts.emplace_back(text.substr(0, cut));
      text = strip(text.substr(cut), outer);
    }
  }
  if (!text.empty()) parts.emplace_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  const auto ends_line = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
  };
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    size_t next = at + utf8_length(text[at]);
    if (ends_line(character_at(text, at))) {
      if (text[at] == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.emplace_back(text.substr(begin, (keep_ends ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

std::string replace(std::string_view text, std::string_view old, std::string_view with, int64_t most) {
  std::string out;
  size_t at = 0;
  if (old.empty()) {  // between all characters, and at both ends
    while (most != 0) {
      out += with;
      if (most > 0) --most;
      if (at >= text.size()) break;
      const size_t length = utf8_length(text[at]);
      out += text.substr(at, length);
      at += length;
    }
    return out.append(text.substr(at));
  }
  for (; most != 0; most -= most > 0 ? 1 : 0) {
    const size_t found = text.find(old, at);
    if (found == std::string_view::npos) break;
    out.append(text.substr(at, found - at)).append(with);
    at = found + old.size();
  }
  return out.append(text.substr(at));
}

size_t count(std::string_view text, std::string_view part) {
  if (part.empty()) return tokens::count_characters(text) + 1;
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++found;
  return found;
}

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace saccade::jinja
