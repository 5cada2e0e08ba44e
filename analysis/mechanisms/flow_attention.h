// Flow attention (Flowformer): attention as a flow whose capacities are conserved.
//
// phi = sigmoid; eps = 1e-6 is added to both factors of every flow.
//   I_i = phi(q_i) . sum_j phi(k_j)                      incoming flow of a sink (query)
//   O_j = phi(k_j) . sum_i phi(q_i)                      outgoing flow of a source (key)
//   I^_i = phi(q_i) . sum_j phi(k_j) / O_j               conserved
//   O^_j = phi(k_j) . sum_i phi(q_i) / I_i               conserved, clamped to [-1, 1]
//   weight_ij = sigmoid(I^_i n_q / n_k) phi(q_i) / I_i . phi(k_j) c_j,   c_j = n_k softmax(O^)_j
// and out_i = sum_j weight_ij v_j. Rows do not sum to 1: the allocation sigmoid(I^) scales them.
// Causal: every sum runs over what a position has seen, I, O, I^ and O^ are means over those positions, O^ is
// clamped to [-10, 10], and c_j = (j + 1) exp(O^_j) / sum_{j' <= j} exp(O^_j').
// Source: Wu et al. 2022 (arXiv 2202.06258) and copies of the authors' code.
#pragma once

#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct Flow {
  Matrix weights;                   // [query, key]
  std::vector<double> competition;  // c_j, [key]: above 1 where a source wins
  std::vector<double> allocation;   // sigmoid(I^), [query]: how much a sink takes
};
// q, k: [position, d_head] of one head, the same number of rows when causal.
[[nodiscard]] Flow flow_attention(const Matrix& q, const Matrix& k, bool causal);

}  // namespace saccade::mechanisms
