#include "analysis/methods/head_scores/row_math.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "analysis/statistics/rank.h"

namespace saccade::head_scores {
namespace {

// Pairs i < j with values[i] > values[j], by merging.
int64_t inversions(std::span<float> values, std::vector<float>& scratch) {
  if (values.size() < 2) return 0;
  const size_t half = values.size() / 2;
  int64_t count = inversions(values.first(half), scratch) + inversions(values.subspan(half), scratch);
  scratch.clear();
  size_t left = 0, right = half;
  while (left < half && right < values.size()) {
    if (values[left] <= values[right]) {
      scratch.push_back(values[left++]);
    } else {
      count += static_cast<int64_t>(half - left);
      scratch.push_back(values[right++]);
    }
  }
  scratch.insert(scratch.end(), values.begin() + static_cast<ptrdiff_t>(left),
                 values.begin() + static_cast<ptrdiff_t>(half));
  std::copy(scratch.begin(), scratch.end(), values.begin());  // what is right of `right` stands already
  return count;
}

}  // namespace

void sort_weights(std::vector<float>& weights, std::vector<uint32_t>& scratch) {
  const size_t n = weights.size();
  if (n < 64) {
    std::sort(weights.begin(), weights.end());
    return;
  }
  // Bits of floats that are not negative are ordered as the floats are.
  scratch.resize(2 * n);
  uint32_t *from = scratch.data(), *to = scratch.data() + n;
  std::array<std::array<uint32_t, 256>, 4> counts{};
  for (size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<uint32_t>(weights[i]);
    from[i] = bits;
    for (size_t byte = 0; byte < 4; ++byte) ++counts[byte][bits >> (8 * byte) & 255U];
  }
  for (size_t byte = 0; byte < 4; ++byte) {
    uint32_t sum = 0;
    for (uint32_t& count : counts[byte]) sum += std::exchange(count, sum);
    for (size_t i = 0; i < n; ++i) to[counts[byte][from[i] >> (8 * byte) & 255U]++] = from[i];
    std::swap(from, to);
  }
  for (size_t i = 0; i < n; ++i) weights[i] = std::bit_cast<float>(from[i]);
}

double entropy_of(std::span<const float> weights) {
  double sum = 0.0;
  for (const double p : weights)
    if (p > 0.0) sum -= p * std::log(p);
  return sum;
}

double top_mass(std::span<const float> ascending, int64_t k) {
  const auto some = ascending.last(std::min(ascending.size(), static_cast<size_t>(k)));
  return std::accumulate(some.begin(), some.end(), 0.0);
}

int64_t keys_reaching(std::span<const float> ascending, double share) {
  const double wanted = share * std::accumulate(ascending.begin(), ascending.end(), 0.0);
  double sum = 0.0;
  int64_t k = 0;
  for (auto weight = ascending.rbegin(); weight != ascending.rend() && sum < wanted; ++weight, ++k)
    sum += *weight;
  return k;
}

double gini(std::span<const float> ascending) {
  double sum = 0.0, ranked = 0.0;
  for (size_t i = 0; i < ascending.size(); ++i) {
    sum += ascending[i];
    ranked += static_cast<double>(i + 1) * ascending[i];
  }
  const auto m = static_cast<double>(ascending.size());
  return sum > 0.0 ? 2.0 * ranked / (m * sum) - (m + 1.0) / m : std::numeric_limits<double>::quiet_NaN();
}

Monotonicity monotonicity(std::span<const float> scores, std::span<const float> weights) {
  Monotonicity result;
  result.spearman = spearman(std::vector<double>(scores.begin(), scores.end()),
                             std::vector<double>(weights.begin(), weights.end()));
  // In the order of the scores (of equal ones: of the weights), a discordant pair is an inversion of the
  // weights.
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : weights[a] < weights[b];
  });
  std::vector<float> sorted, scratch;
  sorted.reserve(order.size());
  for (const size_t i : order) sorted.push_back(weights[i]);
  const double pairs = static_cast<double>(order.size()) * static_cast<double>(order.size() - 1) / 2.0;
  result.discordant = order.size() < 2 ? 0.0 : static_cast<double>(inversions(sorted, scratch)) / pairs;
  return result;
}

double divergence(std::span<const float> p, std::span<const float> w) {
  double sum = 0.0;
  for (size_t j = 0; j < p.size(); ++j)
    if (p[j] > 0.0F) sum += p[j] * (std::log(double{p[j]}) - std::log(double{w[j]}));
  return sum;
}

double jensen_shannon_distance(std::span<const double> p, std::span<const double> q) {
  double sum = 0.0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double middle = (p[i] + q[i]) / 2.0;
    if (p[i] > 0.0) sum += p[i] * std::log(p[i] / middle) / 2.0;
    if (q[i] > 0.0) sum += q[i] * std::log(q[i] / middle) / 2.0;
  }
  return std::sqrt(std::max(sum, 0.0));
}

int64_t coverage_count(std::vector<double> shares, double coverage) {
  std::sort(shares.begin(), shares.end(), std::greater<>());
  double sum = 0.0;
  int64_t count = 0;
  for (const double share : shares) {
    sum += share;
    if (sum > coverage) break;
    ++count;
  }
  return std::min<int64_t>(count + 1, static_cast<int64_t>(shares.size()));
}

double windowed_distance(std::span<const float> row, int64_t t, int64_t width) {
  double sum = 0.0;
  for (int64_t s = 0; s < static_cast<int64_t>(row.size()); ++s)
    sum += double{row[static_cast<size_t>(s)]} * static_cast<double>(std::min(std::abs(t - s), width));
  return sum;
}

double effective_rank(std::span<const double> gram_eigenvalues) {
  std::vector<double> singular;
  double sum = 0.0;
  for (const double value : gram_eigenvalues) {
    singular.push_back(std::sqrt(std::max(value, 0.0)));
    sum += singular.back();
  }
  if (!(sum > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  double entropy = 0.0;
  for (const double value : singular)
    if (value > 0.0) entropy -= value / sum * std::log(value / sum);
  return std::exp(entropy);
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

}  // namespace saccade::head_scores
