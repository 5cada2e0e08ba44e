// Softplus attention with re-weighting (LSSAR).
//
// Row with n visible keys: c_j = cos(q, k_j); a_j = softplus(ln d_head ln n c_j), L1-normalised. Then
// b_j = max(0, n a_j - offset)^p, L1-normalised; a row that would be all zero keeps a. offset is 1, and 0 for
// the first three rows; p = 3 for short inputs, 15 for long ones in trained models. Re-weighting alone, on a
// model's own softmax, is the edit `sharpen`. Source: Gao et al. 2025 (arXiv 2501.13428).
#pragma once

#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

// ln d_head ln n; what multiplies the cosine. n >= 1.
[[nodiscard]] double softplus_scale(int64_t d_head, int64_t n);
// a of a row of cosines.
[[nodiscard]] std::vector<double> softplus_row(std::span<const double> cosines, int64_t d_head);
// b of a row of weights that sum to 1, in place.
void reweigh(std::span<double> row, double power, double offset);
// [query, key]; rows sum to 1.
[[nodiscard]] Matrix softplus_map(const Matrix& q, const Matrix& k, double power, const KeyMask& mask);

}  // namespace saccade::mechanisms
