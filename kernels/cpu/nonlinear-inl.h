// Activations, vector by vector. Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_NONLINEAR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_NONLINEAR_INL_H_
#undef SACCADE_KERNELS_CPU_NONLINEAR_INL_H_
#else
#define SACCADE_KERNELS_CPU_NONLINEAR_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/exp-inl.h"
#include "kernels/product.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

// x / (1 + e^-(u + low)), where low is what u lost by rounding: e^-low is 1 - low. Beyond u = -87 the
// quotient is too small for float32.
HWY_INLINE hn::Vec<Floats> sigmoid_times(hn::Vec<Floats> x, hn::Vec<Floats> u, hn::Vec<Floats> low) {
  const Floats d;
  const auto down = hn::Neg(u), most = hn::Set(d, 87.0f);
  const auto e = exp_of(hn::IfThenElse(hn::Gt(down, most), most, down));  // a NaN stays one
  const auto lost = hn::IfThenElseZero(hn::Lt(hn::Abs(u), most), low);    // infinite squares have no low part
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), hn::NegMulAdd(e, lost, e)));
}

// A constant as the sum of two numbers.
struct TwoPart {
  explicit constexpr TwoPart(double value)
      : high(static_cast<float>(value)), low(static_cast<float>(value - static_cast<double>(high))) {}
  float high, low;
};

template <Nonlinearity kind>
HWY_INLINE hn::Vec<Floats> activated(hn::Vec<Floats> x) {
  const Floats d;
  // Max may drop a NaN, a comparison does not.
  [[maybe_unused]] const auto positive = hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  if constexpr (kind == Nonlinearity::gelu_tanh) {
    constexpr TwoPart root(1.5957691216057308);  // 2 sqrt(2 / pi)
    constexpr TwoPart cubic(1.5957691216057308 * 0.044715);
    const auto a = hn::Set(d, root.high), b = hn::Set(d, cubic.high);
    const auto square = hn::Mul(x, x), rising = hn::Mul(square, b);
    const auto slope = hn::Add(rising, a), u = hn::Mul(x, slope);
    // What the two products and the sum lost (Knuth's exact sum), and the constants' low parts.
    const auto added = hn::Sub(slope, rising);
    auto slope_low = hn::Add(hn::Sub(rising, hn::Sub(slope, added)), hn::Sub(a, added));
    slope_low = hn::Add(slope_low, hn::MulSub(square, b, rising));
    slope_low = hn::MulAdd(hn::MulSub(x, x, square), b, slope_low);
    slope_low = hn::MulAdd(square, hn::Set(d, cubic.low), hn::Add(slope_low, hn::Set(d, root.low)));
    return sigmoid_times(x, u, hn::MulAdd(x, slope_low, hn::MulSub(x, slope, u)));
  } else if constexpr (kind == Nonlinearity::gelu_quick) {
    constexpr TwoPart slope(1.702);
    const auto a = hn::Set(d, slope.high), u = hn::Mul(x, a);
    return sigmoid_times(x, u, hn::MulAdd(x, hn::Set(d, slope.low), hn::MulSub(x, a, u)));
  } else if constexpr (kind == Nonlinearity::silu) {
    return sigmoid_times(x, x, hn::Zero(d));
  } else if constexpr (kind == Nonlinearity::relu) {
    return positive;
  } else if constexpr (kind == Nonlinearity::relu_squared) {
    return hn::Mul(positive, positive);
  } else {
    return x;
  }
}

// row[0, n) in place; the last, partial vector takes the same way as the others.
template <Nonlinearity kind>
HWY_INLINE void activate_row(float* HWY_RESTRICT row, int64_t n) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(activated<kind>(hn::LoadU(d, row + i)), d, row + i);
  if (i == n) return;
  HWY_ALIGN float last[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(last, row + i, static_cast<size_t>(n - i) * sizeof(float));
  hn::Store(activated<kind>(hn::Load(d, last)), d, last);
  std::memcpy(row + i, last, static_cast<size_t>(n - i) * sizeof(float));
}

inline void activate(Nonlinearity kind, float* row, int64_t n) {
  switch (kind) {
    case Nonlinearity::none:
      return;
    case Nonlinearity::gelu_tanh:
      return activate_row<Nonlinearity::gelu_tanh>(row, n);
    case Nonlinearity::gelu_quick:
      return activate_row<Nonlinearity::gelu_quick>(row, n);
    case Nonlinearity::silu:
      return activate_row<Nonlinearity::silu>(row, n);
    case Nonlinearity::relu:
      return activate_row<Nonlinearity::relu>(row, n);
    case Nonlinearity::relu_squared:
      return activate_row<Nonlinearity::relu_squared>(row, n);
  }
}

inline void apply(Nonlinearity kind, float* values, int64_t n, const Parallel& parallel) {
  constexpr int64_t block = int64_t{1} << 16;
  parallel.for_each((n + block - 1) / block, [&](int64_t task, int) {
    activate(kind, values + task * block, std::min(block, n - task * block));
  });
}

// What follows the sums of y[0, n): bias, activation, residual. bias and add may be null.
HWY_INLINE void finish_row(float* HWY_RESTRICT y, int64_t n, const float* bias, Nonlinearity after,
                           const float* add) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto plus = [&](const float* what) {
    if (what == nullptr) return;
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes)
      hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, what + i)), d, y + i);
    for (; i < n; ++i) y[i] += what[i];
  };
  plus(bias);
  activate(after, y, n);
  plus(add);
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
