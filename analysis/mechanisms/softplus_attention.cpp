#include "analysis/mechanisms/softplus_attention.h"

#include <algorithm>
#include <cmath>

namespace saccade::mechanisms {
namespace {

constexpr int64_t rows_without_offset = 3;

double softplus(double x) { return x > 30.0 ? x : std::log1p(std::exp(x)); }

double cosine(std::span<const double> a, std::span<const double> b) {
  const double lengths = std::sqrt(dot(a, a) * dot(b, b));
  return lengths > 0.0 ? dot(a, b) / lengths : 0.0;
}

}  // namespace

double softplus_scale(int64_t d_head, int64_t n) {
  return std::log(static_cast<double>(d_head)) * std::log(static_cast<double>(n));
}

std::vector<double> softplus_row(std::span<const double> cosines, int64_t d_head) {
  const double scale = softplus_scale(d_head, static_cast<int64_t>(cosines.size()));
  std::vector<double> row;
  for (const double c : cosines) row.push_back(softplus(scale * c));
  normalise(row);
  return row;
}

void reweigh(std::span<double> row, double power, double offset) {
  const auto n = static_cast<double>(row.size());
  double sum = 0.0;
  for (const double value : row) sum += std::pow(std::max(0.0, value * n - offset), power);
  if (sum <= 0.0) return;
  for (double& value : row) value = std::pow(std::max(0.0, value * n - offset), power) / sum;
}

Matrix softplus_map(const Matrix& q, const Matrix& k, double power, const KeyMask& mask) {
  Matrix map(q.rows, k.rows);
  for (int64_t i = 0; i < q.rows; ++i) {
    std::vector<int64_t> keys;
    std::vector<double> cosines;
    for (int64_t j = 0; j < k.rows; ++j)
      if (mask.sees(i, j)) {
        keys.push_back(j);
        cosines.push_back(cosine(q.row(i), k.row(j)));
      }
    std::vector<double> row = softplus_row(cosines, q.columns);
    reweigh(row, power, i < rows_without_offset ? 0.0 : 1.0);
    for (size_t at = 0; at < keys.size(); ++at) map.at(i, keys[at]) = row[at];
  }
  return map;
}

}  // namespace saccade::mechanisms
