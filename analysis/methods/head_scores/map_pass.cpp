#include "analysis/methods/head_scores/map_pass.h"

#include <algorithm>
#include <cmath>

#include "analysis/methods/head_scores/row_math.h"
#include "core/model/visibility.h"

namespace saccade::head_scores {
namespace {

constexpr int64_t rows_at_once = 64;
constexpr double least_rest = 1e-6;  // of a row without its first key; below it nothing is left to share out

class Pass {
 public:
  Pass(const Capture& capture, HeadId head, const PassOptions& options, const Settings& settings)
      : capture_(capture),
        layer_(*capture.layers[static_cast<size_t>(head.layer.value)]),
        head_(head),
        options_(options),
        settings_(settings),
        n_(capture.n_token()),
        lse_(layer_.lse.slice(head.head.value)) {
    const auto n = static_cast<size_t>(n_);
    if (options_.hardness) squares_.assign(n, 0.0);
    if (options_.rhythm) {
      result_.waad.assign(n, nan);
      result_.influence.assign(n, 0.0);
    }
    if (options_.last_rows) {
      result_.vertical.assign(n, 0.0);
      result_.slash.assign(2 * n - 1, 0.0);
      result_.task_columns.assign(n, 0.0);
    }
    edited_ = !layer_.knockouts.empty() || !layer_.plans.empty();
  }

  void row(int64_t i, std::span<const float> row) {
    if (std::isinf(lse_[static_cast<size_t>(i)])) return;
    if (options_.rhythm) rhythm(i, row);
    if (options_.last_rows) last_rows(i, row);
    if (options_.hardness)
      for (size_t j = 0; j < row.size(); ++j) squares_[j] += double{row[j]} * row[j];
    if (options_.concentration || options_.hardness) sorted(i, row);
  }

  // The same row as the softmax left it.
  void compare(int64_t i, std::span<const float> softmax, std::span<const float> edited) {
    const KeySpan span = visible_span(capture_.spec, head_.layer.value, i, n_);
    if (std::isinf(lse_[static_cast<size_t>(i)]) || span.end - span.begin < 2) return;
    const auto cut = [&](std::span<const float> row) {
      return row.subspan(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin));
    };
    const Monotonicity order = monotonicity(cut(softmax), cut(edited));
    result_.spearman.add(order.spearman);
    result_.discordant.add(order.discordant);
    result_.divergence.add(head_scores::divergence(cut(softmax), cut(edited)));
  }

  PassResult finish() {
    if (options_.hardness) {
      result_.column_square = static_cast<double>(n_) * *std::max_element(squares_.begin(), squares_.end());
      if (most_ >= least_) result_.ln_kappa = most_ - least_;
    }
    if (options_.rhythm) {
      const auto first = std::max<int64_t>(settings_.response_from, 0);
      for (int64_t s = 0; s < n_; ++s) {
        const int64_t from = std::max(s + settings_.influence_from, first),
                      to = std::min(n_ - 1, s + settings_.influence_to);
        double& value = result_.influence[static_cast<size_t>(s)];
        value = from <= to ? value / static_cast<double>(to - from + 1) : nan;
      }
    }
    return std::move(result_);
  }

 private:
  void rhythm(int64_t t, std::span<const float> row) {
    // sum_s p_s min(|t - s|, W): only keys nearer than W are worth less than W.
    const int64_t width = settings_.window, begin = std::max<int64_t>(0, t - width + 1);
    const int64_t end = std::min(static_cast<int64_t>(row.size()), t + width);
    double near = 0.0;
    for (int64_t s = begin; s < end; ++s)
      near += double{row[static_cast<size_t>(s)]} * static_cast<double>(width - std::abs(t - s));
    result_.waad[static_cast<size_t>(t)] = static_cast<double>(width) - near;
    if (t < settings_.response_from) return;
    for (int64_t s = std::max<int64_t>(0, t - settings_.influence_to); s <= t - settings_.influence_from; ++s)
      result_.influence[static_cast<size_t>(s)] += row[static_cast<size_t>(s)];
  }

  void last_rows(int64_t i, std::span<const float> row) {
    const int64_t flex = std::min(settings_.flex_block, n_), task = std::min(settings_.task_rows, n_);
    if (i >= n_ - flex) {
      const double share = 1.0 / static_cast<double>(flex);
      double* slash = result_.slash.data() + i + n_ - 1;
      for (size_t j = 0; j < row.size(); ++j) {
        result_.vertical[j] += row[j] * share;
        slash[-static_cast<ptrdiff_t>(j)] += row[j] * share;
      }
    }
    if (i >= n_ - task)
      for (size_t j = 0; j < row.size(); ++j) result_.task_columns[j] += row[j] / static_cast<double>(task);
  }

  void sorted(int64_t i, std::span<const float> row) {
    const KeySpan span = visible_span(capture_.spec, head_.layer.value, i, n_);
    const int64_t m = span.end - span.begin - (edited_ ? hidden_keys(layer_, head_.head.value, i, span) : 0);
    if (m < 1) return;
    weights_.assign(row.begin() + span.begin, row.begin() + span.end);
    sort_weights(weights_, scratch_);
    weights_.erase(weights_.begin(), weights_.end() - m);  // what is hidden is 0
    if (options_.hardness && m >= 2) {
      const int64_t removed = (m + block_of_removed - 1) / block_of_removed;
      const auto kept = std::span(weights_).first(static_cast<size_t>(m - removed));
      double rest = 0.0;
      for (const float weight : kept) rest += weight;
      if (rest > 0.0) {
        const double ln_r = lse_[static_cast<size_t>(i)] + std::log(rest);
        most_ = std::max(most_, ln_r);
        least_ = std::min(least_, ln_r);
      }
    }
    if (options_.concentration) concentration(i, row, span, m);
  }

