#include "core/model/quantised.h"

#include <array>
#include <bit>
#include <cstring>

namespace saccade {
namespace {

// What is left out of a block's bytes is read in order.
class Block {
 public:
  explicit Block(const std::byte* at) : at_(reinterpret_cast<const uint8_t*>(at)) {}
  const uint8_t* bytes(int64_t count) {
    const uint8_t* found = at_;
    at_ += count;
    return found;
  }
  float half() {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes(2), 2);
    const uint32_t sign = (bits & 0x8000U) << 16U;
    const uint32_t exponent = bits >> 10U & 0x1fU, fraction = bits & 0x3ffU;
    if (exponent == 0) {  // subnormal: fraction * 2^-24
      const float size = static_cast<float>(fraction) * 0x1p-24F;
      return sign != 0 ? -size : size;
    }
    const uint32_t wide = exponent == 31 ? 0xffU : exponent + 112U;
    return std::bit_cast<float>(sign | wide << 23U | fraction << 13U);
  }

 private:
  const uint8_t* at_;
};

using Widen = void (*)(Block block, float* out);

void q4_0(Block block, float* out) {
  const float d = block.half();
  const uint8_t* q = block.bytes(16);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((q[i] & 15) - 8);
    out[i + 16] = d * static_cast<float>((q[i] >> 4) - 8);
  }
}

void q4_1(Block block, float* out) {
  const float d = block.half(), low = block.half();
  const uint8_t* q = block.bytes(16);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(q[i] & 15) + low;
    out[i + 16] = d * static_cast<float>(q[i] >> 4) + low;
  }
}

// The fifth bits of 32 numbers.
uint32_t high_bits(Block& block) {
  uint32_t bits = 0;
  std::memcpy(&bits, block.bytes(4), 4);
  return bits;
}

void q5_0(Block block, float* out) {
  const float d = block.half();
  const uint32_t high = high_bits(block);
  const uint8_t* q = block.bytes(16);
  for (int i = 0; i < 16; ++i) {
    const int first = (q[i] & 15) | static_cast<int>(high >> i & 1U) << 4;
    const int second = (q[i] >> 4) | static_cast<int>(high >> (i + 16) & 1U) << 4;
    out[i] = d * static_cast<float>(first - 16);
    out[i + 16] = d * static_cast<float>(second - 16);
  }
}

void q5_1(Block block, float* out) {
  const float d = block.half(), low = block.half();
  const uint32_t high = high_bits(block);
  const uint8_t* q = block.bytes(16);
  for (int i = 0; i < 16; ++i) {
    const int first = (q[i] & 15) | static_cast<int>(high >> i & 1U) << 4;
    const int second = (q[i] >> 4) | static_cast<int>(high >> (i + 16) & 1U) << 4;
    out[i] = d * static_cast<float>(first) + low;
    out[i + 16] = d * static_cast<float>(second) + low;
  }
}

void q8_0(Block block, float* out) {
  const float d = block.half();
  const uint8_t* q = block.bytes(32);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(q[i]));
}

// 16 groups of 16: four bits of scale, four of minimum each; two bits a number, four numbers a byte, 32
// apart.
void q2_k(Block block, float* out) {
  const uint8_t* scales = block.bytes(16);
  const uint8_t* q = block.bytes(64);
  const float d = block.half(), low = block.half();
  for (int group = 0; group < 16; ++group) {
    const int half = group / 8, shift = group % 8 / 2 * 2, first = group % 2 * 16;
    const float scale = d * static_cast<float>(scales[group] & 15),
                minimum = low * static_cast<float>(scales[group] >> 4);
    for (int i = 0; i < 16; ++i)
      *out++ = scale * static_cast<float>(q[half * 32 + first + i] >> shift & 3) - minimum;
  }
}

// 16 scales of six bits: the low four of scale i in half a byte, the high two packed behind them.
std::array<int, 16> scales_of_q3(const uint8_t* packed) {
  std::array<int, 16> scales{};
  for (int i = 0; i < 16; ++i) {
    const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
    const int high = packed[8 + i % 4] >> (i / 4 * 2) & 3;
    scales[static_cast<size_t>(i)] = (low | high << 4) - 32;
  }
  return scales;
}

