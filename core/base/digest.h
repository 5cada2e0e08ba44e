// 128-bit content addresses (XXH3), written as 32 hex digits. Not for security: for cache keys, provenance
// and noticing that a file is another one. Thread: one Digest object per thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace saccade {

class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  Digest& add(std::span<const std::byte> bytes);
  // Length-prefixed, so that ("ab","c") and ("a","bc") differ.
  Digest& add(std::string_view text);
  Digest& add(int64_t number);
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saccade
