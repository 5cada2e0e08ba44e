#include "core/tokens/prompt.h"

#include <fmt/format.h>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr size_t max_prompt_bytes = size_t{1} << 30;

}  // namespace

Result<void> check_prompt(std::string_view text) {
  if (text.size() >= max_prompt_bytes) {
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the prompt has {} bytes, at most {} are supported", text.size(), max_prompt_bytes));
  }
  if (const auto bad = find_invalid_utf8(text)) {
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the prompt is not valid UTF-8: byte {} is 0x{:02X}, expected a character "
                                  "to begin or go on there",
                                  *bad, static_cast<unsigned char>(text[*bad])));
  }
  return {};
}

Error unknown_id(int32_t id, int32_t size) {
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("token id {} is not in the vocabulary of {} tokens", id, with_thousands(size)));
}

std::string with_thousands(int32_t number) {
  std::string text = std::to_string(number);
  for (ptrdiff_t at = static_cast<ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

}  // namespace saccade::tokens
