// The arithmetic of a transformer on dense float32 tensors: the whole of LibTorch that this program uses,
// behind a dozen functions, so that its headers are compiled once. Attention is not here: kernels/attention.h
// does it.
//
// A DeviceTensor is a handle; copies share the numbers. Shapes are row-major; `x` is [rows, columns].
//
// While an OnDevice lives, products, norms and what is made of their results are computed on that device. A
// result stays there until somebody takes its data(); from then on it lies in host memory, whose numbers are
// the only ones. Stored weights are copied to the device when they are first multiplied, in the dtype they
// are stored in, and stay there; quantised ones are widened and copied for every product. What is written in
// place is written where it lies.
//
// Functions may throw LibTorch's or the allocator's exceptions: callers run inside guarded().
// Thread: the engine thread.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/model/checkpoint.h"
#include "core/model/model_spec.h"
#include "core/model/weight_map.h"
#include "core/run/device.h"
#include "kernels/base/parallel.h"
#include "kernels/base/result.h"
#include "kernels/product.h"

namespace saccade::ops {

class DeviceTensor {
 public:
  struct Impl;
  DeviceTensor() = default;
  explicit DeviceTensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  [[nodiscard]] bool defined() const { return impl_ != nullptr; }
  [[nodiscard]] Impl& impl() const { return *impl_; }
  [[nodiscard]] const std::shared_ptr<Impl>& shared() const { return impl_; }
  [[nodiscard]] int64_t rows() const;
  [[nodiscard]] int64_t columns() const;
  // Contiguous float32 in host memory; numbers that lie on a device are fetched.
  [[nodiscard]] float* data() const;

