#include "analysis/mechanisms/hyper_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace saccade::mechanisms {
namespace {

std::vector<int64_t> sorted_by(const std::vector<int64_t>& buckets, int64_t first, int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), first);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return buckets[static_cast<size_t>(a)] < buckets[static_cast<size_t>(b)];
  });
  return order;
}

class Approximation {
 public:
  Approximation(const Matrix& q, const Matrix& k, double scale, const HyperAttention& options)
      : q_(q), k_(k), scale_(scale), options_(options), random_(options.seed), scores_(q.rows, k.rows) {
    std::fill(scores_.values.begin(), scores_.values.end(), -std::numeric_limits<double>::infinity());
    Matrix projections(options.bits, q.columns);
    std::normal_distribution<double> normal;
    for (double& value : projections.values) value = normal(random_);
    query_buckets_ = hash_buckets(q, projections);
    key_buckets_ = hash_buckets(k, projections);
  }

  Matrix map() {
    if (options_.causal)
      diagonal(0, q_.rows);
    else
      rectangle(0, q_.rows, 0, k_.rows);
    for (int64_t i = 0; i < scores_.rows; ++i) softmax(scores_.row(i));
    return std::move(scores_);
  }

 private:
  void exact(int64_t i, int64_t j) { scores_.at(i, j) = scale_ * dot(q_.row(i), k_.row(j)); }

  void diagonal(int64_t first, int64_t n) {
    if (n <= std::max<int64_t>(options_.exact_below, 1)) {
      for (int64_t i = first; i < first + n; ++i)
        for (int64_t j = first; j <= i; ++j) exact(i, j);
      return;
    }
    const int64_t half = n / 2;
    diagonal(first, half);
    diagonal(first + half, n - half);
    rectangle(first + half, n - half, first, half);
  }

  // Every query of this part sees every key of it.
  void rectangle(int64_t first_query, int64_t queries, int64_t first_key, int64_t keys) {
    if (std::max(queries, keys) <= options_.exact_below || keys <= options_.block) {
      for (int64_t i = first_query; i < first_query + queries; ++i)
        for (int64_t j = first_key; j < first_key + keys; ++j) exact(i, j);
      return;
    }
    const auto query_order = sorted_by(query_buckets_, first_query, queries),
               key_order = sorted_by(key_buckets_, first_key, keys);
    const int64_t blocks = (keys + options_.block - 1) / options_.block;
    std::vector<int64_t> drawn;
    std::uniform_int_distribution<int64_t> any(0, keys - 1);
    for (int64_t s = 0; s < options_.samples; ++s) drawn.push_back(any(random_));
    for (int64_t at = 0; at < queries; ++at) {
      const int64_t i = query_order[static_cast<size_t>(at)], b = at * blocks / queries;
      const int64_t begin = b * options_.block, end = std::min(begin + options_.block, keys);
      for (int64_t j = begin; j < end; ++j) exact(i, key_order[static_cast<size_t>(j)]);
      const double stands_for =
          static_cast<double>(keys - (end - begin)) / static_cast<double>(options_.samples);
      std::vector<int64_t> times(static_cast<size_t>(keys), 0);
      for (const int64_t j : drawn)
        if (j < begin || j >= end) ++times[static_cast<size_t>(j)];
      for (int64_t j = 0; j < keys; ++j) {
        if (times[static_cast<size_t>(j)] == 0) continue;
        const int64_t key = key_order[static_cast<size_t>(j)];
        exact(i, key);
        scores_.at(i, key) += std::log(stands_for * static_cast<double>(times[static_cast<size_t>(j)]));
      }
    }
  }

  const Matrix &q_, &k_;
  double scale_;
  HyperAttention options_;
  std::mt19937_64 random_;
  std::vector<int64_t> query_buckets_, key_buckets_;
  Matrix scores_;  // scores plus the logarithm of how many keys one stands for
};

}  // namespace

std::vector<int64_t> hash_buckets(const Matrix& rows, const Matrix& projections) {
  std::vector<int64_t> buckets;
  for (int64_t i = 0; i < rows.rows; ++i) {
    uint64_t gray = 0;
    for (int64_t p = 0; p < projections.rows; ++p)
      if (dot(rows.row(i), projections.row(p)) > 0.0) gray |= uint64_t{1} << p;
    uint64_t place = gray;  // Gray code to the number it stands for
    for (uint64_t shift = gray >> 1; shift != 0; shift >>= 1) place ^= shift;
    buckets.push_back(static_cast<int64_t>(place));
  }
  return buckets;
}

Matrix hyper_attention_map(const Matrix& q, const Matrix& k, double scale, const HyperAttention& options) {
  return Approximation(q, k, scale, options).map();
}

}  // namespace saccade::mechanisms
