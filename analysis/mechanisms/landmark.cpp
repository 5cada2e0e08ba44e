#include "analysis/mechanisms/landmark.h"

#include <algorithm>

namespace saccade::mechanisms {

LandmarkRow landmark_row(std::span<const double> scores, std::span<const double> landmarks,
                         int64_t block_size) {
  const size_t earlier = landmarks.size(), side = static_cast<size_t>(block_size), current = earlier * side;
  std::vector<double> group(landmarks.begin(), landmarks.end());
  group.insert(group.end(), scores.begin() + static_cast<ptrdiff_t>(current), scores.end());
  softmax(group);
  LandmarkRow row;
  row.blocks.assign(group.begin(), group.begin() + static_cast<ptrdiff_t>(earlier));
  for (size_t b = 0; b < earlier; ++b) {
    std::vector<double> inside(scores.begin() + static_cast<ptrdiff_t>(b * side),
                               scores.begin() + static_cast<ptrdiff_t>((b + 1) * side));
    softmax(inside);
    for (const double weight : inside) row.weights.push_back(weight * group[b]);
  }
  row.weights.insert(row.weights.end(), group.begin() + static_cast<ptrdiff_t>(earlier), group.end());
  return row;
}

Matrix landmark_map(const Matrix& q, const Matrix& k, double scale, int64_t block_size) {
  const int64_t n = q.rows, blocks = (n + block_size - 1) / block_size;
  Matrix means(blocks, k.columns), map(n, n);
  for (int64_t b = 0; b < blocks; ++b)
    std::ranges::copy(mean_row(k, b * block_size, std::min(n, (b + 1) * block_size)), means.row(b).begin());
  for (int64_t i = 0; i < n; ++i) {
    std::vector<double> scores, landmarks;
    for (int64_t j = 0; j <= i; ++j) scores.push_back(scale * dot(q.row(i), k.row(j)));
    for (int64_t b = 0; b < i / block_size; ++b) landmarks.push_back(scale * dot(q.row(i), means.row(b)));
    std::ranges::copy(landmark_row(scores, landmarks, block_size).weights, map.row(i).begin());
  }
  return map;
}

}  // namespace saccade::mechanisms
