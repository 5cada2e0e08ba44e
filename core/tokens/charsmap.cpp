#include "core/tokens/charsmap.h"

#include <fmt/format.h>

#include <cstring>

namespace saccade::tokens {
namespace {

// The parts of a unit.
bool has_leaf(uint32_t unit) { return (unit >> 8U & 1U) != 0; }
uint32_t value_of(uint32_t unit) { return unit & 0x7fffffffU; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000ffU; }
uint32_t offset_of(uint32_t unit) { return unit >> 10U << ((unit & 0x200U) >> 6U); }

}  // namespace

Result<Charsmap> Charsmap::make(std::string_view bytes) {
  uint32_t size = 0;
  if (bytes.size() >= sizeof size) std::memcpy(&size, bytes.data(), sizeof size);
  if (bytes.size() < sizeof size || size % 4 != 0 || size > bytes.size() - sizeof size)
    return make_error(
        ErrorCode::bad_format,
        fmt::format("precompiled_charsmap: its trie of {} bytes does not fit {} bytes", size, bytes.size()));
  Charsmap made;
  made.units_.resize(size / 4);
  std::memcpy(made.units_.data(), bytes.data() + 4, size);
  made.replacements_ = bytes.substr(4 + size);
  return made;
}

std::optional<std::string_view> Charsmap::find(std::string_view text) const {
  if (units_.empty()) return std::nullopt;
  uint64_t at = offset_of(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    at ^= byte;
    if (at >= units_.size() || label_of(units_[at]) != byte) break;
    const uint32_t unit = units_[at];
    at ^= offset_of(unit);
    if (at >= units_.size()) break;
    if (!has_leaf(unit)) continue;
    const uint32_t value = value_of(units_[at]);
    if (value >= replacements_.size()) return std::nullopt;
    const size_t end = std::min(replacements_.find('\0', value), replacements_.size());
    return std::string_view(replacements_).substr(value, end - value);
  }
  return std::nullopt;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<uint32_t>(c - '0') + 52;
    else if (c == '+')
      value = 62;
    else if (c == '/')
      value = 63;
    else
      return std::nullopt;
    bits = bits << 6U | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count & 0xffU));
  }
  return bytes;
}

}  // namespace saccade::tokens
