// Random numbers for tests of mechanisms: the same for the same seed.
#pragma once

#include <random>

#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

inline Matrix random_matrix(int64_t rows, int64_t columns, uint32_t seed, double spread = 1.0) {
  Matrix matrix(rows, columns);
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, spread);
  for (double& value : matrix.values) value = normal(random);
  return matrix;
}

inline double row_sum(const Matrix& map, int64_t row) {
  double sum = 0.0;
  for (const double value : map.row(row)) sum += value;
  return sum;
}

inline bool every_row_sees_itself(const KeyMask& mask) {
  for (int64_t i = 0; i < mask.queries(); ++i)
    if (!mask.sees(i, i)) return false;
  return true;
}

// The softmax of scale q . k over what the mask lets see.
inline Matrix exact_map(const Matrix& q, const Matrix& k, double scale, const KeyMask& mask) {
  Matrix map = products(q, k, scale);
  for (int64_t i = 0; i < map.rows; ++i) {
    for (int64_t j = 0; j < map.columns; ++j)
      if (!mask.sees(i, j)) map.at(i, j) = -INFINITY;
    softmax(map.row(i));
  }
  return map;
}

// Row i as "0 1 1 0", for comparing with worked examples.
inline std::vector<int> bits(const KeyMask& mask, int64_t row) {
  std::vector<int> cells;
  for (int64_t j = 0; j < mask.keys(); ++j) cells.push_back(mask.sees(row, j) ? 1 : 0);
  return cells;
}

}  // namespace saccade::mechanisms
