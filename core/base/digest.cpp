#include "core/base/digest.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace saccade {

struct Digest::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_128bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Digest::Digest() : state_(std::make_unique<State>()) {}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

Digest& Digest::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
  return *this;
}

Digest& Digest::add(std::string_view text) {
  add(static_cast<int64_t>(text.size()));
  return add(std::as_bytes(std::span(text.data(), text.size())));
}

Digest& Digest::add(int64_t number) { return add(std::as_bytes(std::span(&number, 1))); }

std::string Digest::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace saccade
