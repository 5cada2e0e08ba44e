// Little-endian numbers from untrusted bytes. Reading past the end gives zeros and is remembered. Private to
// core/model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace saccade {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, uint64_t at = 0)
      : bytes_(bytes), at_(at), failed_(at > bytes.size()) {}

  template <class Number>
  Number number() {
    Number value{};
    const std::span<const std::byte> from = take(sizeof value);
    if (from.size() == sizeof value) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }
  // Empty when there are fewer.
  std::span<const std::byte> take(uint64_t size) {
    if (failed_ || size > bytes_.size() - at_) {
      failed_ = true;
      return {};
    }
    const auto found = bytes_.subspan(static_cast<size_t>(at_), static_cast<size_t>(size));
    at_ += size;
    return found;
  }
  std::string_view text(uint64_t size) {
    const std::span<const std::byte> found = take(size);
    return {reinterpret_cast<const char*>(found.data()), found.size()};
  }
  void skip(uint64_t size) { (void)take(size); }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] uint64_t at() const { return at_; }
  [[nodiscard]] uint64_t left() const { return failed_ ? 0 : bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
  bool failed_ = false;
};

}  // namespace saccade
