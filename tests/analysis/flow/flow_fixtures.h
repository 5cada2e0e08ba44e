// Captures with wanted maps in several layers, and slow obvious references.
#pragma once

#include "analysis/flow/fused_maps.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade::flow_fixtures {

// One layer after another, each with heads of exactly these patterns (causal; rows of keys 0..i).
inline std::shared_ptr<Capture> layers_of(const std::vector<std::string>& texts,
                                          const std::vector<std::vector<synthetic::Pattern>>& layers) {
  std::shared_ptr<Capture> all = synthetic::capture_of(texts, layers.front());
  for (size_t l = 1; l < layers.size(); ++l)
    all->layers.push_back(synthetic::capture_of(texts, layers[l])->layers.front());
  all->spec.n_layer = static_cast<int32_t>(layers.size());
  return all;
}

using Matrix = std::vector<std::vector<double>>;

// Head by head, entry by entry: A of a layer.
inline Matrix plain_map(const std::shared_ptr<const Capture>& capture, int32_t layer, HeadFusion fusion) {
  const int64_t n = capture->n_token();
  Matrix fused(static_cast<size_t>(n), std::vector<double>(static_cast<size_t>(n)));
  for (int32_t h = 0; h < capture->spec.n_head; ++h) {
    const auto map = AttentionMap::of(capture, {LayerIndex{layer}, HeadIndex{h}}, kernel_sets().front());
    EXPECT_TRUE(map.ok());
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const double weight = *map->weight(i, j);
        double& to = fused[static_cast<size_t>(i)][static_cast<size_t>(j)];
        if (fusion == HeadFusion::mean) to += weight / capture->spec.n_head;
        if (fusion == HeadFusion::max) to = h == 0 ? weight : std::max(to, weight);
        if (fusion == HeadFusion::min) to = h == 0 ? weight : std::min(to, weight);
      }
  }
  return fused;
}

inline Matrix plain_mixed(Matrix a, double residual) {
  for (size_t i = 0; i < a.size(); ++i) {
    double sum = 0.0;
    for (size_t j = 0; j < a.size(); ++j) {
      a[i][j] = (1.0 - residual) * a[i][j] + (i == j ? residual : 0.0);
      sum += a[i][j];
    }
    for (double& value : a[i]) value /= sum;
  }
  return a;
}

inline Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.size(), std::vector<double>(b[0].size(), 0.0));
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t k = 0; k < b.size(); ++k)
      for (size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
  return c;
}

// A run of random q and k that sees both ways.
inline std::shared_ptr<Capture> both_ways(int tokens, int32_t layers, int32_t heads, uint32_t seed) {
  const auto made = synthetic::random_capture(synthetic::words(tokens), layers, heads, seed, 1.5F);
  made->spec.causal = false;
  // lse over all keys.
  for (auto& shared : made->layers) {
    auto layer = std::make_shared<LayerCapture>(*shared);
    layer->lse = HostTensor(shared->lse.shape());
    const int64_t n = made->n_token(), d = made->spec.d_head;
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < n; ++i) {
        double sum = 0.0;
        for (int64_t j = 0; j < n; ++j) {
          double score = 0.0;
          for (int64_t c = 0; c < d; ++c)
            score += static_cast<double>(layer->q.at({i, h, c})) * layer->k.at({j, h, c});
          sum += std::exp(score * made->spec.attention_scale);
        }
        layer->lse.mutable_values()[static_cast<size_t>(h * n + i)] = static_cast<float>(std::log(sum));
      }
    layer->statistics = {};
    shared = std::move(layer);
  }
  return made;
}

// One layer of one head that sees both ways, with exactly this map (rows sum to 1): q is one-hot in the row,
// k_j[i] = ln A[i][j].
inline std::shared_ptr<Capture> full_map(const Matrix& a) {
  const auto n = static_cast<int64_t>(a.size());
  const auto capture =
      synthetic::empty_capture(synthetic::words(static_cast<int>(n)), 1, 1, static_cast<int32_t>(n));
  capture->spec.causal = false;
  capture->spec.attention_scale = 1.0;
  auto layer = std::make_shared<LayerCapture>();
  layer->q = HostTensor({n, 1, n});
  layer->k = HostTensor({n, 1, n});
  layer->lse = HostTensor({1, n});
  for (int64_t i = 0; i < n; ++i) {
    layer->q.mutable_values()[static_cast<size_t>(i * n + i)] = 1.0F;
    for (int64_t j = 0; j < n; ++j)
      layer->k.mutable_values()[static_cast<size_t>(j * n + i)] =
          static_cast<float>(std::log(std::max(a[static_cast<size_t>(i)][static_cast<size_t>(j)], 1e-30)));
  }
  capture->layers.push_back(std::move(layer));
  return capture;
}

}  // namespace saccade::flow_fixtures
