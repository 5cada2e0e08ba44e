// How much a loss grows, as a share of itself (AttentionInfluence, Hua et al. 2025). Pure.
#pragma once

#include <cmath>
#include <limits>
#include <numeric>
#include <span>

namespace saccade {

// Of token losses, nats; of none: NaN.
[[nodiscard]] inline double mean_loss(std::span<const float> losses) {
  return losses.empty()
             ? std::numeric_limits<double>::quiet_NaN()
             : std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

constexpr double least_loss = 1e-3;  // nats; a share of less means nothing

// (without - with) / with; NaN where `with` is less than least_loss.
[[nodiscard]] inline double influence(double with, double without) {
  return with >= least_loss ? (without - with) / with : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace saccade
