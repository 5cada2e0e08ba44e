#include "core/run/contrast.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saccade {

HostTensor contrasted(const HostTensor& logits, const HostTensor& negative, double alpha,
                      double plausibility) {
  HostTensor steered(logits.shape(), false);
  const std::span<const float> with = logits.values(), without = negative.values();
  const double highest = *std::max_element(with.begin(), with.end());
  const double least = highest + std::log(plausibility);  // -infinity without a cut
  std::span<float> made = steered.mutable_values();
  for (size_t i = 0; i < with.size(); ++i)
    made[i] = with[i] < least ? -std::numeric_limits<float>::infinity()
                              : static_cast<float>((1.0 + alpha) * with[i] - alpha * without[i]);
  return steered;
}

}  // namespace saccade
