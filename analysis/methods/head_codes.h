// Discrete codes of head outputs: each z vector becomes the number of a cluster, or of the dictionary feature
// that it excites most.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/base/job.h"

namespace saccade {

// samples: [sample, width]. Clusters by k-means (k-means++ starts, Lloyd's steps until nothing moves or 100
// times), seeded; fewer clusters where there are fewer distinct samples. Gives the cluster of every sample.
[[nodiscard]] std::vector<int32_t> k_means_codes(const HostTensor& samples, int32_t clusters, uint64_t seed);

struct DictionaryOptions {
  int32_t features = 128;
  double sparsity = 0.05;  // lambda of |f|_1
  int32_t epochs = 30;
  double step = 1e-3;  // Adam's
  uint64_t seed = 0;
};

// A sparse autoencoder f = ReLU(W_e z + b), z' = W_d f, trained on |z - z'|^2 + lambda |f|_1 with Adam, one
// sample at a time in a seeded order. Samples are scaled to a mean square of 1 per number before. Source of
// the loss: Cunningham et al. 2023 (arXiv 2309.08600).
class SparseDictionary {
 public:
  // samples: [sample, width]. Cancelled: the error.
  static Result<SparseDictionary> train(const HostTensor& samples, const DictionaryOptions& options,
                                        const JobContext& job);
  // The feature that z excites most, ties to the lowest; -1 where none is above 0.
  [[nodiscard]] int32_t code(std::span<const float> z) const;
  // Mean over samples of |z - z'|^2 / |z|^2, and of how many features are above 0.
  [[nodiscard]] double unexplained(const HostTensor& samples) const;
  [[nodiscard]] double mean_active(const HostTensor& samples) const;

 private:
  void features(std::span<const float> z, std::vector<float>& f) const;  // f: [features]

  int64_t width_ = 0, count_ = 0;
  float scale_ = 1.0F;
  std::vector<float> encoder_, bias_, decoder_;  // [feature, width], [feature], [feature, width]
};

}  // namespace saccade
