// One pass over a head's map, 64 rows at a time, and everything that more than one family wants of it. The
// map is never held: 64 rows of one head at most.
//
// Rows that see no key are left out of every mean. Keys a row can see are those of the mask, less what
// knockouts and `stream` edits hide.
#pragma once

#include <optional>
#include <vector>

#include "analysis/methods/head_scores/sheet.h"
#include "core/capture/attention_map.h"

namespace saccade::head_scores {

struct PassOptions {
  bool concentration = false, rhythm = false, last_rows = false, hardness = false, fidelity = false;
};

constexpr int64_t top_keys = 5;           // of top_mass
constexpr double keys_share = 0.9;        // of keys
constexpr int64_t block_of_removed = 16;  // hardness leaves out the largest 1/16 of a row: 256 of 4,096

struct PassResult {
  // Concentration: means over the rows.
  RunningMean normalised_entropy, effective_keys, top_mass, keys, gini, spikiness;
  // Against the map before weight edits; rows of at least two keys.
  RunningMean spearman, discordant, divergence;
  // Hardness: n max_j sum_i p_ij^2, and ln max r - ln min r, r_i = sum_j exp(s_ij) without the row's largest.
  double column_square = nan, ln_kappa = nan;
  std::vector<double> waad;       // [query]
  std::vector<double> influence;  // FAI [key]; NaN where no row counts
  // Of the last flex_block rows: mean weight of every key [n], of every offset i - j + n - 1 [2 n - 1].
  std::vector<double> vertical, slash;
  std::vector<double> task_columns;  // mean weight of every key over the last task_rows rows [n]
};

// The rows [lo, hi) of keys that the mask lets query i see.
struct KeySpan {
  int64_t begin = 0, end = 0;
};
[[nodiscard]] KeySpan visible_span(const ModelSpec& spec, int32_t layer, int64_t query, int64_t n);
// How many of them knockouts and `stream` hide.
[[nodiscard]] int64_t hidden_keys(const LayerCapture& layer, int32_t head, int64_t query, KeySpan span);

[[nodiscard]] bool has_weight_edits(const Capture& capture, HeadId head);

// kernels: to regenerate the map before weight edits, where options ask for fidelity.
[[nodiscard]] Result<PassResult> pass_over(const std::shared_ptr<const Capture>& capture, HeadId head,
                                           const KernelSet& kernels, const PassOptions& options,
                                           const Settings& settings, const JobContext& job);

}  // namespace saccade::head_scores
