#include "analysis/mechanisms/hilo.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "analysis/mechanisms/block_routing.h"

namespace saccade::mechanisms {
namespace {

using Plane = std::vector<std::complex<double>>;  // [row, column]

// The discrete Fourier transform of `count` sequences: element e of sequence s at [s * sequence + e *
// element].
void transform(Plane& plane, int64_t count, int64_t sequence, int64_t length, int64_t element) {
  std::vector<std::complex<double>> turns, made(static_cast<size_t>(length));
  for (int64_t t = 0; t < length; ++t)
    turns.push_back(
        std::polar(1.0, -2.0 * std::numbers::pi * static_cast<double>(t) / static_cast<double>(length)));
  for (int64_t s = 0; s < count; ++s) {
    for (int64_t f = 0; f < length; ++f) {
      std::complex<double> sum;
      for (int64_t e = 0; e < length; ++e)
        sum += plane[static_cast<size_t>(s * sequence + e * element)] *
               turns[static_cast<size_t>(f * e % length)];
      made[static_cast<size_t>(f)] = sum;
    }
    for (int64_t f = 0; f < length; ++f)
      plane[static_cast<size_t>(s * sequence + f * element)] = made[static_cast<size_t>(f)];
  }
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
  Plane plane(static_cast<size_t>(grid.size()));
  for (int64_t column = 0; column < rows.columns; ++column) {
    for (int64_t i = 0; i < rows.rows; ++i) plane[static_cast<size_t>(i)] = rows.at(i, column);
    transform(plane, grid.height, grid.width, grid.width, 1);
    transform(plane, grid.width, 1, grid.height, grid.width);
    for (int64_t i = 1; i < grid.size(); ++i) {
      const int64_t fy = i / grid.width, fx = i % grid.width;
      const int64_t up = std::min(fy, grid.height - fy), across = std::min(fx, grid.width - fx);
      const double energy = std::norm(plane[static_cast<size_t>(i)]);
      all += energy;
      if (4 * up > grid.height || 4 * across > grid.width) high += energy;
    }
  }
  // What rounding leaves of a constant picture is no energy.
  return all > 1e-20 * dot(picture.values, picture.values) ? high / all : 0.0;
}

}  // namespace saccade::mechanisms
