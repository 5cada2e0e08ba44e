#include "analysis/methods/head_scores/flex_prefill.h"

#include <algorithm>
#include <cmath>

#include "analysis/methods/head_scores/row_math.h"
#include "kernels/base/bfloat16.h"

namespace saccade::head_scores {
namespace {

// Mean of a head's vectors over tokens [begin, end).
std::vector<double> mean_of(const HeadsView& view, int64_t head, int64_t begin, int64_t end, int64_t d_head) {
  std::vector<double> mean(static_cast<size_t>(d_head), 0.0);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t at = t * view.token_stride + head * view.head_stride;
    for (int64_t e = 0; e < d_head; ++e)
      mean[static_cast<size_t>(e)] +=
          view.bf16 != nullptr ? widen_bfloat16(view.bf16[at + e]) : view.data[at + e];
  }
  for (double& value : mean) value /= static_cast<double>(end - begin);
  return mean;
}

// p^: how a pooled query of the last rows would share itself out over the pooled blocks of keys.
std::vector<double> pooled_shares(const Capture& capture, HeadId head, int64_t block) {
  const ModelSpec& spec = capture.spec;
  const LayerCapture& layer = *capture.layers[static_cast<size_t>(head.layer.value)];
  const int64_t n = capture.n_token(), d = spec.d_head, kv = spec.kv_head_of(head.head.value);
  const std::vector<double> query =
      mean_of(layer.q_view(spec), head.head.value, n - std::min(block, n), n, d);
  std::vector<double> shares;
  for (int64_t begin = 0; begin < n; begin += block) {
    const std::vector<double> key = mean_of(layer.k_view(spec), kv, begin, std::min(n, begin + block), d);
    double dot = 0.0;
    for (size_t e = 0; e < key.size(); ++e) dot += query[e] * key[e];
    shares.push_back(dot * spec.attention_scale_of(head.layer.value));
  }
  const double highest = *std::max_element(shares.begin(), shares.end());
  double sum = 0.0;
  for (double& share : shares) sum += share = std::exp(share - highest);
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace

const char* flex_label(double distance, double threshold) {
  if (std::isnan(distance)) return "";
  return distance < threshold ? "query-aware" : "vertical-slash";
}

int64_t flex_block_for(int64_t wanted, int64_t n) {
  int64_t block = wanted;
  if (n / block < 8)
    for (block = 4; block * 2 <= std::min(wanted, n / 8);) block *= 2;
  return block;
}

std::vector<double> block_sums(std::span<const double> values, int64_t block) {
  std::vector<double> sums((values.size() + static_cast<size_t>(block) - 1) / static_cast<size_t>(block),
                           0.0);
  for (size_t i = 0; i < values.size(); ++i) sums[i / static_cast<size_t>(block)] += values[i];
  return sums;
}

FlexPattern flex_pattern(const Capture& capture, HeadId head, const PassResult& pass,
                         const Settings& settings) {
  const auto n = static_cast<double>(capture.n_token());
  FlexPattern pattern;
  pattern.vertical_share = static_cast<double>(coverage_count(pass.vertical, settings.coverage)) / n;
  std::vector<double> offsets(pass.slash);
  if (capture.spec.looks_back())  // offsets i - j from 0; those before are the future
    offsets.erase(offsets.begin(), offsets.begin() + (capture.n_token() - 1));
  pattern.slash_share = static_cast<double>(coverage_count(std::move(offsets), settings.coverage)) / n;
  const std::vector<double> vertical = block_sums(pass.vertical, settings.flex_block);
  if (vertical.size() < 2) return pattern;
  pattern.distance = jensen_shannon_distance(pooled_shares(capture, head, settings.flex_block), vertical);
  return pattern;
}

}  // namespace saccade::head_scores
