#include "core/tokens/merges_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/unicode.h"

namespace saccade::tokens {

Result<std::pair<std::string, std::string>> parse_merge(std::string_view line, std::string_view where) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected two parts with one space between, found \"{}\"", where,
                                  replace_invalid_utf8(line.substr(0, 200))));
  }
  return std::pair(std::string(line.substr(0, space)), std::string(line.substr(space + 1)));
}

Result<BpeModel::Merges> read_merges_text(std::string_view text, size_t limit) {
  if (const auto bad = find_invalid_utf8(text)) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the list of merges is not valid UTF-8: see byte {}", *bad));
  }
  BpeModel::Merges merges;
  size_t number = 0;
  for (size_t at = 0; at < text.size() && merges.size() < limit;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    if (number == 1 && line.find("#version") != std::string_view::npos) continue;  // CLIP's: after its name
    SACCADE_TRY(auto merge, parse_merge(line, fmt::format("merges.txt, line {}", number)));
    merges.push_back(std::move(merge));
  }
  return merges;
}

}  // namespace saccade::tokens