// As Q2_K, with a third bit a number in a mask, and no minimum.
void q3_k(Block block, float* out) {
  const uint8_t* mask = block.bytes(32);
  const uint8_t* q = block.bytes(64);
  const std::array<int, 16> scales = scales_of_q3(block.bytes(12));
  const float d = block.half();
  for (int group = 0; group < 16; ++group) {
    const int half = group / 8, shift = group % 8 / 2 * 2, first = group % 2 * 16, bit = group / 2;
    const float scale = d * static_cast<float>(scales[static_cast<size_t>(group)]);
    for (int i = 0; i < 16; ++i) {
      const int low = q[half * 32 + first + i] >> shift & 3;
      *out++ = scale * static_cast<float>((mask[first + i] >> bit & 1) != 0 ? low : low - 4);
    }
  }
}

struct ScaleAndMinimum {
  int scale, minimum;
};

// Eight pairs of six bits in 12 bytes: the first four plain, the others with their top bits in the first
// eight.
ScaleAndMinimum pair_of(const uint8_t* packed, int i) {
  if (i < 4) return {packed[i] & 63, packed[i + 4] & 63};
  return {(packed[i + 4] & 15) | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4};
}

void q4_k(Block block, float* out) {
  const float d = block.half(), low = block.half();
  const uint8_t* scales = block.bytes(12);
  const uint8_t* q = block.bytes(128);
  for (int group = 0; group < 8; ++group) {
    const ScaleAndMinimum p = pair_of(scales, group);
    const float scale = d * static_cast<float>(p.scale), minimum = low * static_cast<float>(p.minimum);
    for (int i = 0; i < 32; ++i) {
      const uint8_t byte = q[group / 2 * 32 + i];
      *out++ = scale * static_cast<float>(group % 2 == 0 ? byte & 15 : byte >> 4) - minimum;
    }
  }
}

void q5_k(Block block, float* out) {
  const float d = block.half(), low = block.half();
  const uint8_t* scales = block.bytes(12);
  const uint8_t* high = block.bytes(32);
  const uint8_t* q = block.bytes(128);
  for (int group = 0; group < 8; ++group) {
    const ScaleAndMinimum p = pair_of(scales, group);
    const float scale = d * static_cast<float>(p.scale), minimum = low * static_cast<float>(p.minimum);
    for (int i = 0; i < 32; ++i) {
      const uint8_t byte = q[group / 2 * 32 + i];
      const int number = (group % 2 == 0 ? byte & 15 : byte >> 4) | (high[i] >> group & 1) << 4;
      *out++ = scale * static_cast<float>(number) - minimum;
    }
  }
}

// Halves of 128: four bits in `q`, two in `high`, a signed scale for 16 numbers.
void q6_k(Block block, float* out) {
  const uint8_t* q = block.bytes(128);
  const uint8_t* high = block.bytes(64);
  const uint8_t* scales = block.bytes(16);
  const float d = block.half();
  for (int at = 0; at < 256; ++at) {
    const int half = at / 128, quarter = at % 128 / 32, i = at % 32;
    const uint8_t byte = q[half * 64 + quarter % 2 * 32 + i];
    const int low = quarter < 2 ? byte & 15 : byte >> 4;
    const int top = high[half * 32 + i] >> (quarter * 2) & 3;
    out[at] = d * static_cast<float>(static_cast<int8_t>(scales[at / 16])) *
              static_cast<float>((low | top << 4) - 32);
  }
}

Widen widen_of(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return q4_0;
    case DType::q4_1:
      return q4_1;
    case DType::q5_0:
      return q5_0;
    case DType::q5_1:
      return q5_1;
    case DType::q8_0:
      return q8_0;
    case DType::q2_k:
      return q2_k;
    case DType::q3_k:
      return q3_k;
    case DType::q4_k:
      return q4_k;
    case DType::q5_k:
      return q5_k;
    case DType::q6_k:
      return q6_k;
    case DType::f32:
    case DType::f16:
    case DType::bf16:
    case DType::f64:
    case DType::i64:
    case DType::i32:
    case DType::i16:
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      break;
  }
  return nullptr;
}

}  // namespace

void widen_blocks(DType dtype, const std::byte* blocks, int64_t count, float* out) {
  const BlockSize block = block_of(dtype);
  const Widen widen = widen_of(dtype);
  for (int64_t i = 0; i < count / block.numbers; ++i)
    widen(Block(blocks + i * block.bytes), out + i * block.numbers);
}

}  // namespace saccade
