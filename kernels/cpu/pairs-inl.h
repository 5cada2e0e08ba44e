// Products of bfloat16 pairs (vdpbf16ps, float32 sums): keys, values and weights as pairs of neighbours, for
// machines that have AVX-512 with bf16. Highway 1.0.3 has no such operation: intrinsics it is, in functions
// that are only called where the processor was asked. Included once per instruction set; empty but for
// AVX-512.
#if defined(SACCADE_KERNELS_CPU_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_PAIRS_INL_H_
#undef SACCADE_KERNELS_CPU_PAIRS_INL_H_
#else
#define SACCADE_KERNELS_CPU_PAIRS_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/pack-inl.h"

#if HWY_TARGET == HWY_AVX3
#define SACCADE_PAIRS_TARGET __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16")))

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

constexpr int64_t pair_panel = 64;  // numbers per register block: four vectors of 16

// out[r][c] (+)= sum_x a[r][x] . b[x][c], a and b pairs. a: row stride in pairs. b: [depth][b_stride] pairs.
template <int64_t Count, bool Accumulate>
SACCADE_PAIRS_TARGET void multiply_pair_block(const uint32_t* a, int64_t a_stride, const uint32_t* b,
                                              int64_t b_stride, int64_t depth, float* out,
                                              int64_t out_stride) {
  __m512 sum[Count][4];
  for (int64_t r = 0; r < Count; ++r)
    for (int64_t v = 0; v < 4; ++v)
      sum[r][v] = Accumulate ? _mm512_loadu_ps(out + r * out_stride + v * 16) : _mm512_setzero_ps();
  for (int64_t x = 0; x < depth; ++x) {
    __m512i column[4];
    for (int64_t v = 0; v < 4; ++v) column[v] = _mm512_loadu_si512(b + x * b_stride + v * 16);
    for (int64_t r = 0; r < Count; ++r) {
      const __m512i left = _mm512_set1_epi32(static_cast<int>(a[r * a_stride + x]));
      for (int64_t v = 0; v < 4; ++v)
        sum[r][v] = _mm512_dpbf16_ps(sum[r][v], reinterpret_cast<__m512bh>(left),
                                     reinterpret_cast<__m512bh>(column[v]));
    }
  }
  for (int64_t r = 0; r < Count; ++r)
    for (int64_t v = 0; v < 4; ++v) _mm512_storeu_ps(out + r * out_stride + v * 16, sum[r][v]);
}

template <int64_t Count, bool Accumulate>
inline void multiply_pairs(int64_t rows, const uint32_t* a, int64_t a_stride, const uint32_t* b,
                           int64_t b_stride, int64_t depth, float* out, int64_t out_stride) {
  for (; rows >= Count; rows -= Count, a += Count * a_stride, out += Count * out_stride)
    multiply_pair_block<Count, Accumulate>(a, a_stride, b, b_stride, depth, out, out_stride);
  if constexpr (Count > 1)
    if (rows > 0)
      multiply_pairs<Count - 1, Accumulate>(rows, a, a_stride, b, b_stride, depth, out, out_stride);
}

// Weights [0, n) of one row to bfloat16, nearest even; [n, padded) becomes 0.
SACCADE_PAIRS_TARGET inline void narrow_row(const float* from, int64_t n, int64_t padded, Bfloat16* to) {
  int64_t j = 0;
  for (; j + 32 <= n; j += 32)
    _mm512_storeu_si512(to + j, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + j + 16),
                                                                              _mm512_loadu_ps(from + j))));
  for (; j < n; ++j) to[j] = narrow_to_bfloat16(from[j]);
  for (; j < padded; ++j) to[j] = 0;
}

// What a worker has packed of one KV head, as pairs. keys: panels [panel][pair of d][64 keys]; values: [pair
// of keys][padded d]; a missing half is 0.
struct PackedPairs {
  int64_t kv_head = -1, count = 0;
  bool finite = true;  // the values
  Buffer<uint32_t> keys, values;
  Buffer<float> norms, buffer;

  void hold(const AttentionInput& in, int64_t head, int64_t wanted, bool with_norms) {
    if (kv_head == head && count >= wanted) return;
    kv_head = head;
    count = wanted;
    pack_keys(in.k, in.shape.d_head);
    pack_values(in.v, in.shape.d_head);
    norms.resize(with_norms ? static_cast<size_t>(wanted) : 0);
    buffer.resize(static_cast<size_t>(in.shape.d_head));
    for (size_t j = 0; j < norms.size(); ++j) {
      const float* value = row_of(in.v, static_cast<int64_t>(j), head, in.shape.d_head, buffer.data());
      norms[j] = std::sqrt(dot(value, value, in.shape.d_head));
    }
  }

