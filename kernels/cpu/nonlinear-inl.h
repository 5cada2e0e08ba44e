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

// x / (1 + e^-u). Beyond u = -87 the quotient is too small for float32.
HWY_INLINE hn::Vec<Floats> sigmoid_times(hn::Vec<Floats> x, hn::Vec<Floats> u) {
  const Floats d;
  const auto down = hn::Neg(u), most = hn::Set(d, 87.0f);
  const auto e = exp_of(hn::IfThenElse(hn::Gt(down, most), most, down));  // a NaN stays one
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), e));
}

template <Nonlinearity kind>
HWY_INLINE hn::Vec<Floats> activated(hn::Vec<Floats> x) {
  const Floats d;
  // Max may drop a NaN, a comparison does not.
  [[maybe_unused]] const auto positive = hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  if constexpr (kind == Nonlinearity::gelu_tanh) {
    constexpr float root = 1.5957691216057308f;  // 2 sqrt(2 / pi)
    const auto square = hn::Mul(x, x);
    return sigmoid_times(x, hn::Mul(x, hn::MulAdd(square, hn::Set(d, root * 0.044715f), hn::Set(d, root))));
  } else if constexpr (kind == Nonlinearity::gelu_quick) {
    return sigmoid_times(x, hn::Mul(x, hn::Set(d, 1.702f)));
  } else if constexpr (kind == Nonlinearity::silu) {
    return sigmoid_times(x, x);
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
