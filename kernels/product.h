// Matrix products y = f(x W + b) + a on the CPU, with what follows a product done while its sums are at hand:
// bias, activation, addition of the residual. One row (decoding) to many thousands (batches).
//
// Shapes: x [rows, in], W [in, out] in either order of storage, float32 or bfloat16, b [out], a and y
// [rows, out]; all other numbers float32. Sums are in float32: blocks of 512 terms, each summed from its
// first to its last (few rows: as lanes), so an output's error is below in * 2^-24 * sum |x_k w_k|.
// A row's bits depend on the shape of W and on whether the rows are few, on nothing else: not on the number
// of threads, nor on the other rows. NaN and infinities spread as in a sum of products; nothing is skipped.
// Thread: any; calls share nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/base/parallel.h"

namespace saccade {

// Element (o, i) of W is data[o * out_stride + i * in_stride]. One of the strides must be 1.
struct ProductWeights {
  const float* f32 = nullptr;
  const uint16_t* bf16 = nullptr;  // bfloat16, where f32 is null
  int64_t out = 0, in = 0;
  int64_t out_stride = 0, in_stride = 0;
};

// gelu_tanh: x / (1 + e^-u) with u = 2 sqrt(2 / pi) (x + 0.044715 x^3); gelu_quick: u = 1.702 x; silu: u = x.
// Relative error at most 8 * 2^-24: what u loses by rounding is given back after the exponential. Results
// below 1e-30 may be anything from 0 to that.
enum class Nonlinearity { none, gelu_tanh, gelu_quick, silu, relu, relu_squared };

struct Product {
  const float* x = nullptr;
  int64_t rows = 0, x_stride = 0;
  ProductWeights w;
  const float* bias = nullptr;  // may be null
  Nonlinearity after = Nonlinearity::none;
  const float* add = nullptr;  // added last; may be null; not y
  int64_t add_stride = 0;
  float* y = nullptr;  // overlaps neither x nor add
  int64_t y_stride = 0;
};

struct ProductSet {
  std::string name;  // that of the attention kernels for the same instructions
  // Tasks of a few milliseconds: a parallel loop that leaves tasks out (a cancelled job) is obeyed soon, and
  // y is then unfinished.
  void (*multiply)(const Product&, const Parallel&) = nullptr;
  // The same f alone, with the same bits: values[0, n) in place.
  void (*apply)(Nonlinearity, float* values, int64_t n, const Parallel&) = nullptr;
};

// Those this machine can run, best first. Empty on a machine without vectors: a BLAS does better there.
[[nodiscard]] std::span<const ProductSet> product_sets();

}  // namespace saccade
