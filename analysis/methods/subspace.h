// The directions that vectors vary in most, and vectors without the others: how few numbers a head's query,
// key or value needs.
#pragma once

#include <span>
#include <vector>

#include "core/base/host_tensor.h"

namespace saccade {

class Subspace {
 public:
  // samples: [sample, width]. Directions are the eigenvectors of their covariance, largest variance first.
  [[nodiscard]] static Subspace of(const HostTensor& samples);

  // mean + the part of (x - mean) along the first `rank` directions.
  [[nodiscard]] std::vector<float> projected(std::span<const float> x, int64_t rank) const;
  [[nodiscard]] double explained(int64_t rank) const;  // share of the variance; 1 where nothing varies

 private:
  std::vector<double> mean_, variances_;         // [width]
  std::vector<std::vector<double>> directions_;  // [direction][width], orthonormal
};

}  // namespace saccade
