// HiLo: some heads attend to a picture in low resolution, the others inside small windows.
//
// Low-frequency heads (the first floor(alpha H), alpha 0.5): all queries see keys and values averaged over
// windows of s x s patches (s = 2). High-frequency heads see their own window. Source: Pan et al. 2022
// (LITv2, arXiv 2205.13213). Which head is which may also be read off its output (own): the share of its
// energy above half the highest frequency of either axis, the mean left out.
#pragma once

#include "analysis/mechanisms/grid_masks.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

[[nodiscard]] int64_t low_frequency_heads(int64_t heads, double alpha);
// [query patch, key patch]: softmax over the windows' mean keys, each weight shared evenly by its window.
[[nodiscard]] Matrix low_frequency_map(const Matrix& q, const Matrix& k, Grid grid, int64_t side,
                                       double scale);
// In [0, 1]; 0 for a constant picture. rows: [patch, d].
[[nodiscard]] double high_frequency_share(const Matrix& rows, Grid grid);

}  // namespace saccade::mechanisms
