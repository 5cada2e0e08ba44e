// Conversions between float32 and bfloat16 (its upper half). Widening is exact; narrowing rounds to the
// nearest, ties to even, and keeps NaN a NaN.
#pragma once

#include <bit>
#include <cstdint>

namespace saccade {

[[nodiscard]] inline float widen_bfloat16(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

[[nodiscard]] inline uint16_t narrow_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>(bits >> 16 | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace saccade
