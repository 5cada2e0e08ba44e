#include "analysis/mechanisms/hilo.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "analysis/mechanisms/block_routing.h"

namespace saccade::mechanisms {
namespace {

// |X(fy, fx)|^2 of one column of the rows, laid out on the grid.
double energy_at(const Matrix& rows, Grid grid, int64_t column, int64_t fy, int64_t fx) {
  std::complex<double> sum;
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x) {
      const double turn = static_cast<double>(fy * y) / static_cast<double>(grid.height) +
                          static_cast<double>(fx * x) / static_cast<double>(grid.width);
      sum += std::polar(rows.at(y * grid.width + x, column), -2.0 * std::numbers::pi * turn);
    }
  return std::norm(sum);
}

}  // namespace

int64_t low_frequency_heads(int64_t heads, double alpha) {
  return static_cast<int64_t>(std::floor(alpha * static_cast<double>(heads)));
}

Matrix low_frequency_map(const Matrix& q, const Matrix& k, Grid grid, int64_t side, double scale) {
  const std::vector<int64_t> window_of = blocks_of_grid(grid, side, side);
  const Matrix means = block_means(k, window_of);
  std::vector<double> sizes(static_cast<size_t>(means.rows), 0.0);
  for (const int64_t window : window_of) sizes[static_cast<size_t>(window)] += 1.0;
  Matrix map(q.rows, k.rows);
  for (int64_t i = 0; i < q.rows; ++i) {
    std::vector<double> weights;
    for (int64_t w = 0; w < means.rows; ++w) weights.push_back(scale * dot(q.row(i), means.row(w)));
    softmax(weights);
    for (int64_t j = 0; j < k.rows; ++j) {
      const auto window = static_cast<size_t>(window_of[static_cast<size_t>(j)]);
      map.at(i, j) = weights[window] / sizes[window];
    }
  }
  return map;
}

double high_frequency_share(const Matrix& picture, Grid grid) {
  Matrix rows = picture;
  const std::vector<double> mean = mean_row(picture, 0, picture.rows);
  for (int64_t i = 0; i < rows.rows; ++i)
    for (size_t x = 0; x < mean.size(); ++x) rows.row(i)[x] -= mean[x];
  double high = 0.0, all = 0.0;
  for (int64_t fy = 0; fy < grid.height; ++fy)
    for (int64_t fx = 0; fx < grid.width; ++fx) {
      if (fy == 0 && fx == 0) continue;
      const int64_t up = std::min(fy, grid.height - fy), across = std::min(fx, grid.width - fx);
      const bool is_high = 4 * up > grid.height || 4 * across > grid.width;
      for (int64_t column = 0; column < rows.columns; ++column) {
        const double energy = energy_at(rows, grid, column, fy, fx);
        all += energy;
        if (is_high) high += energy;
      }
    }
  // What rounding leaves of a constant picture is no energy.
  return all > 1e-20 * dot(picture.values, picture.values) ? high / all : 0.0;
}

}  // namespace saccade::mechanisms
