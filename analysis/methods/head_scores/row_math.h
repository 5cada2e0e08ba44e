// What is computed from one row of weights, or from two distributions: plain functions, float64 inside.
//
// Definitions (more.md's numbers 2.5, 2.6, 2.8 are those of the method notes' worked examples):
//   entropy -sum p ln p (nats); effective keys exp(entropy); keys reaching a share: the smallest k whose k
//   largest weights hold that share of the row; Gini 2 sum_i i x_(i) / (m sum x) - (m + 1) / m, ascending.
// Sources: Zhang et al. 2024 (Hedgehog, arXiv 2402.04347) names low entropy and monotonicity as what matters
// in softmax; the scalars are ours. Jensen-Shannon distance: Lai et al. 2025 (FlexPrefill, arXiv 2502.20766).
// Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace saccade::head_scores {

// Sorts weights (all >= 0, not NaN) ascending, in place; radix sort on their bits. scratch: any size.
void sort_weights(std::vector<float>& weights, std::vector<uint32_t>& scratch);

// Of a distribution or of counts; 0 ln 0 = 0. nats
[[nodiscard]] double entropy_of(std::span<const float> weights);

// The following three take weights sorted ascending.
[[nodiscard]] double top_mass(std::span<const float> ascending, int64_t k);  // of the k largest, not divided
[[nodiscard]] int64_t keys_reaching(std::span<const float> ascending, double share);
[[nodiscard]] double gini(std::span<const float> ascending);

// How a row of weights follows the scores it was made from (softmax: 1 and 0).
struct Monotonicity {
  double spearman = 1.0;    // rank correlation, ties at their mean rank; NaN when a side is constant
  double discordant = 0.0;  // pairs with s_j > s_l but w_j < w_l, over all pairs
};
[[nodiscard]] Monotonicity monotonicity(std::span<const float> scores, std::span<const float> weights);
// sum p ln(p / w), nats; +inf where w leaves out what p holds.
[[nodiscard]] double divergence(std::span<const float> p, std::span<const float> w);

// sqrt of the Jensen-Shannon divergence (natural logarithm), 0 to sqrt(ln 2). The same length, each summing
// to 1.
[[nodiscard]] double jensen_shannon_distance(std::span<const double> p, std::span<const double> q);
// How many of the largest entries have a cumulative sum of at most `coverage`, plus 1 (never more than all).
[[nodiscard]] int64_t coverage_count(std::vector<double> shares, double coverage);

// sum_s p_s min(t - s, width): the row's look-back, cut at `width` (WAAD of one row). t: its own position.
[[nodiscard]] double windowed_distance(std::span<const float> row, int64_t t, int64_t width);

// exp(entropy of the normalised singular values) of a matrix, given the eigenvalues of its Gram matrix.
[[nodiscard]] double effective_rank(std::span<const double> gram_eigenvalues);

// Linear interpolation between the order statistics, share in [0, 1]; values are not empty.
[[nodiscard]] double quantile(std::vector<double> values, double share);

}  // namespace saccade::head_scores
