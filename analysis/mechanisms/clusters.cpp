#include "analysis/mechanisms/clusters.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace saccade::mechanisms {
namespace {

void to_length_one(std::span<double> row) {
  const double length = std::sqrt(dot(row, row));
  if (length < 1e-12) return;
  for (double& value : row) value /= length;
}

// The k rows nearest to the centroid.
std::vector<int64_t> nearest(const Matrix& rows, std::span<const double> centroid, int64_t k) {
  std::vector<double> closeness;
  for (int64_t i = 0; i < rows.rows; ++i) closeness.push_back(dot(rows.row(i), centroid));
  return top_indices(closeness, k);
}

}  // namespace

Matrix on_sphere(const Matrix& rows) {
  Matrix sphere = rows;
  for (int64_t i = 0; i < sphere.rows; ++i) {
    const std::span<double> row = sphere.row(i);
    const double mean = std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size());
    for (double& value : row) value -= mean;
    to_length_one(row);
  }
  return sphere;
}

Matrix spherical_k_means(const Matrix& rows, int64_t clusters, int iterations, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(rows.rows));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(seed);
  std::shuffle(order.begin(), order.end(), random);
  Matrix centroids(std::min(clusters, rows.rows), rows.columns);
  for (int64_t c = 0; c < centroids.rows; ++c)
    std::ranges::copy(rows.row(order[static_cast<size_t>(c)]), centroids.row(c).begin());
  for (int round = 0; round < iterations; ++round) {
    Matrix sums(centroids.rows, rows.columns);
    for (int64_t i = 0; i < rows.rows; ++i) {
      std::vector<double> closeness;
      for (int64_t c = 0; c < centroids.rows; ++c) closeness.push_back(dot(rows.row(i), centroids.row(c)));
      const int64_t own = top_indices(closeness, 1)[0];
      for (int64_t x = 0; x < rows.columns; ++x) sums.at(own, x) += rows.at(i, x);
    }
    for (int64_t c = 0; c < centroids.rows; ++c) {
      const std::span<double> sum = sums.row(c);
      if (dot(sum, sum) < 1e-24) continue;  // nobody is nearest: it stays where it is
      to_length_one(sum);
      std::ranges::copy(sum, centroids.row(c).begin());
    }
  }
  return centroids;
}

KeyMask route_clusters(const Matrix& q, const Matrix& k, const ClusterRouting& routing) {
  const int64_t n = q.rows;
  const int64_t clusters = routing.clusters > 0
                               ? std::min(routing.clusters, n)
                               : std::max<int64_t>(1, std::llround(std::sqrt(static_cast<double>(n))));
  const Matrix queries = on_sphere(q), keys = on_sphere(k);
  Matrix joint(2 * n, q.columns);
  std::ranges::copy(queries.values, joint.values.begin());
  std::ranges::copy(keys.values, joint.values.begin() + static_cast<ptrdiff_t>(queries.values.size()));
  const Matrix centroids = spherical_k_means(joint, clusters, routing.iterations, routing.seed);
  const int64_t size = (n + clusters - 1) / clusters;
  KeyMask mask(n, n);
  std::vector<bool> placed(static_cast<size_t>(n), false);
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const auto of_keys = nearest(keys, centroids.row(c), size);
    for (const int64_t i : nearest(queries, centroids.row(c), size)) {
      placed[static_cast<size_t>(i)] = true;
      for (const int64_t j : of_keys)
        if (!routing.causal || j <= i) mask.show(i, j);
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    mask.show(i, i);
    if (!placed[static_cast<size_t>(i)])
      mask.show(i, {i - routing.window + 1, routing.causal ? i + 1 : i + routing.window});
  }
  return mask;
}

}  // namespace saccade::mechanisms
