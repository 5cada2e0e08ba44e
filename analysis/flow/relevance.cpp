#include "analysis/flow/relevance.h"

#include <algorithm>

namespace saccade {

std::vector<double> gradient_relevance(const GradientCapture& gradients, int32_t layers,
                                       const std::vector<double>& start) {
  std::vector<double> shares = start;
  const size_t n = start.size();
  for (int32_t l = layers - 1; l >= 0; --l) {
    const HostTensor& a = gradients.values.at({HookSite::pattern, l});
    const HostTensor& g = gradients.gradients.at({HookSite::pattern, l});
    const auto heads = static_cast<size_t>(a.shape()[0]);
    std::vector<double> below = shares;  // through I
    for (size_t h = 0; h < heads; ++h)
      for (size_t i = 0; i < n; ++i) {
        if (shares[i] == 0.0) continue;
        const size_t row = (h * n + i) * n;
        for (size_t j = 0; j < n; ++j)
          below[j] += shares[i] / static_cast<double>(heads) *
                      std::max(0.0, static_cast<double>(a.data()[row + j]) * g.data()[row + j]);
      }
    shares = std::move(below);
  }
  for (size_t i = 0; i < n; ++i) shares[i] -= start[i];
  return shares;
}

}  // namespace saccade
