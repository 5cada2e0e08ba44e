// Weights that other kernels than exp(q . k) would give, on queries and keys of one head, [position, d_head].
// Every map is [query, key] with rows that sum to 1 unless said otherwise; `mask` says what a row may see.
//
//   agent     agents: pooled queries; softmax(agents K^T s) V, then softmax(Q agents^T s) of that. The map is
//             the product of the two, of rank at most the number of agents. Not causal.
//             Source: Han et al. 2024 (arXiv 2312.08874); its biases and convolution are trained: left out.
//   Taylor    1 + s + s^2 / 2 outside a window, exp(s) inside it, one shared normaliser; s = q . k / sqrt(d).
//             Source: Arora et al. 2024 (Based, arXiv 2402.18668). The weight is never below 1/2.
//   Hedgehog  phi(x) = [exp(x), exp(-x)], the form of Zhang et al. 2024 (arXiv 2402.04347) before training.
//   elu       phi(x) = elu(x) + 1. Source: Katharopoulos et al. 2020 (arXiv 2006.16236).
//   cosine    max(0, cos(q, k)).
#pragma once

#include <functional>

#include "analysis/mechanisms/grid_masks.h"
#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

// 1 + s + s^2 / 2.
[[nodiscard]] double taylor_weight(double score);

[[nodiscard]] Matrix taylor_map(const Matrix& q, const Matrix& k, double scale, int64_t window,
                                const KeyMask& mask);
// Weights from features: phi(q) . phi(k), normalised. Features are made of q and k scaled by d^(-1/4) each.
using FeatureMap = std::function<std::vector<double>(std::span<const double>)>;
[[nodiscard]] Matrix feature_map(const Matrix& q, const Matrix& k, double scale, const FeatureMap& phi,
                                 const KeyMask& mask);
[[nodiscard]] std::vector<double> hedgehog_features(std::span<const double> x);
[[nodiscard]] std::vector<double> elu_features(std::span<const double> x);
// [1, x, x (x) x / sqrt 2]: phi(x) . phi(y) = taylor_weight(x . y).
[[nodiscard]] std::vector<double> taylor_features(std::span<const double> x);
[[nodiscard]] Matrix cosine_map(const Matrix& q, const Matrix& k, const KeyMask& mask);

// Means of the rows in `count` stretches of nearly equal length, as adaptive average pooling cuts them.
[[nodiscard]] Matrix pool_sequence(const Matrix& rows, int64_t count);
// The same over a grid, side x side cells.
[[nodiscard]] Matrix pool_grid(const Matrix& rows, Grid grid, int64_t side);
[[nodiscard]] Matrix agent_map(const Matrix& q, const Matrix& k, const Matrix& agents, double scale);

}  // namespace saccade::mechanisms
