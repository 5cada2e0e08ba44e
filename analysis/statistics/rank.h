// How well two lists of numbers agree. Pairs in which either is NaN are left out; a list without spread, or
// fewer than two pairs, has no correlation: NaN. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace saccade {

// 1-based; equal values share the mean of their ranks.
[[nodiscard]] std::vector<double> ranks(std::span<const double> values);

[[nodiscard]] double pearson(std::span<const double> x, std::span<const double> y);
[[nodiscard]] double spearman(std::span<const double> x, std::span<const double> y);  // Pearson of the ranks
// tau-b = (C - D) / sqrt((C + D + T_x)(C + D + T_y)); T_x: pairs tied in x alone (Kendall 1945).
[[nodiscard]] double kendall_tau_b(std::span<const double> x, std::span<const double> y);
// The share of the k largest of one that are among the k largest of the other; ties go to the lower index.
[[nodiscard]] double top_overlap(std::span<const double> x, std::span<const double> y, int64_t k);

struct Agreement {
  double pearson = 0.0, spearman = 0.0, kendall = 0.0;
  int64_t count = 0;  // pairs
};
[[nodiscard]] Agreement agreement(std::span<const double> x, std::span<const double> y);
[[nodiscard]] std::string to_text(const Agreement& agreement);  // "Pearson 0.91, Spearman 0.85, Kendall 0.70"

}  // namespace saccade
