#include "analysis/methods/subspace.h"

#include <opencv2/core.hpp>

namespace saccade {

Subspace Subspace::of(const HostTensor& samples) {
  const int64_t count = samples.shape()[0], width = samples.shape()[1];
  Subspace made;
  made.mean_.assign(static_cast<size_t>(width), 0.0);
  for (int64_t s = 0; s < count; ++s)
    for (size_t x = 0; x < made.mean_.size(); ++x)
      made.mean_[x] += samples.slice(s)[x] / static_cast<double>(count);
  const int size = static_cast<int>(width);
  cv::Mat covariance = cv::Mat::zeros(size, size, CV_64F), variances, directions;
  for (int64_t s = 0; s < count; ++s) {
    const std::span<const float> row = samples.slice(s);
    for (int x = 0; x < size; ++x)
      for (int y = 0; y < size; ++y)
        covariance.at<double>(x, y) += (row[static_cast<size_t>(x)] - made.mean_[static_cast<size_t>(x)]) *
                                       (row[static_cast<size_t>(y)] - made.mean_[static_cast<size_t>(y)]);
  }
  cv::eigen(covariance, variances, directions);
  for (int d = 0; d < size; ++d) {
    made.variances_.push_back(std::max(variances.at<double>(d), 0.0));
    const auto* row = directions.ptr<double>(d);
    made.directions_.emplace_back(row, row + size);
  }
  return made;
}

std::vector<float> Subspace::projected(std::span<const float> x, int64_t rank) const {
  std::vector<double> sum = mean_;
  for (int64_t d = 0; d < std::min<int64_t>(rank, static_cast<int64_t>(directions_.size())); ++d) {
    const std::vector<double>& direction = directions_[static_cast<size_t>(d)];
    double along = 0.0;
    for (size_t i = 0; i < direction.size(); ++i) along += direction[i] * (x[i] - mean_[i]);
    for (size_t i = 0; i < direction.size(); ++i) sum[i] += along * direction[i];
  }
  return {sum.begin(), sum.end()};
}

double Subspace::explained(int64_t rank) const {
  double kept = 0.0, all = 0.0;
  for (size_t d = 0; d < variances_.size(); ++d) {
    all += variances_[d];
    if (static_cast<int64_t>(d) < rank) kept += variances_[d];
  }
  return all > 0.0 ? kept / all : 1.0;
}

}  // namespace saccade
