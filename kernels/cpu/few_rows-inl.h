// Products with few rows, which read W once, in the order it lies in memory, at the rate of the memory.
// Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_FEW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_FEW_ROWS_INL_H_
#undef SACCADE_KERNELS_CPU_FEW_ROWS_INL_H_
#else
#define SACCADE_KERNELS_CPU_FEW_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/base/bfloat16.h"
#include "kernels/cpu/aligned.h"
#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/nonlinear-inl.h"
#include "kernels/product.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

constexpr int64_t few_rows = 8;
constexpr int64_t bytes_of_task = int64_t{256} << 10;  // of W: long enough for the hardware to run ahead

HWY_INLINE hn::Vec<Floats> load_number(const float* from) { return hn::LoadU(Floats(), from); }
HWY_INLINE hn::Vec<Floats> load_number(const uint16_t* from) {
  const Floats d;
  const hn::RebindToUnsigned<Floats> wide;
  const hn::Rebind<uint16_t, Floats> narrow;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(narrow, from))));
}
HWY_INLINE float number_at(const float* from, int64_t i) { return from[i]; }
HWY_INLINE float number_at(const uint16_t* from, int64_t i) { return widen_bfloat16(from[i]); }

// y[r] = x_r . w for Rows rows of x. w: n contiguous numbers.
template <int64_t Rows, class Number>
HWY_INLINE void dot_few(const Number* HWY_RESTRICT w, const float* x, int64_t x_stride, int64_t n, float* y,
                        int64_t y_stride) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int64_t chains = Rows == 1 ? 4 : Rows == 2 ? 2 : 1;  // sums that do not wait for each other
  hn::Vec<Floats> sum[Rows][chains];
  for (int64_t r = 0; r < Rows; ++r)
    for (int64_t c = 0; c < chains; ++c) sum[r][c] = hn::Zero(d);
  int64_t i = 0;
  for (; i + chains * lanes <= n; i += chains * lanes)
    for (int64_t c = 0; c < chains; ++c) {
      const auto weight = load_number(w + i + c * lanes);
      for (int64_t r = 0; r < Rows; ++r)
        sum[r][c] = hn::MulAdd(weight, hn::LoadU(d, x + r * x_stride + i + c * lanes), sum[r][c]);
    }
  for (; i + lanes <= n; i += lanes)
    for (int64_t r = 0; r < Rows; ++r)
      sum[r][0] = hn::MulAdd(load_number(w + i), hn::LoadU(d, x + r * x_stride + i), sum[r][0]);
  for (int64_t r = 0; r < Rows; ++r) {
    for (int64_t c = 1; c < chains; ++c) sum[r][0] = hn::Add(sum[r][0], sum[r][c]);
    float total = hn::GetLane(hn::SumOfLanes(d, sum[r][0]));
    for (int64_t j = i; j < n; ++j) total += number_at(w, j) * x[r * x_stride + j];
    y[r * y_stride] = total;
  }
}

// Steps inputs at once: y[r] += sum_s x_r[s] w[s] for n outputs. w: row stride w_stride.
template <int64_t Rows, int64_t Steps, class Number>
HWY_INLINE void add_few(const Number* w, int64_t w_stride, const float* x, int64_t x_stride, int64_t n,
                        float* y, int64_t y_stride) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::Vec<Floats> weight[Steps];
    for (int64_t s = 0; s < Steps; ++s) weight[s] = load_number(w + s * w_stride + i);
    for (int64_t r = 0; r < Rows; ++r) {
      auto sum = hn::LoadU(d, y + r * y_stride + i);
      for (int64_t s = 0; s < Steps; ++s) sum = hn::MulAdd(hn::Set(d, x[r * x_stride + s]), weight[s], sum);
      hn::StoreU(sum, d, y + r * y_stride + i);
    }
  }
  for (; i < n; ++i)
    for (int64_t r = 0; r < Rows; ++r)
      for (int64_t s = 0; s < Steps; ++s)
        y[r * y_stride + i] += x[r * x_stride + s] * number_at(w + s * w_stride, i);
}

// Outputs one after another, each the product of a row of W as it lies in memory.
template <int64_t Rows, class Number>
inline void few_out_in(const Number* data, const Product& p, const Parallel& parallel) {
  const int64_t row_bytes = p.w.in * static_cast<int64_t>(sizeof(Number));
  const int64_t block = std::max<int64_t>(1, bytes_of_task / std::max<int64_t>(row_bytes, 1));
  parallel.for_each((p.w.out + block - 1) / block, [&](int64_t task, int) {
    const int64_t first = task * block, last = std::min(p.w.out, first + block);
    for (int64_t o = first; o < last; ++o)
      dot_few<Rows>(data + o * p.w.out_stride, p.x, p.x_stride, p.w.in, p.y + o, p.y_stride);
    for (int64_t r = 0; r < Rows; ++r)
      finish_row(p.y + r * p.y_stride + first, last - first, p.bias == nullptr ? nullptr : p.bias + first,
                 p.after, p.add == nullptr ? nullptr : p.add + r * p.add_stride + first);
  });
}

// Inputs one after another, cut into runs by the shape alone; every run has sums of its own, which are then
// added in the order of runs.
template <int64_t Rows, class Number>
inline void few_in_out(const Number* data, const Product& p, const Parallel& parallel) {
  constexpr int64_t steps = Rows == 1 ? 1 : 4;
  const int64_t n = p.w.out, row_bytes = n * static_cast<int64_t>(sizeof(Number));
  const int64_t run = round_up(std::max<int64_t>(1, bytes_of_task / row_bytes), steps);
  const int64_t runs = (p.w.in + run - 1) / run, stride = round_up(n, 16);
  Buffer<float> sums(static_cast<size_t>(runs * Rows * stride));
  parallel.for_each(runs, [&](int64_t task, int) {
    const int64_t first = task * run, last = std::min(p.w.in, first + run);
    float* y = sums.data() + task * Rows * stride;
    std::fill(y, y + Rows * stride, 0.0f);
    int64_t k = first;
    for (; k + steps <= last; k += steps)
      add_few<Rows, steps>(data + k * p.w.in_stride, p.w.in_stride, p.x + k, p.x_stride, n, y, stride);
    for (; k < last; ++k)
      add_few<Rows, 1>(data + k * p.w.in_stride, p.w.in_stride, p.x + k, p.x_stride, n, y, stride);
  });
  for (int64_t r = 0; r < Rows; ++r) {
    float* y = p.y + r * p.y_stride;
    std::fill(y, y + n, 0.0f);
    for (int64_t task = 0; task < runs; ++task)
      finish_row(y, n, nullptr, Nonlinearity::none, sums.data() + (task * Rows + r) * stride);
    finish_row(y, n, p.bias, p.after, p.add == nullptr ? nullptr : p.add + r * p.add_stride);
  }
}

template <int64_t Rows, class Number>
inline void multiply_few(const Number* data, const Product& p, const Parallel& parallel) {
  if constexpr (Rows > 0) {
    if (p.rows < Rows)
      multiply_few<Rows - 1>(data, p, parallel);
    else if (p.w.in_stride == 1)
      few_out_in<Rows>(data, p, parallel);
    else
      few_in_out<Rows>(data, p, parallel);
  }
}

inline void multiply_few(const Product& p, const Parallel& parallel) {
  if (p.w.f32 != nullptr)
    multiply_few<few_rows>(p.w.f32, p, parallel);
  else
    multiply_few<few_rows>(p.w.bf16, p, parallel);
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
