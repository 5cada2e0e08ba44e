// The linear algebra that analysis needs and should not write itself: products of float32 matrices through
// the same BLAS as the forward pass, eigenvalues in float64 through LAPACK.
//
// Errors: shapes that do not fit (invalid_argument), a LibTorch without LAPACK (internal, with its own
// words). Thread: the engine thread.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "kernels/base/result.h"

namespace saccade {

// a [m, k] times b [k, n] -> [m, n]; einsum "mk,kn->mn"
[[nodiscard]] Result<HostTensor> product(const HostTensor& a, const HostTensor& b);
// [m, n] -> [n, m]
[[nodiscard]] HostTensor transposed(const HostTensor& matrix);
// Of a real square matrix [n, n], row-major, in no particular order.
[[nodiscard]] Result<std::vector<std::complex<double>>> eigenvalues(std::span<const double> matrix,
                                                                    int64_t n);
// Of a symmetric one, ascending; only its lower triangle is read.
[[nodiscard]] Result<std::vector<double>> symmetric_eigenvalues(std::span<const double> matrix, int64_t n);

}  // namespace saccade
