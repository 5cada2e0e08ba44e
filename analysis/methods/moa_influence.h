// What removing one attention weight would do to a loss, to first order (Fu et al. 2024, MoA, arXiv
// 2406.14909).
#pragma once

#include <span>
#include <vector>

namespace saccade {

// Of one row of a map: weights A [key] and G = d loss / d A [key]. Entry j gone and the others made to sum to
// 1:
//   E_j = -A_j (G_j - sum_m A_m G_m) / (1 - A_j)
// positive = the entry helps: without it the loss is higher. A row of one key only has nothing to renormalise
// with: E_j = -A_j G_j.
[[nodiscard]] std::vector<double> removal_effects(std::span<const float> weights,
                                                  std::span<const float> gradients);

}  // namespace saccade