 private:
  std::shared_ptr<Impl> impl_;
};

// Runs `work`; an exception of LibTorch or of the allocator becomes an Error.
Result<void> guarded(const std::function<Result<void>()>& work);

// The calling thread's device until it ends; nested ones give back the one before. Thread: the engine thread.
class OnDevice {
 public:
  explicit OnDevice(const Device& device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  Device before_;
};
[[nodiscard]] bool on_device();  // another than the CPU
// Whether this build's LibTorch can compute on CUDA devices.
[[nodiscard]] bool has_cuda();
// Frees every weight that was copied to a device; the next product copies it again.
void forget_device_weights();
// How many weights were copied to a device since the program began.
[[nodiscard]] int64_t weights_copied();

// Sets the number of threads of LibTorch and of the BLAS below it; gives the parallel loop that the kernels
// share with them.
[[nodiscard]] Parallel use_threads(int threads);
[[nodiscard]] Parallel threads_in_use();  // the same loop, of as many threads as were set last
[[nodiscard]] std::string version();      // "LibTorch 1.13.1"

[[nodiscard]] DeviceTensor empty(int64_t rows, int64_t columns);
// A view of numbers that `tensor` owns, [rows, columns]; keeps them alive.
[[nodiscard]] DeviceTensor view_of(const HostTensor& tensor, int64_t rows, int64_t columns);
[[nodiscard]] DeviceTensor rows_of(const DeviceTensor& x, int64_t begin, int64_t end);  // shares the numbers

// Mapped weights, in the dtype they have on disk.
struct Matrix {
  DeviceTensor weight;  // as stored
  MatrixLayout layout = MatrixLayout::out_in;
  DeviceTensor bias;  // float32 [1, out]; may be undefined
  [[nodiscard]] bool defined() const { return weight.defined(); }
};
[[nodiscard]] DeviceTensor stored(const TensorView& tensor);  // no copy
[[nodiscard]] DeviceTensor vector_of(
    const TensorView& tensor);  // float32 [1, n], copied when it must be widened

// What matrix products are computed in; their results are float32 either way.
enum class Precision { f32, bf16 };
// x W^T + b or x W + b. [rows, in] -> [rows, out]
[[nodiscard]] DeviceTensor linear(const DeviceTensor& x, const Matrix& matrix,
                                  Precision precision = Precision::f32);
// Outputs [begin, end) of an out_in or in_out matrix, widened to float32: a slice of the vocabulary.
[[nodiscard]] Matrix vocabulary_slice(const Matrix& matrix, int64_t begin, int64_t end);
// x[:, begin:begin+width] times those rows of W (one head's share of z W_O), no bias, into strided rows of
// `out`.
void head_product(const DeviceTensor& x, const Matrix& matrix, int64_t begin, int64_t width, float* out,
                  int64_t out_stride);
[[nodiscard]] int64_t elements(const Matrix& matrix);  // of the weight
[[nodiscard]] int64_t outputs(const Matrix& matrix);
// The weight where it lies, for our own products with x; nothing where they cannot read it: quantised or
// half-precision weights, another device.
[[nodiscard]] std::optional<ProductWeights> product_weights(const DeviceTensor& x, const Matrix& matrix);
// A weight as float32 numbers where they lie, widened when they are stored narrower: element (o, i) of
// [out, in] is data[o * out_stride + i * in_stride].
struct FloatMatrix {
  DeviceTensor owner;  // keeps the numbers alive
  const float* data = nullptr;
  int64_t out = 0, in = 0, out_stride = 0, in_stride = 0;
};
[[nodiscard]] FloatMatrix float_matrix(const Matrix& matrix);
// ln sum_j exp(x_ij) of every row, in float64.
[[nodiscard]] std::vector<double> row_log_sum_exp(const DeviceTensor& x);
// Rows of an embedding matrix. ids -> [n, d]
[[nodiscard]] DeviceTensor gather_rows(const DeviceTensor& table, const std::vector<int32_t>& ids);
[[nodiscard]] DeviceTensor gather_range(const DeviceTensor& table, int64_t begin, int64_t end);

struct Normalised {
  DeviceTensor output;      // [rows, d], with weight and bias
  DeviceTensor normalized;  // [rows, d], before weight and bias (hook_normalized)
  DeviceTensor scale;       // [rows, 1] (hook_scale): the divisor
};
// With `parts` false only `output` is made.
[[nodiscard]] Normalised normalise(const DeviceTensor& x, NormKind kind, double epsilon,
                                   const DeviceTensor& weight, const DeviceTensor& bias, bool parts);
void add_in_place(const DeviceTensor& x, const DeviceTensor& y);  // x += y
[[nodiscard]] DeviceTensor add(const DeviceTensor& x, const DeviceTensor& y);
void add_into(const DeviceTensor& out, const DeviceTensor& x, const DeviceTensor& y);  // out = x + y
void activate_in_place(const DeviceTensor& x, Activation activation);
void multiply_in_place(const DeviceTensor& x, const DeviceTensor& y);   // x *= y
void scale_in_place(const DeviceTensor& x, double factor);              // nothing for factor 1
void clamp_in_place(const DeviceTensor& x, double limit);               // to [-limit, limit]
void soft_cap_in_place(const DeviceTensor& x, double cap);              // x = cap tanh(x / cap)
void add_row_in_place(const DeviceTensor& x, const DeviceTensor& row);  // x += row [1, columns]
[[nodiscard]] DeviceTensor row_of_ones(int64_t columns);
// Rows put under each other, `offset` added to every number. [rows, columns]
[[nodiscard]] DeviceTensor stack_rows(const std::vector<DeviceTensor>& rows, double offset);
// Normalises every group of `width` columns on its own, in place. weight: [1, width], or a row per group.
void normalise_groups(const DeviceTensor& x, int64_t width, NormKind kind, double epsilon,
                      const DeviceTensor& weight, const DeviceTensor& bias);
// The first row that holds a NaN, or -1.
[[nodiscard]] int64_t first_nan_row(const DeviceTensor& x);

// Of a row-major [n, n] matrix in float64: general (in no order), and symmetric (ascending, the lower
// triangle is read).
[[nodiscard]] std::vector<std::complex<double>> eigenvalues(const double* matrix, int64_t n);
[[nodiscard]] std::vector<double> symmetric_eigenvalues(const double* matrix, int64_t n);

// Causal attention as LibTorch itself does it, for benchmarks. q, k, v and the result: [rows, heads *
// d_head]. The eager way writes every map down.
[[nodiscard]] DeviceTensor eager_attention(const DeviceTensor& q, const DeviceTensor& k,
                                           const DeviceTensor& v, int64_t heads);
// LibTorch's fused way; undefined before version 2.0, which has none.
[[nodiscard]] DeviceTensor fused_attention(const DeviceTensor& q, const DeviceTensor& k,
                                           const DeviceTensor& v, int64_t heads);
[[nodiscard]] DeviceTensor columns_of(const DeviceTensor& x, int64_t begin, int64_t end);  // a copy

}  // namespace saccade::ops
