#include "analysis/mechanisms/block_routing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saccade::mechanisms {
namespace {

constexpr double closed = -std::numeric_limits<double>::infinity();

// [query, block]: scores, `closed` where a query may not choose. The own block is handled apart.
Matrix open_scores(const Matrix& q, const Matrix& means, const std::vector<int64_t>& block_of, bool causal) {
  Matrix scores = products(q, means);
  for (int64_t i = 0; i < q.rows; ++i) {
    const int64_t own = block_of[static_cast<size_t>(i)];
    for (int64_t b = 0; b < means.rows; ++b)
      if (b == own || (causal && b > own)) scores.at(i, b) = closed;
  }
  return scores;
}

// The blocks that each query keeps besides its own.
std::vector<std::vector<int64_t>> choose(const Matrix& scores, const BlockRouting& routing) {
  std::vector<std::vector<int64_t>> kept(static_cast<size_t>(scores.rows));
  const int64_t besides = std::max<int64_t>(routing.keep - 1, 0);
  if (routing.choice == BlockChoice::global) {
    for (const int64_t cell : top_indices(scores.values, besides * scores.rows))
      if (scores.values[static_cast<size_t>(cell)] != closed)
        kept[static_cast<size_t>(cell / scores.columns)].push_back(cell % scores.columns);
    return kept;
  }
  for (int64_t i = 0; i < scores.rows; ++i) {
    auto& blocks = kept[static_cast<size_t>(i)];
    if (routing.choice == BlockChoice::top) {
      for (const int64_t b : top_indices(scores.row(i), besides))
        if (scores.at(i, b) != closed) blocks.push_back(b);
      continue;
    }
    std::vector<double> shares(scores.row(i).begin(), scores.row(i).end());
    softmax(shares);
    double sum = 0.0;
    for (const int64_t b : top_indices(shares, scores.columns)) {
      if (sum >= routing.share || scores.at(i, b) == closed) break;
      sum += shares[static_cast<size_t>(b)];
      blocks.push_back(b);
    }
  }
  return kept;
}

}  // namespace

std::vector<int64_t> blocks_in_a_row(int64_t n, int64_t side) {
  std::vector<int64_t> block_of;
  for (int64_t i = 0; i < n; ++i) block_of.push_back(i / side);
  return block_of;
}

std::vector<int64_t> blocks_of_grid(Grid grid, int64_t height, int64_t width) {
  const int64_t per_row = (grid.width + width - 1) / width;
  std::vector<int64_t> block_of;
  for (int64_t i = 0; i < grid.size(); ++i)
    block_of.push_back(i / grid.width / height * per_row + i % grid.width / width);
  return block_of;
}

Matrix block_means(const Matrix& rows, const std::vector<int64_t>& block_of) {
  const int64_t blocks = block_of.empty() ? 0 : *std::max_element(block_of.begin(), block_of.end()) + 1;
  Matrix means(blocks, rows.columns);
  std::vector<double> counts(static_cast<size_t>(blocks), 0.0);
  for (int64_t i = 0; i < rows.rows; ++i) {
    const int64_t b = block_of[static_cast<size_t>(i)];
    counts[static_cast<size_t>(b)] += 1.0;
    for (int64_t x = 0; x < rows.columns; ++x) means.at(b, x) += rows.at(i, x);
  }
  for (int64_t b = 0; b < blocks; ++b)
    for (double& value : means.row(b)) value /= counts[static_cast<size_t>(b)];
  return means;
}

std::vector<int64_t> best_blocks(std::span<const double> scores, int64_t k) {
  std::vector<int64_t> best = top_indices(scores, k);
  std::sort(best.begin(), best.end());
  return best;
}

KeyMask route_blocks(const Matrix& q, const Matrix& k, const std::vector<int64_t>& block_of,
                     const BlockRouting& routing) {
  const Matrix scores = open_scores(q, block_means(k, block_of), block_of, routing.causal);
  const auto kept = choose(scores, routing);
  KeyMask mask(q.rows, k.rows);
  for (int64_t i = 0; i < q.rows; ++i) {
    std::vector<bool> open(static_cast<size_t>(scores.columns), false);
    open[static_cast<size_t>(block_of[static_cast<size_t>(i)])] = true;
    for (const int64_t b : kept[static_cast<size_t>(i)]) open[static_cast<size_t>(b)] = true;
    for (int64_t j = 0; j < k.rows; ++j)
      if (open[static_cast<size_t>(block_of[static_cast<size_t>(j)])] && (!routing.causal || j <= i))
        mask.show(i, j);
  }
  return mask;
}

RegionRouting route_regions(const Matrix& q, const Matrix& k, Grid grid, int64_t regions, int64_t keep) {
  const int64_t height = (grid.height + regions - 1) / regions, width = (grid.width + regions - 1) / regions;
  const std::vector<int64_t> region_of = blocks_of_grid(grid, height, width);
  const Matrix queries = block_means(q, region_of), keys = block_means(k, region_of);
  RegionRouting routing;
  routing.scores = products(queries, keys, 1.0 / std::sqrt(static_cast<double>(q.columns)));
  for (int64_t r = 0; r < queries.rows; ++r)
    routing.chosen.push_back(best_blocks(routing.scores.row(r), keep));
  routing.mask = KeyMask(grid.size(), grid.size());
  for (int64_t i = 0; i < grid.size(); ++i) {
    const auto& chosen = routing.chosen[static_cast<size_t>(region_of[static_cast<size_t>(i)])];
    for (int64_t j = 0; j < grid.size(); ++j)
      if (std::binary_search(chosen.begin(), chosen.end(), region_of[static_cast<size_t>(j)]))
        routing.mask.show(i, j);
  }
  return routing;
}

}  // namespace saccade::mechanisms
