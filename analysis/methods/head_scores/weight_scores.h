// What a head's weights say without a run. Row-vector convention: KQ = W_Q W_K^T and OV = W_V W_O are [d, d];
// the norm before attention is folded in (its gain, not its division), rotation and biases are not.
//
//   alpha = trace / d          residual = |M - alpha I|_F / |M|_F     symmetric = |(M + M^T) / 2|_F / |M|_F
//   zero-sum of a layer = |sum_h OV_h|_F / sum_h |OV_h|_F: 0 = the heads cancel
//   copying = Re(sum lambda) / sum |lambda| over the eigenvalues of W_E W_V W_O W_U, which, but for zeros,
//   are those of the [d_head, d_head] matrix W_O W_U W_E W_V; the gains of both norms are folded in
// Sources: copying: Elhage et al. 2021 (A Mathematical Framework for Transformer Circuits); diagonal and
// zero-sum patterns: studies of in-context linear regression, the scores are ours. Computed on d_head x
// d_head cores, never on vocabulary x vocabulary.
#pragma once

#include <span>
#include <vector>

#include "analysis/methods/head_scores/sheet.h"

namespace saccade::head_scores {

// Numbers of M = A B^T with A, B [d, d_head] row-major.
struct Bilinear {
  double norm = 0.0;                                    // |M|_F
  double alpha = nan, residual = nan, symmetric = nan;  // NaN for M = 0
};
[[nodiscard]] Bilinear bilinear(std::span<const double> a, std::span<const double> b, int64_t d,
                                int64_t d_head);
// A^T B, [columns of A, columns of B], of matrices of d rows.
[[nodiscard]] std::vector<double> cross_product(std::span<const double> a, std::span<const double> b,
                                                int64_t d, int64_t columns_a, int64_t columns_b);
// Re(sum) / sum of magnitudes of the eigenvalues of a [n, n] matrix; NaN when all are 0.
[[nodiscard]] Result<double> eigenvalue_balance(std::span<const double> matrix, int64_t n);

// |sum_h OV_h|_F / sum_h |OV_h|_F of a layer, OV_h = value_h output_h; NaN where all are 0. value: [d,
// d_head] of each head, output: [d_head, d], norms: |OV_h|_F.
[[nodiscard]] Result<double> zero_sum(std::span<const HostTensor> value, std::span<const HostTensor> output,
                                      std::span<const double> norms);

// Columns, and the table "layers". Without a model a finding says what is missing.
Result<void> add_weight_scores(const MethodInput& input, const JobContext& job, ScoreSheet& sheet);

}  // namespace saccade::head_scores
