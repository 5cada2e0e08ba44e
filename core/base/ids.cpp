#include "core/base/ids.h"

#include <charconv>

namespace saccade {
namespace {

// Reads digits off the front of `text`.
bool take_number(std::string_view& text, int32_t& value) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;  // from_chars takes a minus
  const auto [next, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(next - text.data()));
  return true;
}

bool take_letter(std::string_view& text, char upper) {
  if (text.empty() || (text.front() & ~0x20) != upper) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string to_string(HeadId head) {
  return std::to_string(head.layer.value) + "." + std::to_string(head.head.value);
}

Result<HeadId> parse_head(std::string_view text) {
  std::string_view rest = text;
  HeadId id;
  const bool letters = take_letter(rest, 'L');
  const bool layer = take_number(rest, id.layer.value);
  const bool separator = letters ? take_letter(rest, 'H') : !rest.empty() && rest.front() == '.';
  if (!letters && separator) rest.remove_prefix(1);
  if (!layer || !separator || !take_number(rest, id.head.value) || !rest.empty())
    return make_error(ErrorCode::invalid_argument,
                      "expected a head such as 9.9 or L9H9, found '" + std::string(text) + "'");
  return id;
}

}  // namespace saccade
