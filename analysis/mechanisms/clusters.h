// Routing by clusters (Routing Transformer): queries and keys are put on the sphere (layer-normalised without
// weights), grouped by spherical k-means over both, and attend inside their cluster.
//
// Each centroid takes its n / clusters nearest queries and its n / clusters nearest keys, so that clusters
// are equal in size; a query in no cluster keeps a local window. Every query sees itself. Source: Roy et al.
// 2021 (arXiv 2003.05997). Its centroids are a moving average made in training; here they are found on the
// run itself, `iterations` rounds from a seed.
#pragma once

#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct ClusterRouting {
  int64_t clusters = 0;  // 0: about the square root of n
  int iterations = 10;
  int64_t window = 16;  // of queries in no cluster
  uint64_t seed = 1;
  bool causal = true;
};

// (x - mean) / |x - mean|; rows that are constant become zeros.
[[nodiscard]] Matrix on_sphere(const Matrix& rows);
// [cluster, d], of length 1. rows: on the sphere.
[[nodiscard]] Matrix spherical_k_means(const Matrix& rows, int64_t clusters, int iterations, uint64_t seed);
[[nodiscard]] KeyMask route_clusters(const Matrix& q, const Matrix& k, const ClusterRouting& routing);

}  // namespace saccade::mechanisms
