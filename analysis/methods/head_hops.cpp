#include "analysis/methods/head_hops.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace saccade {
namespace {

constexpr int64_t rows_at_once = 64;

// One query patch after another.
class Hops {
 public:
  Hops(const HopGrid& grid, int64_t hops, bool causal)
      : grid_(grid), hops_(hops), causal_(causal), extent_(offset_extent(grid, hops)) {
    const auto bins = static_cast<size_t>(hops) + 1;
    made_.strength.assign(bins, 0.0);
    made_.per_patch.assign(bins, 0.0);
    rows_with_.assign(bins, 0);
    sums_.assign(static_cast<size_t>(extent_.rows * extent_.columns), 0.0);
    counts_.assign(sums_.size(), 0);
  }

  // row: weights of all keys of the run.
  void add(int64_t patch, std::span<const float> row) {
    const int64_t y = patch / grid_.columns, x = patch % grid_.columns;
    std::vector<double> mass(made_.strength.size(), 0.0);
    std::vector<int64_t> there(mass.size(), 0);
    double on_patches = 0.0, logs = 0.0;
    int64_t visible = 0;
    for (int64_t key = 0; key < (causal_ ? patch + 1 : grid_.patches()); ++key) {
      const double weight = row[static_cast<size_t>(grid_.first + key)];
      const int64_t dy = key / grid_.columns - y, dx = key % grid_.columns - x;
      const int64_t hop = std::max(std::abs(dy), std::abs(dx));
      const auto bin = static_cast<size_t>(std::min(hop, hops_));
      mass[bin] += weight;
      ++there[bin];
      ++visible;
      made_.mean_hop += static_cast<double>(hop) * weight;
      if (dy == 0) made_.same_row += weight;
      if (dx == 0) made_.same_column += weight;
      on_patches += weight;
      logs += weight > 0.0 ? weight * std::log(weight) : 0.0;
      offset(dy, dx, weight);
    }
    for (size_t k = 0; k < mass.size(); ++k) {
      made_.strength[k] += mass[k];
      if (there[k] == 0) continue;
      made_.per_patch[k] += mass[k] / static_cast<double>(there[k]);
      ++rows_with_[k];
    }
    for (int64_t key = 0; key < static_cast<int64_t>(row.size()); ++key) {
      if (key >= grid_.first && key < grid_.first + grid_.patches()) continue;
      const bool prefix = key >= grid_.prefix_begin && key < grid_.first;
      (prefix ? made_.prefix : made_.elsewhere) += row[static_cast<size_t>(key)];
    }
    if (visible >= 2 && on_patches > 0.0) {
      // -sum (p / w) ln(p / w)
      made_.entropy += (std::log(on_patches) - logs / on_patches) / std::log(static_cast<double>(visible));
      ++entropies_;
    }
  }

  HopProfile finish() {
    const auto count = static_cast<double>(grid_.patches());
    for (double* value :
         {&made_.mean_hop, &made_.same_row, &made_.same_column, &made_.prefix, &made_.elsewhere})
      *value /= count;
    for (size_t k = 0; k < made_.strength.size(); ++k) {
      made_.strength[k] /= count;
      if (rows_with_[k] > 0) made_.per_patch[k] /= static_cast<double>(rows_with_[k]);
    }
    made_.entropy = entropies_ > 0 ? made_.entropy / static_cast<double>(entropies_) : std::nan("");
    made_.offsets.resize(sums_.size());
    for (size_t i = 0; i < sums_.size(); ++i)
      made_.offsets[i] =
          counts_[i] > 0 ? static_cast<float>(sums_[i] / static_cast<double>(counts_[i])) : 0.0F;
    return std::move(made_);
  }

  HopProfile& made() { return made_; }

 private:
  void offset(int64_t dy, int64_t dx, double weight) {
    const int64_t row = dy + extent_.rows / 2, column = dx + extent_.columns / 2;
    if (row < 0 || row >= extent_.rows || column < 0 || column >= extent_.columns) return;
    const auto at = static_cast<size_t>(row * extent_.columns + column);
    sums_[at] += weight;
    ++counts_[at];
  }

  const HopGrid& grid_;
  int64_t hops_;
  bool causal_;
  OffsetExtent extent_;
  HopProfile made_;
  std::vector<int64_t> rows_with_;  // [hop]: query patches that have patches there
  std::vector<double> sums_;        // [dy, dx]
  std::vector<int64_t> counts_;
  int64_t entropies_ = 0;
};

}  // namespace

OffsetExtent offset_extent(const HopGrid& grid, int64_t hops) {
  return {2 * std::min(grid.rows - 1, hops) + 1, 2 * std::min(grid.columns - 1, hops) + 1};
}

Result<HopProfile> hop_profile(const AttentionMap& map, const HopGrid& grid, int64_t hops,
                               const JobContext& job) {
  const int64_t n = map.size();
  Hops sum(grid, hops, map.capture().spec.looks_back());
  std::vector<float> rows;
  for (int64_t begin = 0; begin < grid.patches(); begin += rows_at_once) {
    SACCADE_CHECK(job.check());
    const int64_t end = std::min(grid.patches(), begin + rows_at_once);
    rows.resize(static_cast<size_t>((end - begin) * n));
    SACCADE_CHECK(map.rows(grid.first + begin, grid.first + end, n, rows));
    for (int64_t patch = begin; patch < end; ++patch)
      sum.add(patch, std::span<const float>(rows).subspan(static_cast<size_t>((patch - begin) * n),
                                                          static_cast<size_t>(n)));
  }
  HopProfile made = sum.finish();
  if (grid.prefix_begin < grid.first) {
    rows.resize(static_cast<size_t>(n));
    SACCADE_CHECK(map.rows(grid.prefix_begin, grid.prefix_begin + 1, n, rows));
    made.first_row.assign(rows.begin() + grid.first, rows.begin() + grid.first + grid.patches());
    for (const float weight : made.first_row) made.first_on_patches += weight;
  }
  return made;
}

std::string pattern_label(const HopProfile& profile, const HopGrid& grid) {
  const OffsetExtent extent = offset_extent(grid, static_cast<int64_t>(profile.strength.size()) - 1);
  const auto middle = static_cast<size_t>((extent.rows / 2) * extent.columns + extent.columns / 2);
  if (profile.offsets[middle] > 0.5F) return "self";
  if (profile.strength.size() > 1 && profile.strength[1] > 0.4) return "neighbour";
  if (grid.rows > 1 && grid.columns > 1) {
    if (profile.same_row > 0.6) return "row";
    if (profile.same_column > 0.6) return "column";
  }
  if (profile.prefix > 0.5) return "prefix";
  if (profile.entropy > 0.95) return "uniform";
  return "content";
}

}  // namespace saccade
