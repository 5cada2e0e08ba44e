// Register-blocked products for attention: scores against packed keys, and weights times packed values.
// Included once per instruction set (no include guard by design of Highway's foreach_target).
#if defined(SACCADE_KERNELS_CPU_MICRO_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_MICRO_INL_H_
#undef SACCADE_KERNELS_CPU_MICRO_INL_H_
#else
#define SACCADE_KERNELS_CPU_MICRO_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;

// Rows and vectors of one register block: 6 x 4 accumulators where there are 32 registers, 6 x 2 with 16.
constexpr int64_t block_rows = 6;
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int64_t block_vectors = 4;
#else
constexpr int64_t block_vectors = 2;
#endif

HWY_INLINE int64_t panel_width() { return block_vectors * static_cast<int64_t>(hn::Lanes(Floats())); }
HWY_INLINE int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// out[r][c] (+)= sum_x a[r][x] * b[x][c] for `rows` <= block_rows rows and one panel of block_vectors
// vectors. a: row stride a_stride. b: contiguous panel [depth][panel_width]. out: row stride out_stride.
template <int64_t Rows, bool Accumulate>
HWY_INLINE void multiply_block(const float* HWY_RESTRICT a, int64_t a_stride, const float* HWY_RESTRICT b,
                               int64_t b_stride, int64_t depth, float* HWY_RESTRICT out, int64_t out_stride) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Floats> sum[Rows][block_vectors];
  for (int64_t r = 0; r < Rows; ++r)
    for (int64_t v = 0; v < block_vectors; ++v)
      sum[r][v] = Accumulate ? hn::LoadU(d, out + r * out_stride + v * lanes) : hn::Zero(d);
  for (int64_t x = 0; x < depth; ++x) {
    hn::Vec<Floats> column[block_vectors];
    for (int64_t v = 0; v < block_vectors; ++v) column[v] = hn::LoadU(d, b + x * b_stride + v * lanes);
    for (int64_t r = 0; r < Rows; ++r) {
      const auto left = hn::Set(d, a[r * a_stride + x]);
      for (int64_t v = 0; v < block_vectors; ++v) sum[r][v] = hn::MulAdd(left, column[v], sum[r][v]);
    }
  }
  for (int64_t r = 0; r < Rows; ++r)
    for (int64_t v = 0; v < block_vectors; ++v) hn::StoreU(sum[r][v], d, out + r * out_stride + v * lanes);
}

// The rows that are left after whole blocks: 1 to Rows.
template <int64_t Rows, bool Accumulate>
HWY_INLINE void multiply_rest(int64_t rows, const float* a, int64_t a_stride, const float* b,
                              int64_t b_stride, int64_t depth, float* out, int64_t out_stride) {
  if constexpr (Rows > 0) {
    if (rows == Rows)
      multiply_block<Rows, Accumulate>(a, a_stride, b, b_stride, depth, out, out_stride);
    else
      multiply_rest<Rows - 1, Accumulate>(rows, a, a_stride, b, b_stride, depth, out, out_stride);
  }
}

template <bool Accumulate>
HWY_INLINE void multiply_rows(int64_t rows, const float* a, int64_t a_stride, const float* b,
                              int64_t b_stride, int64_t depth, float* out, int64_t out_stride) {
  int64_t r = 0;
  for (; r + block_rows <= rows; r += block_rows)
    multiply_block<block_rows, Accumulate>(a + r * a_stride, a_stride, b, b_stride, depth,
                                           out + r * out_stride, out_stride);
  multiply_rest<block_rows - 1, Accumulate>(rows - r, a + r * a_stride, a_stride, b, b_stride, depth,
                                            out + r * out_stride, out_stride);
}

// scores[r][j] = q_r . k_j; scores has a row stride of at least round_up(keys, panel_width).
inline void score_block(const float* q, int64_t q_stride, int64_t rows, const float* packed, int64_t keys,
                        int64_t d_head, float* scores, int64_t scores_stride) {
  const int64_t width = panel_width();
  for (int64_t first = 0; first < keys; first += width)
    multiply_rows<false>(rows, q, q_stride, packed + first * d_head, width, d_head, scores + first,
                         scores_stride);
}

// z[r][d] = sum_j weights[r][j] v_j[d], keys in blocks that stay in the cache. z: row stride `padded`.
inline void mix_block(const float* weights, int64_t weights_stride, int64_t rows, const float* values,
                      int64_t keys, int64_t padded, float* z) {
  constexpr int64_t keys_at_once = 256;
  const int64_t width = panel_width();
  std::fill(z, z + rows * padded, 0.0f);
  for (int64_t begin = 0; begin < keys; begin += keys_at_once) {
    const int64_t depth = std::min(keys_at_once, keys - begin);
    for (int64_t column = 0; column < padded; column += width)
      multiply_rows<true>(rows, weights + begin, weights_stride, values + begin * padded + column, padded,
                          depth, z + column, padded);
  }
}

// a . b
HWY_INLINE float dot(const float* a, const float* b, int64_t n) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    sum0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
    sum1 = hn::MulAdd(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), sum1);
  }
  for (; i + lanes <= n; i += lanes) sum0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// a . b summed from the first to the last, as the register blocks do: the very number they give.
HWY_INLINE float dot_in_order(const float* a, const float* b, int64_t n) {
  const hn::CappedTag<float, 1> d;
  auto sum = hn::Zero(d);
  for (int64_t i = 0; i < n; ++i) sum = hn::MulAdd(hn::Set(d, a[i]), hn::Set(d, b[i]), sum);
  return hn::GetLane(sum);
}

// y += w x
HWY_INLINE void add_scaled(float w, const float* HWY_RESTRICT x, int64_t n, float* HWY_RESTRICT y) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto weight = hn::Set(d, w);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::MulAdd(weight, hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, y + i);
  for (; i < n; ++i) y[i] += w * x[i];
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
