#include "analysis/flow/fused_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/head_fields.h"

namespace saccade {
namespace {

void fuse(HeadFusion fusion, float weight, std::span<const float> from, std::span<float> to) {
  switch (fusion) {
    case HeadFusion::mean:
      for (size_t j = 0; j < from.size(); ++j) to[j] += weight * from[j];
      break;
    case HeadFusion::max:
      for (size_t j = 0; j < from.size(); ++j) to[j] = std::max(to[j], weight * from[j]);
      break;
    case HeadFusion::min:
      for (size_t j = 0; j < from.size(); ++j) to[j] = std::min(to[j], weight * from[j]);
      break;
  }
}

// The smallest `share` of what is above 0 becomes 0; equal ones go from the last key on.
void discard_smallest(std::span<float> row, double share, std::vector<size_t>& order) {
  order.clear();
  for (size_t j = 0; j < row.size(); ++j)
    if (row[j] > 0.0F) order.push_back(j);
  const auto count = static_cast<size_t>(share * static_cast<double>(order.size()));
  if (count == 0) return;
  const auto smaller = [&](size_t a, size_t b) { return row[a] != row[b] ? row[a] < row[b] : a > b; };
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(count - 1), order.end(), smaller);
  for (size_t i = 0; i < count; ++i) row[order[i]] = 0.0F;
}

}  // namespace

Result<HeadFusion> parse_fusion(std::string_view text) {
  if (text == "mean") return HeadFusion::mean;
  if (text == "max") return HeadFusion::max;
  if (text == "min") return HeadFusion::min;
  return make_error(ErrorCode::invalid_argument, fmt::format("fusion '{}': expected mean, max or min", text));
}

Result<FusedMaps> FusedMaps::make(std::shared_ptr<const Capture> capture, const KernelSet& kernels,
                                  FusionOptions options) {
  if (!capture || capture->layers.empty())
    return make_error(ErrorCode::invalid_argument, "paths through attention need a run with captured layers");
  if (!(options.discard >= 0.0 && options.discard < 1.0))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("discard={}: expected a share of 0 to less than 1", options.discard));
  FusedMaps maps;
  maps.n_ = capture->n_token();
  maps.heads_.resize(capture->layers.size());
  for (const HeadId head : heads_of(options.heads, capture->spec)) {
    if (head.layer.value >= static_cast<int64_t>(maps.heads_.size())) continue;
    SACCADE_TRY(AttentionMap map, AttentionMap::of(capture, head, kernels));
    maps.heads_[static_cast<size_t>(head.layer.value)].push_back(std::move(map));
  }
  maps.capture_ = std::move(capture);
  maps.options_ = std::move(options);
  if (maps.n_chosen() == 0)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("heads={} names no head of this model; it has layers 0-{} and heads 0-{}",
                                  to_text(maps.options_.heads), maps.capture_->spec.n_layer - 1,
                                  maps.capture_->spec.n_head - 1));
  return maps;
}

int64_t FusedMaps::n_chosen() const {
  int64_t count = 0;
  for (const auto& layer : heads_) count += static_cast<int64_t>(layer.size());
  return count;
}

Result<void> FusedMaps::rows(int32_t layer, int64_t begin, int64_t end, std::span<float> out) const {
  const auto& heads = heads_[static_cast<size_t>(layer)];
  std::fill(out.begin(), out.end(), 0.0F);
  std::vector<float> one;
  for (size_t h = 0; h < heads.size(); ++h) {
    const AttentionMap& map = heads[h];
    const HeadId head = map.head();
    // Behind the diagonal of a causal map there is nothing to regenerate.
    const int64_t columns = map.masked(begin, end, end, n_) ? end : n_;
    one.resize(static_cast<size_t>((end - begin) * columns));
    SACCADE_CHECK(map.rows(begin, end, columns, one));
    double weight = options_.weights.empty()
                        ? 1.0
                        : options_.weights[static_cast<size_t>(
                              int64_t{head.layer.value} * capture_->spec.n_head + head.head.value)];
    if (options_.fusion == HeadFusion::mean) weight /= static_cast<double>(heads.size());
    // The first head of max and min is taken as it is.
    const HeadFusion fusion = h == 0 ? HeadFusion::mean : options_.fusion;
    for (int64_t i = 0; i < end - begin; ++i) {
      const auto row = out.subspan(static_cast<size_t>(i * n_), static_cast<size_t>(n_));
      fuse(
          fusion, static_cast<float>(weight),
          std::span<const float>(one).subspan(static_cast<size_t>(i * columns), static_cast<size_t>(columns)),
          row.first(static_cast<size_t>(columns)));
      // Keys that only this head does not see are 0 in it.
      if (fusion == HeadFusion::min) std::fill(row.begin() + columns, row.end(), 0.0F);
    }
  }
  if (options_.discard > 0.0) {
    std::vector<size_t> order;
    for (int64_t i = 0; i < end - begin; ++i)
      discard_smallest(out.subspan(static_cast<size_t>(i * n_), static_cast<size_t>(n_)), options_.discard,
                       order);
  }
  return {};
}

Result<void> FusedMaps::mixed_rows(int32_t layer, int64_t begin, int64_t end, double residual,
                                   std::span<float> out) const {
  SACCADE_CHECK(rows(layer, begin, end, out));
  for (int64_t i = begin; i < end; ++i) {
    const auto row = out.subspan(static_cast<size_t>((i - begin) * n_), static_cast<size_t>(n_));
    double sum = 0.0;
    for (const float weight : row) sum += weight;
    const double whole = (1.0 - residual) * sum + residual;
    if (sum <= 0.0 || !(whole > 0.0)) {
      std::fill(row.begin(), row.end(), 0.0F);
      row[static_cast<size_t>(i)] = 1.0F;
      continue;
    }
    const auto share = static_cast<float>((1.0 - residual) / whole);
    for (float& weight : row) weight *= share;
    row[static_cast<size_t>(i)] += static_cast<float>(residual / whole);
  }
  return {};
}

Result<std::vector<double>> decided_weights(const std::shared_ptr<const Capture>& capture,
                                            const KernelSet& kernels, const JobContext& job) {
  const int64_t heads = capture->spec.n_head, n = capture->n_token();
  std::vector<double> weights;
  std::vector<float> rows;
  for (int64_t at = 0; at < static_cast<int64_t>(capture->layers.size()) * heads; ++at) {
    SACCADE_CHECK(job.check());
    const HeadId head = head_at(at, heads);
    const HostTensor& known = capture->layers[static_cast<size_t>(head.layer.value)]->statistics.max_weight;
    double sum = 0.0;
    if (known.size() == heads * n) {
      for (const float most : known.slice(head.head.value)) sum += most;
    } else {
      SACCADE_TRY(const AttentionMap map, AttentionMap::of(capture, head, kernels));
      for (int64_t begin = 0; begin < n; begin += fused_rows_at_once) {
        const int64_t end = std::min(n, begin + fused_rows_at_once);
        rows.resize(static_cast<size_t>((end - begin) * n));
        SACCADE_CHECK(map.rows(begin, end, n, rows));
        for (int64_t i = 0; i < end - begin; ++i)
          sum += *std::max_element(rows.begin() + i * n, rows.begin() + (i + 1) * n);
      }
    }
    weights.push_back(sum / static_cast<double>(n));
  }
  return weights;
}

}  // namespace saccade
