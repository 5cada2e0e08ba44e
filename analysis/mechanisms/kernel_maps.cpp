#include "analysis/mechanisms/kernel_maps.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace saccade::mechanisms {
namespace {

// weight(i, j) >= 0 where the mask sees; a row without any weight looks evenly at what it sees.
template <class Weight>
Matrix normalised_map(const KeyMask& mask, Weight weight) {
  Matrix map(mask.queries(), mask.keys());
  for (int64_t i = 0; i < map.rows; ++i) {
    double sum = 0.0;
    for (int64_t j = 0; j < map.columns; ++j)
      if (mask.sees(i, j)) sum += map.at(i, j) = weight(i, j);
    if (sum <= 0.0)
      for (int64_t j = 0; j < map.columns; ++j) map.at(i, j) = mask.sees(i, j) ? 1.0 : 0.0;
    normalise(map.row(i));
  }
  return map;
}

// Stretch `cell` of `count` over n: [floor(cell n / count), ceil((cell + 1) n / count)).
KeyRange stretch(int64_t cell, int64_t count, int64_t n) {
  return {cell * n / count, ((cell + 1) * n + count - 1) / count};
}

}  // namespace

double taylor_weight(double score) { return 1.0 + score + score * score / 2.0; }

Matrix taylor_map(const Matrix& q, const Matrix& k, double scale, int64_t window, const KeyMask& mask) {
  return normalised_map(mask, [&](int64_t i, int64_t j) {
    const double score = scale * dot(q.row(i), k.row(j));
    return std::abs(i - j) < window ? std::exp(score) : taylor_weight(score);
  });
}

Matrix feature_map(const Matrix& q, const Matrix& k, double scale, const FeatureMap& phi,
                   const KeyMask& mask) {
  const double each = std::sqrt(scale);
  const auto features_of = [&](const Matrix& rows) {
    std::vector<std::vector<double>> features;
    for (int64_t i = 0; i < rows.rows; ++i) {
      std::vector<double> scaled(rows.row(i).begin(), rows.row(i).end());
      for (double& value : scaled) value *= each;
      features.push_back(phi(scaled));
    }
    return features;
  };
  const auto of_queries = features_of(q), of_keys = features_of(k);
  return normalised_map(mask, [&](int64_t i, int64_t j) {
    return dot(of_queries[static_cast<size_t>(i)], of_keys[static_cast<size_t>(j)]);
  });
}

std::vector<double> hedgehog_features(std::span<const double> x) {
  std::vector<double> features;
  for (const double value : x) features.push_back(std::exp(value));
  for (const double value : x) features.push_back(std::exp(-value));
  return features;
}

std::vector<double> elu_features(std::span<const double> x) {
  std::vector<double> features;
  for (const double value : x) features.push_back(value > 0.0 ? value + 1.0 : std::exp(value));
  return features;
}

std::vector<double> taylor_features(std::span<const double> x) {
  std::vector<double> features{1.0};
  features.insert(features.end(), x.begin(), x.end());
  for (const double a : x)
    for (const double b : x) features.push_back(a * b / std::sqrt(2.0));
  return features;
}

Matrix cosine_map(const Matrix& q, const Matrix& k, const KeyMask& mask) {
  return normalised_map(mask, [&](int64_t i, int64_t j) {
    const double lengths = std::sqrt(dot(q.row(i), q.row(i)) * dot(k.row(j), k.row(j)));
    return lengths > 0.0 ? std::max(0.0, dot(q.row(i), k.row(j)) / lengths) : 0.0;
  });
}

Matrix pool_sequence(const Matrix& rows, int64_t count) {
  Matrix pooled(std::min(count, rows.rows), rows.columns);
  for (int64_t c = 0; c < pooled.rows; ++c) {
    const KeyRange part = stretch(c, pooled.rows, rows.rows);
    std::ranges::copy(mean_row(rows, part.begin, part.end), pooled.row(c).begin());
  }
  return pooled;
}

Matrix pool_grid(const Matrix& rows, Grid grid, int64_t side) {
  const int64_t down = std::min(side, grid.height), across = std::min(side, grid.width);
  Matrix pooled(down * across, rows.columns);
  for (int64_t c = 0; c < pooled.rows; ++c) {
    const KeyRange ys = stretch(c / across, down, grid.height), xs = stretch(c % across, across, grid.width);
    const auto cells = static_cast<double>((ys.end - ys.begin) * (xs.end - xs.begin));
    for (int64_t y = ys.begin; y < ys.end; ++y)
      for (int64_t x = xs.begin; x < xs.end; ++x)
        for (int64_t d = 0; d < rows.columns; ++d) pooled.at(c, d) += rows.at(y * grid.width + x, d) / cells;
  }
  return pooled;
}

Matrix agent_map(const Matrix& q, const Matrix& k, const Matrix& agents, double scale) {
  Matrix gather = products(agents, k, scale), spread = products(q, agents, scale);
  for (int64_t a = 0; a < gather.rows; ++a) softmax(gather.row(a));
  for (int64_t i = 0; i < spread.rows; ++i) softmax(spread.row(i));
  return weighted(spread, gather);
}

}  // namespace saccade::mechanisms
