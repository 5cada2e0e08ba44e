#include "core/run/products.h"

#include <algorithm>
#include <utility>

namespace saccade {
namespace {

// The kernels' name for it, if they have it: the exact gelu needs an error function.
std::optional<Nonlinearity> nonlinearity_of(Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return std::nullopt;
    case Activation::gelu_tanh:
      return Nonlinearity::gelu_tanh;
    case Activation::gelu_quick:
      return Nonlinearity::gelu_quick;
    case Activation::silu:
      return Nonlinearity::silu;
    case Activation::relu:
      return Nonlinearity::relu;
    case Activation::relu_squared:
      return Nonlinearity::relu_squared;
  }
  return std::nullopt;
}

Parallel cancellable(Parallel parallel, const JobContext& job) {
  return {parallel.workers,
          [all = std::move(parallel), &job](int64_t n, const std::function<void(int64_t, int)>& body) {
            all.for_each(n, [&](int64_t task, int worker) {
              if (!job.cancelled()) body(task, worker);
            });
          }};
}

}  // namespace

Products::Products(const JobContext& job, ops::Precision precision)
    : job_(job),
      precision_(precision),
      kernels_(product_sets().empty() ? nullptr : &product_sets().front()),
      parallel_(cancellable(ops::threads_in_use(), job)) {}

std::optional<Product> Products::own(const ops::DeviceTensor& x, const ops::Matrix& matrix) const {
  if (kernels_ == nullptr || ops::on_device() || precision_ != ops::Precision::f32) return std::nullopt;
  const std::optional<ProductWeights> weights = ops::product_weights(x, matrix);
  if (!weights) return std::nullopt;
  Product product;
  product.x = x.data();
  product.rows = x.rows();
  product.x_stride = x.columns();
  product.w = *weights;
  if (matrix.bias.defined()) product.bias = matrix.bias.data();
  product.y_stride = weights->out;
  return product;
}

Result<ops::DeviceTensor> Products::linear(const ops::DeviceTensor& x, const ops::Matrix& matrix,
                                           const Fused& fused) const {
  if (own(x, matrix)) {
    ops::DeviceTensor out = ops::empty(x.rows(), ops::outputs(matrix));
    SACCADE_CHECK(linear_into(out, x, matrix, fused));
    return out;
  }
  SACCADE_TRY(ops::DeviceTensor out, by_library(x, matrix));
  if (fused.activation) activate(out, *fused.activation);
  if (fused.add.defined()) ops::add_in_place(out, fused.add);
  return out;
}

Result<void> Products::linear_into(const ops::DeviceTensor& out, const ops::DeviceTensor& x,
                                   const ops::Matrix& matrix, const Fused& fused) const {
  SACCADE_CHECK(job_.check());
  std::optional<Product> product = own(x, matrix);
  if (!product) {
    SACCADE_TRY(const ops::DeviceTensor made, linear(x, matrix, fused));
    std::copy_n(made.data(), made.rows() * made.columns(), out.data());
    return {};
  }
  const std::optional<Nonlinearity> after =
      fused.activation ? nonlinearity_of(*fused.activation) : Nonlinearity::none;
  product->y = out.data();
  if (after) {
    product->after = *after;
    if (fused.add.defined()) {
      product->add = fused.add.data();
      product->add_stride = fused.add.columns();
    }
    kernels_->multiply(*product, parallel_);
    return job_.check();
  }
  kernels_->multiply(*product, parallel_);
  SACCADE_CHECK(job_.check());
  activate(out, *fused.activation);
  if (fused.add.defined()) ops::add_in_place(out, fused.add);
  return {};
}

Result<bool> Products::slice_into(float* out, const ops::DeviceTensor& x, const ops::Matrix& matrix,
                                  int64_t begin, int64_t end) const {
  SACCADE_CHECK(job_.check());
  std::optional<Product> product = own(x, matrix);
  if (!product) return false;
  const int64_t offset = begin * product->w.out_stride;
  if (product->w.f32 != nullptr) product->w.f32 += offset;
  if (product->w.bf16 != nullptr) product->w.bf16 += offset;
  if (product->bias != nullptr) product->bias += begin;
  product->w.out = product->y_stride = end - begin;
  product->y = out;
  kernels_->multiply(*product, parallel_);
  SACCADE_CHECK(job_.check());
  return true;
}

Result<ops::DeviceTensor> Products::slice(const ops::DeviceTensor& x, const ops::Matrix& matrix,
                                          int64_t begin, int64_t end) const {
  ops::DeviceTensor out = ops::empty(x.rows(), end - begin);
  SACCADE_TRY(const bool done, slice_into(out.data(), x, matrix, begin, end));
  if (done) return out;
  return linear(x, ops::vocabulary_slice(matrix, begin, end));
}

// A product that would run for long is cut into blocks of rows, so that a cancelled job ends within 100 ms.
Result<ops::DeviceTensor> Products::by_library(const ops::DeviceTensor& x, const ops::Matrix& matrix) const {
  constexpr double block_operations = 6e9;  // some 30 ms on two cores
  const double operations = 2.0 * static_cast<double>(x.rows()) * static_cast<double>(ops::elements(matrix));
  SACCADE_CHECK(job_.check());
  if (operations <= block_operations || ops::on_device()) return ops::linear(x, matrix, precision_);
  const auto blocks = static_cast<int64_t>(operations / block_operations) + 1;
  const int64_t block_rows = std::max<int64_t>(32, (x.rows() + blocks - 1) / blocks);
  ops::DeviceTensor out;
  for (int64_t begin = 0; begin < x.rows(); begin += block_rows) {
    SACCADE_CHECK(job_.check());
    const int64_t end = std::min(begin + block_rows, x.rows());
    const ops::DeviceTensor part = ops::linear(ops::rows_of(x, begin, end), matrix, precision_);
    if (!out.defined()) out = ops::empty(x.rows(), part.columns());
    std::copy_n(part.data(), part.rows() * part.columns(), out.data() + begin * part.columns());
  }
  return out;
}

void Products::activate(const ops::DeviceTensor& x, Activation activation) const {
  const std::optional<Nonlinearity> own = nonlinearity_of(activation);
  if (kernels_ != nullptr && own && !ops::on_device())
    kernels_->apply(*own, x.data(), x.rows() * x.columns(), parallel_);
  else
    ops::activate_in_place(x, activation);
}

}  // namespace saccade
