#include "analysis/mechanisms/sparse_prefill.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "analysis/mechanisms/block_routing.h"
#include "analysis/methods/head_scores/row_math.h"

namespace saccade::mechanisms {
namespace {

std::vector<double> block_sums_of(std::span<const double> values, int64_t block) {
  std::vector<double> sums((values.size() + static_cast<size_t>(block) - 1) / static_cast<size_t>(block),
                           0.0);
  for (size_t j = 0; j < values.size(); ++j) sums[j / static_cast<size_t>(block)] += values[j];
  return sums;
}

// How many entries a budget of whole blocks holds.
int64_t budget(const std::vector<double>& shares, const FlexRule& rule, bool least_only) {
  const auto n = static_cast<int64_t>(shares.size());
  const int64_t least = std::min(rule.least, n);
  if (least_only) return least;
  const int64_t count = head_scores::coverage_count(shares, rule.coverage);
  return std::clamp((count / rule.block + 1) * rule.block, least, n);
}

// Blocks of the pooled map, the largest first, while their sum is at most coverage x block rows.
void show_pooled_blocks(const Matrix& q, const Matrix& k, double scale, const FlexRule& rule,
                        KeyMask& blocks) {
  const std::vector<int64_t> block_of = blocks_in_a_row(q.rows, rule.block);
  Matrix pooled = products(block_means(q, block_of), block_means(k, block_of), scale);
  for (int64_t b = 0; b < pooled.rows; ++b) {
    for (int64_t c = b + 1; c < pooled.columns; ++c) pooled.at(b, c) = -INFINITY;
    softmax(pooled.row(b));
  }
  double sum = 0.0;
  const double bound = rule.coverage * static_cast<double>(pooled.rows);
  for (const int64_t cell : top_indices(pooled.values, pooled.rows * pooled.columns)) {
    sum += pooled.values[static_cast<size_t>(cell)];
    if (sum > bound || cell % pooled.columns > cell / pooled.columns) break;
    blocks.show(cell / pooled.columns, cell % pooled.columns);
  }
}

}  // namespace

FlexMask flex_mask(const Matrix& q, const Matrix& k, const Matrix& weights, double scale,
                   const FlexRule& rule) {
  const int64_t n = weights.rows, first = std::max<int64_t>(0, n - rule.block);
  std::vector<double> vertical(static_cast<size_t>(n), 0.0), slash(static_cast<size_t>(n), 0.0);
  for (int64_t i = first; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      vertical[static_cast<size_t>(j)] += weights.at(i, j) / static_cast<double>(n - first);
      slash[static_cast<size_t>(i - j)] += weights.at(i, j) / static_cast<double>(n - first);
    }
  const std::vector<double> query = mean_row(q, first, n);
  const Matrix keys = block_means(k, blocks_in_a_row(n, rule.block));
  std::vector<double> foreseen;
  for (int64_t b = 0; b < keys.rows; ++b) foreseen.push_back(scale * dot(query, keys.row(b)));
  softmax(foreseen);
  FlexMask result;
  result.distance = head_scores::jensen_shannon_distance(foreseen, block_sums_of(vertical, rule.block));
  result.query_aware = result.distance < rule.threshold;
  const auto columns = top_indices(vertical, budget(vertical, rule, result.query_aware)),
             diagonals = top_indices(slash, budget(slash, rule, result.query_aware));
  KeyMask blocks(keys.rows, keys.rows);
  for (int64_t b = 0; b < keys.rows; ++b) {
    blocks.show(b, 0);
    blocks.show(b, b);
  }
  if (result.query_aware) show_pooled_blocks(q, k, scale, rule, blocks);
  result.mask = expand_blocks(blocks, rule.block, n);
  for (int64_t i = 0; i < n; ++i) {
    for (const int64_t j : columns) result.mask.show(i, j);
    for (const int64_t offset : diagonals)
      if (i >= offset) result.mask.show(i, i - offset);
  }
  result.mask &= KeyMask::causal(n);
  return result;
}

int64_t seer_blocks(double share, int64_t blocks) {
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::floor((1.0 - std::sqrt(1.0 - share)) * static_cast<double>(blocks))));
}

KeyMask seer_block_mask(const Matrix& weights, int64_t side, int64_t keep) {
  const int64_t blocks = (weights.rows + side - 1) / side;
  Matrix largest(blocks, blocks);
  for (int64_t i = 0; i < weights.rows; ++i)
    for (int64_t j = 0; j <= std::min(i, weights.columns - 1); ++j) {
      double& cell = largest.at(i / side, j / side);
      cell = std::max(cell, weights.at(i, j));
    }
  KeyMask mask(blocks, blocks);
  for (int64_t b = 0; b < blocks; ++b) {
    mask.show(b, b);
    for (const int64_t c : top_indices(largest.row(b).first(static_cast<size_t>(b + 1)), keep))
      mask.show(b, c);
  }
  return mask;
}

std::vector<double> gated_output(std::span<const double> full, std::span<const double> streaming,
                                 double alpha) {
  std::vector<double> mixed;
  for (size_t x = 0; x < full.size(); ++x) mixed.push_back(alpha * full[x] + (1.0 - alpha) * streaming[x]);
  return mixed;
}

double gate_objective(const Matrix& full, const Matrix& mixed, std::span<const double> gates,
                      double penalty) {
  double error = 0.0, size = 0.0;
  for (size_t at = 0; at < full.values.size(); ++at) {
    const double difference = full.values[at] - mixed.values[at];
    error += difference * difference;
  }
  for (const double gate : gates) size += std::abs(gate);
  return error / static_cast<double>(full.values.size()) + penalty * size / static_cast<double>(gates.size());
}

}  // namespace saccade::mechanisms
