#include "analysis/mechanisms/matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace saccade::mechanisms {

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Matrix products(const Matrix& a, const Matrix& b, double scale) {
  Matrix result(a.rows, b.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < b.rows; ++j) result.at(i, j) = scale * dot(a.row(i), b.row(j));
  return result;
}

Matrix weighted(const Matrix& w, const Matrix& v) {
  Matrix result(w.rows, v.columns);
  for (int64_t i = 0; i < w.rows; ++i)
    for (int64_t j = 0; j < w.columns; ++j) {
      const double weight = w.at(i, j);
      if (weight == 0.0) continue;
      for (int64_t x = 0; x < v.columns; ++x) result.at(i, x) += weight * v.at(j, x);
    }
  return result;
}

void softmax(std::span<double> row) {
  if (row.empty()) return;
  const double most = *std::max_element(row.begin(), row.end());
  if (std::isinf(most) && most < 0.0) {
    std::fill(row.begin(), row.end(), 0.0);
    return;
  }
  for (double& value : row) value = std::exp(value - most);
  normalise(row);
}

void normalise(std::span<double> row) {
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  if (sum == 0.0) return;
  for (double& value : row) value /= sum;
}

std::vector<double> mean_row(const Matrix& matrix, int64_t begin, int64_t end) {
  std::vector<double> mean(static_cast<size_t>(matrix.columns), 0.0);
  for (int64_t i = begin; i < end; ++i)
    for (size_t x = 0; x < mean.size(); ++x) mean[x] += matrix.row(i)[x] / static_cast<double>(end - begin);
  return mean;
}

std::vector<int64_t> top_indices(std::span<const double> values, int64_t k) {
  const auto value = [&](int64_t i) {
    const double x = values[static_cast<size_t>(i)];
    return std::isnan(x) ? -std::numeric_limits<double>::infinity() : x;
  };
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = static_cast<ptrdiff_t>(std::clamp<int64_t>(k, 0, static_cast<int64_t>(values.size())));
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [&](int64_t a, int64_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  order.resize(static_cast<size_t>(count));
  return order;
}

}  // namespace saccade::mechanisms