  void concentration(int64_t i, std::span<const float> row, KeySpan span, int64_t m) {
    double entropy = layer_.statistics.entropy.slice(head_.head.value)[static_cast<size_t>(i)];
    double whole = 1.0;
    if (settings_.exclude_first && span.begin == 0 &&
        !(edited_ && hidden_keys(layer_, head_.head.value, i, {0, 1}) > 0)) {
      const double first = row[0];
      whole = 1.0 - first;
      if (m < 2 || whole < least_rest) return;
      // -sum over the rest of (p / whole) ln(p / whole)
      entropy = (entropy + (first > 0.0 ? first * std::log(first) : 0.0)) / whole + std::log(whole);
      weights_.erase(std::lower_bound(weights_.begin(), weights_.end(), row[0]));
      --m;
    }
    entropy = std::max(entropy, 0.0);
    result_.effective_keys.add(std::exp(entropy));
    if (m >= 2) result_.normalised_entropy.add(entropy / std::log(static_cast<double>(m)));
    result_.top_mass.add(head_scores::top_mass(weights_, top_keys) / whole);
    result_.keys.add(static_cast<double>(keys_reaching(weights_, keys_share)));
    result_.gini.add(head_scores::gini(weights_));
    result_.spikiness.add(weights_.back() / whole * static_cast<double>(m));
  }

  const Capture& capture_;
  const LayerCapture& layer_;
  HeadId head_;
  PassOptions options_;
  const Settings& settings_;
  int64_t n_;
  std::span<const float> lse_;
  bool edited_ = false;
  PassResult result_;
  std::vector<double> squares_;  // [key]: sum_i p^2
  double most_ = -INFINITY, least_ = INFINITY;
  std::vector<float> weights_;
  std::vector<uint32_t> scratch_;
};

}  // namespace

KeySpan visible_span(const ModelSpec& spec, int32_t layer, int64_t query, int64_t n) {
  const SeenKeys seen = seen_keys(spec, layer, query, n);
  return {seen.begin, seen.end};
}

int64_t hidden_keys(const LayerCapture& layer, int32_t head, int64_t query, KeySpan span) {
  const auto h = static_cast<size_t>(head);
  const bool cut = h < layer.knockouts.size() && !layer.knockouts[h].empty();
  const bool planned = h < layer.plans.size() && !layer.plans[h].scores.empty();
  if (!cut && !planned) return 0;
  const auto hidden = [&](int64_t key) {
    if (cut)
      for (const EdgeRect& rect : layer.knockouts[h])
        if (query >= rect.query_begin && query < rect.query_end && key >= rect.key_begin &&
            key < rect.key_end)
          return true;
    if (planned)
      for (const ScoreEdit& edit : layer.plans[h].scores)
        if (edit.kind == ScoreEditKind::stream && query >= edit.query.begin && query < edit.query.end &&
            key >= edit.sink && query - key >= edit.recent)
          return true;
    return false;
  };
  int64_t count = 0;
  for (int64_t key = span.begin; key < span.end; ++key) count += hidden(key) ? 1 : 0;
  return count;
}

bool has_weight_edits(const Capture& capture, HeadId head) {
  const auto& plans = capture.layers[static_cast<size_t>(head.layer.value)]->plans;
  return !plans.empty() && !plans[static_cast<size_t>(head.head.value)].weights.empty();
}

Result<PassResult> pass_over(const std::shared_ptr<const Capture>& capture, HeadId head,
                             const KernelSet& kernels, const PassOptions& options, const Settings& settings,
                             const JobContext& job) {
  SACCADE_TRY(const AttentionMap map, AttentionMap::of(capture, head, kernels));
  std::optional<AttentionMap> before;
  if (options.fidelity && has_weight_edits(*capture, head)) {
    SACCADE_TRY(before, AttentionMap::before_weight_edits(capture, head, kernels));
  }
  const int64_t n = capture->n_token();
  Pass pass(*capture, head, options, settings);
  std::vector<float> rows, softmax;
  for (int64_t begin = 0; begin < n; begin += rows_at_once) {
    SACCADE_CHECK(job.check());
    const int64_t end = std::min(n, begin + rows_at_once), columns = map.causal() ? end : n;
    rows.resize(static_cast<size_t>((end - begin) * columns));
    SACCADE_CHECK(map.rows(begin, end, columns, rows));
    if (before) {
      softmax.resize(rows.size());
      SACCADE_CHECK(before->rows(begin, end, columns, softmax));
    }
    for (int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>((i - begin) * columns);
      const auto row = std::span<const float>(rows).subspan(at, static_cast<size_t>(columns));
      pass.row(i, row);
      if (before)
        pass.compare(i, std::span<const float>(softmax).subspan(at, static_cast<size_t>(columns)), row);
    }
  }
  return pass.finish();
}

}  // namespace saccade::head_scores
