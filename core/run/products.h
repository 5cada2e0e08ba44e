// Matrix products of the forward pass: by our own kernels (kernels/product.h) where those can read the
// weights, with activation and residual added on the way; else by LibTorch, one after another. Which of the
// two computes depends on the weights and the precision, never on the rows or on what is fused, and fused and
// separate steps give the same bits.
//
// A cancelled job ends a product within some milliseconds, or within 100 where LibTorch computes.
// Thread: the engine thread; may throw LibTorch's exceptions (see ops::guarded).
#pragma once

#include <optional>

#include "core/base/job.h"
#include "core/run/tensor_ops.h"
#include "kernels/product.h"

namespace saccade {

// What is done with x W + b while it is at hand: the activation, then `add` [rows, out] on top.
struct Fused {
  std::optional<Activation> activation = std::nullopt;
  ops::DeviceTensor add = {};
};

class Products {
 public:
  // job: must outlive this.
  Products(const JobContext& job, ops::Precision precision);

  // [rows, in] -> [rows, out]
  Result<ops::DeviceTensor> linear(const ops::DeviceTensor& x, const ops::Matrix& matrix,
                                   const Fused& fused = {}) const;
  // The same into numbers that are there, [rows, out] row after row.
  Result<void> linear_into(const ops::DeviceTensor& out, const ops::DeviceTensor& x,
                           const ops::Matrix& matrix, const Fused& fused = {}) const;
  // Outputs [begin, end) into rows of out, end - begin apart; false, and nothing done, where the kernels
  // cannot read the matrix.
  Result<bool> slice_into(float* out, const ops::DeviceTensor& x, const ops::Matrix& matrix, int64_t begin,
                          int64_t end) const;
  // Outputs [begin, end) as a tensor of their own: a slice of the vocabulary.
  Result<ops::DeviceTensor> slice(const ops::DeviceTensor& x, const ops::Matrix& matrix, int64_t begin,
                                  int64_t end) const;
  void activate(const ops::DeviceTensor& x, Activation activation) const;

 private:
  [[nodiscard]] std::optional<Product> own(const ops::DeviceTensor& x, const ops::Matrix& matrix) const;
  Result<ops::DeviceTensor> by_library(const ops::DeviceTensor& x, const ops::Matrix& matrix) const;

  const JobContext& job_;
  ops::Precision precision_;
  const ProductSet* kernels_;  // null: none on this machine
  Parallel parallel_;          // leaves out tasks of a cancelled job
};

}  // namespace saccade
