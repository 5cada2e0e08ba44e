#include "kernels/base/result.h"

namespace saccade {

namespace {

// A name in a hostile file may be megabytes long: what people read keeps both ends of a text that is too
// long.
std::string without_its_middle(std::string text) {
  constexpr size_t most = 2000, head = 1200, tail = 600;
  if (text.size() <= most) return text;
  const auto is_inside = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; };
  size_t end = head, begin = text.size() - tail;
  while (end > 0 && is_inside(end)) --end;
  while (begin < text.size() && is_inside(begin)) ++begin;
  const std::string left_out = std::to_string(begin - end);
  return text.substr(0, end) + " [" + left_out + " bytes left out] " + text.substr(begin);
}

}  // namespace

std::string Error::to_string() const {
  std::string text;
  for (auto step = context.rbegin(); step != context.rend(); ++step) text += *step + ": ";
  return without_its_middle(text + message);
}

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid argument";
    case ErrorCode::not_found:
      return "not found";
    case ErrorCode::bad_format:
      return "bad format";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::io:
      return "input/output";
    case ErrorCode::out_of_memory:
      return "out of memory";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

}  // namespace saccade
