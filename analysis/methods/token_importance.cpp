#include "analysis/methods/token_importance.h"

#include <algorithm>
#include <numeric>

namespace saccade {
namespace {

constexpr int64_t pool_reach = 2;  // on each side

}  // namespace

std::vector<double> token_importance(std::span<const std::vector<float>> rows, int64_t window, int64_t keys) {
  const int64_t count = std::max<int64_t>(0, keys - window);
  std::vector<double> pooled(static_cast<size_t>(count));
  for (const std::vector<float>& head : rows) {
    std::vector<double> sums(static_cast<size_t>(count));
    for (int64_t query = 0; query < window; ++query)
      for (int64_t key = 0; key < count; ++key)
        sums[static_cast<size_t>(key)] += head[static_cast<size_t>(query * keys + key)];
    for (int64_t key = 0; key < count; ++key)
      for (int64_t near = std::max<int64_t>(0, key - pool_reach);
           near < std::min(count, key + pool_reach + 1); ++near)
        pooled[static_cast<size_t>(key)] +=
            sums[static_cast<size_t>(near)] / (2 * pool_reach + 1) / static_cast<double>(rows.size());
  }
  return pooled;
}

std::vector<int64_t> strongest_tokens(std::span<const double> importance, int64_t count) {
  std::vector<int64_t> order(importance.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return importance[static_cast<size_t>(a)] > importance[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(std::min<int64_t>(count, static_cast<int64_t>(order.size()))));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace saccade
