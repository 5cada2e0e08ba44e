// Matrix: row-major float64 numbers for the mechanism simulators, which are written to be read and compared,
// not to be fast. A plain value. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace saccade::mechanisms {

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;  // [rows, columns]

  Matrix() = default;
  Matrix(int64_t of_rows, int64_t of_columns)
      : rows(of_rows), columns(of_columns), values(static_cast<size_t>(of_rows * of_columns), 0.0) {}
  [[nodiscard]] double at(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * columns + j)]; }
  double& at(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  [[nodiscard]] std::span<const double> row(int64_t i) const {
    return std::span(values).subspan(static_cast<size_t>(i * columns), static_cast<size_t>(columns));
  }
  [[nodiscard]] std::span<double> row(int64_t i) {
    return std::span(values).subspan(static_cast<size_t>(i * columns), static_cast<size_t>(columns));
  }
};

[[nodiscard]] double dot(std::span<const double> a, std::span<const double> b);
// a b^T: [a.rows, b.rows], times `scale`. The same number of columns.
[[nodiscard]] Matrix products(const Matrix& a, const Matrix& b, double scale = 1.0);
// w v: [w.rows, v.columns].
[[nodiscard]] Matrix weighted(const Matrix& w, const Matrix& v);
// exp(x - max) / sum, in place. -infinity becomes 0; a row of nothing but -infinity becomes zeros.
void softmax(std::span<double> row);
// x / sum of x, in place; all zeros stay.
void normalise(std::span<double> row);
// Means of the rows [begin, end): [columns].
[[nodiscard]] std::vector<double> mean_row(const Matrix& matrix, int64_t begin, int64_t end);
// Indices of the k largest, largest first; ties go to the lowest index. NaN counts as -infinity.
[[nodiscard]] std::vector<int64_t> top_indices(std::span<const double> values, int64_t k);

}  // namespace saccade::mechanisms
