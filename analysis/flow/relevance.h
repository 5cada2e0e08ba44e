// Gradient-weighted relevance (Chefer, Gur and Wolf 2021, arXiv 2103.15679, eq. 5 and 6): what attention does
// counts as far as it raises one number of the answer.
//   A^_l = mean_h (dA_lh * A_lh)^+,  R_0 = I,  R_l = R_{l-1} + A^_l R_{l-1}
// Thread: any.
#pragma once

#include <vector>

#include "core/run/gradient.h"

namespace saccade {

// start: as for rollout_from(). [token]: start R_L without the start itself (the I of every layer), which
// says nothing about the input. gradients: values and gradients at hook_pattern of `layers` layers, [head,
// query, key]. O(L H n^2): followed from the top, row by row.
[[nodiscard]] std::vector<double> gradient_relevance(const GradientCapture& gradients, int32_t layers,
                                                     const std::vector<double>& start);

}  // namespace saccade
