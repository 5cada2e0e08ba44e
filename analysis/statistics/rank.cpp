#include "analysis/statistics/rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Pairs {
  std::vector<double> x, y;
};

Pairs complete(std::span<const double> x, std::span<const double> y) {
  Pairs pairs;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (!std::isnan(x[i]) && !std::isnan(y[i])) {
      pairs.x.push_back(x[i]);
      pairs.y.push_back(y[i]);
    }
  return pairs;
}

double correlation(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n,
               mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xy = 0.0, xx = 0.0, yy = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return x.size() < 2 || xx == 0.0 || yy == 0.0 ? nan : xy / std::sqrt(xx * yy);
}

std::vector<size_t> largest_first(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  return order;
}

}  // namespace

std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) rank[order[i]] = static_cast<double>(begin + 1 + end) / 2.0;
    begin = end;
  }
  return rank;
}

double pearson(std::span<const double> x, std::span<const double> y) {
  const Pairs pairs = complete(x, y);
  return correlation(pairs.x, pairs.y);
}

double spearman(std::span<const double> x, std::span<const double> y) {
  const Pairs pairs = complete(x, y);
  return correlation(ranks(pairs.x), ranks(pairs.y));
}

double kendall_tau_b(std::span<const double> x, std::span<const double> y) {
  const Pairs pairs = complete(x, y);
  double concordant = 0.0, discordant = 0.0, tied_x = 0.0, tied_y = 0.0;
  for (size_t i = 0; i < pairs.x.size(); ++i)
    for (size_t j = i + 1; j < pairs.x.size(); ++j) {
      const double dx = pairs.x[i] - pairs.x[j], dy = pairs.y[i] - pairs.y[j];
      if (dx == 0.0 && dy == 0.0) continue;
      if (dx == 0.0)
        ++tied_x;
      else if (dy == 0.0)
        ++tied_y;
      else
        ++((dx > 0.0) == (dy > 0.0) ? concordant : discordant);
    }
  const double both = concordant + discordant;
  const double scale = std::sqrt((both + tied_x) * (both + tied_y));
  return scale == 0.0 ? nan : (concordant - discordant) / scale;
}

double top_overlap(std::span<const double> x, std::span<const double> y, int64_t k) {
  const Pairs pairs = complete(x, y);
  const auto count = static_cast<size_t>(std::clamp<int64_t>(k, 0, static_cast<int64_t>(pairs.x.size())));
  if (count == 0) return nan;
  const std::vector<size_t> a = largest_first(pairs.x), b = largest_first(pairs.y);
  const auto end = b.begin() + static_cast<std::ptrdiff_t>(count);
  const auto common = std::count_if(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(count),
                                    [&](size_t i) { return std::find(b.begin(), end, i) != end; });
  return static_cast<double>(common) / static_cast<double>(count);
}

Agreement agreement(std::span<const double> x, std::span<const double> y) {
  return {pearson(x, y), spearman(x, y), kendall_tau_b(x, y), static_cast<int64_t>(complete(x, y).x.size())};
}

std::string to_text(const Agreement& agreement) {
  return fmt::format("Pearson {:.2f}, Spearman {:.2f}, Kendall {:.2f}", agreement.pearson, agreement.spearman,
                     agreement.kendall);
}

}  // namespace saccade
