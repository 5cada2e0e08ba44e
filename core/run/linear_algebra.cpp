#include "core/run/linear_algebra.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/run/tensor_ops.h"

namespace saccade {
namespace {

Result<void> check_square(size_t numbers, int64_t n) {
  if (n > 0 && static_cast<int64_t>(numbers) == n * n) return {};
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("expected a square matrix of {} x {}, found {} numbers", n, n, numbers));
}

}  // namespace

Result<HostTensor> product(const HostTensor& a, const HostTensor& b) {
  if (a.shape().size() != 2 || b.shape().size() != 2 || a.shape()[1] != b.shape()[0])
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("cannot multiply [{}] by [{}]", fmt::join(a.shape(), ", "), fmt::join(b.shape(), ", ")));
  HostTensor made({a.shape()[0], b.shape()[1]}, false);
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const ops::DeviceTensor x = ops::view_of(a, a.shape()[0], a.shape()[1]);
    const ops::Matrix matrix{ops::view_of(b, b.shape()[0], b.shape()[1]), MatrixLayout::in_out, {}};
    const ops::DeviceTensor out = ops::linear(x, matrix);
    std::copy_n(out.data(), made.size(), made.mutable_values().data());
    return {};
  }));
  return made;
}

HostTensor transposed(const HostTensor& matrix) {
  const int64_t rows = matrix.shape()[0], columns = matrix.shape()[1];
  HostTensor made({columns, rows}, false);
  float* out = made.mutable_values().data();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = matrix.data()[r * columns + c];
  return made;
}

Result<std::vector<std::complex<double>>> eigenvalues(std::span<const double> matrix, int64_t n) {
  SACCADE_CHECK(check_square(matrix.size(), n));
  std::vector<std::complex<double>> values;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    values = ops::eigenvalues(matrix.data(), n);
    return {};
  }));
  return values;
}

Result<std::vector<double>> symmetric_eigenvalues(std::span<const double> matrix, int64_t n) {
  SACCADE_CHECK(check_square(matrix.size(), n));
  std::vector<double> values;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    values = ops::symmetric_eigenvalues(matrix.data(), n);
    return {};
  }));
  return values;
}

}  // namespace saccade