 private:
  const Bfloat16* at(const HeadsView& view, int64_t token) const {
    return view.bf16 + token * view.token_stride + kv_head * view.head_stride;
  }
  void pack_keys(const HeadsView& k, int64_t d_head) {
    const int64_t pairs = (d_head + 1) / 2;
    keys.resize(static_cast<size_t>(round_up(count, pair_panel) * pairs));
    for (int64_t first = 0; first < count; first += pair_panel) {
      uint32_t* panel = keys.data() + first * pairs;
      for (int64_t j = 0; j < pair_panel; ++j) {
        const Bfloat16* key = first + j < count ? at(k, first + j) : nullptr;
        for (int64_t x = 0; x < pairs; ++x) {
          uint32_t pair = 0;
          if (key) std::memcpy(&pair, key + 2 * x, 2 * x + 1 < d_head ? 4 : 2);
          panel[x * pair_panel + j] = pair;
        }
      }
    }
  }
  void pack_values(const HeadsView& v, int64_t d_head) {
    const int64_t padded = round_up(d_head, pair_panel);
    values.resize(static_cast<size_t>((count + 1) / 2 * padded));
    const hn::ScalableTag<uint32_t> d;
    const hn::Rebind<uint16_t, hn::ScalableTag<uint32_t>> halves;
    const auto exponent = hn::Set(halves, uint16_t{0x7f80});
    auto infinite = hn::Zero(halves);
    uint32_t rest = 0;
    for (int64_t j = 0; j < count; j += 2) {
      const Bfloat16* even = at(v, j);
      const Bfloat16* odd = j + 1 < count ? at(v, j + 1) : nullptr;
      uint32_t* to = values.data() + j / 2 * padded;
      int64_t x = 0;
      for (; x + 16 <= d_head; x += 16) {
        const auto low = hn::LoadU(halves, even + x);
        const auto high = odd ? hn::LoadU(halves, odd + x) : hn::Zero(halves);
        for (const auto half : {low, high})
          infinite = hn::Or(infinite, hn::VecFromMask(halves, hn::Eq(hn::And(half, exponent), exponent)));
        hn::StoreU(hn::Or(hn::PromoteTo(d, low), hn::ShiftLeft<16>(hn::PromoteTo(d, high))), d, to + x);
      }
      for (; x < d_head; ++x) {
        to[x] = static_cast<uint32_t>(even[x]) | (odd ? static_cast<uint32_t>(odd[x]) << 16 : 0U);
        for (const uint32_t half : {to[x] & 0xffffU, to[x] >> 16})
          rest |= static_cast<uint32_t>((half & 0x7f80U) == 0x7f80U);
      }
      std::fill(to + d_head, to + padded, 0U);
    }
    finite = rest == 0 && hn::AllTrue(halves, hn::Eq(infinite, hn::Zero(halves)));
  }
};

// The two products of the pass on pairs; FloatProducts (forward-inl.h) says what they are.
struct PairProducts {
  PackedPairs packed;
  Buffer<uint32_t> q;
  Buffer<Bfloat16> weights;

  static int64_t strip_floats() { return 112 * 1024; }
  [[nodiscard]] static int64_t width() { return pair_panel; }
  void score(const AttentionInput& in, int64_t head, int64_t first, int64_t rows, int64_t keys, float* strip,
             int64_t stride) {
    const int64_t d = in.shape.d_head, pairs = (d + 1) / 2;
    q.assign(static_cast<size_t>(rows * pairs), 0U);
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(q.data() + r * pairs, in.q.bf16 + (first + r) * in.q.token_stride + head * in.q.head_stride,
                  static_cast<size_t>(d) * sizeof(Bfloat16));
    for (int64_t panel = 0; panel < keys; panel += pair_panel)
      multiply_pairs<block_rows, false>(rows, q.data(), pairs, packed.keys.data() + panel * pairs, pair_panel,
                                        pairs, strip + panel, stride);
  }
  // z[r] = sum_j weights[r][j] v_j, the weights rounded to bfloat16.
  void mix(const float* strip, int64_t stride, int64_t rows, int64_t keys, int64_t padded, float* z) {
    constexpr int64_t pairs_at_once = 256;
    const int64_t pairs = (keys + 1) / 2;
    weights.resize(static_cast<size_t>(rows * 2 * pairs));
    for (int64_t r = 0; r < rows; ++r)
      narrow_row(strip + r * stride, keys, 2 * pairs, weights.data() + r * 2 * pairs);
    const auto* left = reinterpret_cast<const uint32_t*>(weights.data());
    std::fill(z, z + rows * padded, 0.0f);
    for (int64_t begin = 0; begin < pairs; begin += pairs_at_once)
      for (int64_t column = 0; column < padded; column += pair_panel)
        multiply_pairs<block_rows, true>(rows, left + begin, pairs,
                                         packed.values.data() + begin * padded + column, padded,
                                         std::min(pairs_at_once, pairs - begin), z + column, padded);
  }
};

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#endif
