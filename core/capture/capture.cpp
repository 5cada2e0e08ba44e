#include "core/capture/capture.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace saccade {

int64_t LayerCapture::bytes() const {
  const HeadStatistics& s = statistics;
  int64_t total = segment_shifts.bytes() + resid_pre.bytes() + q.bytes() + k.bytes() + q_bf16.bytes() +
                  k_bf16.bytes() + lse.bytes();
  for (const HostTensor* tensor : {&s.entropy, &s.max_weight, &s.sink_mass, &s.local_mass, &s.mean_distance,
                                   &s.received, &s.received_max, &s.value_mass, &s.block_max, &s.block_mass})
    total += tensor->bytes();
  for (const auto& [name, mass] : s.key_mass) total += mass.bytes();
  for (const HostTensor& factors : row_factors) total += factors.bytes();
  for (const HeadPlan& plan : plans)
    for (const WeightEdit& edit : plan.weights)
      total += static_cast<int64_t>((edit.block.size() + edit.values.size()) * sizeof(float));
  total += static_cast<int64_t>(s.max_key.size() * sizeof(int32_t) + positions.size() * sizeof(int64_t));
  for (const std::vector<EdgeRect>& list : knockouts)
    total += static_cast<int64_t>(list.size() * sizeof(EdgeRect));
  return total;
}

namespace {

HeadsView view_of(const HostTensor& f32, const Bfloat16Tensor& bf16, int64_t heads, int64_t d) {
  return {f32.empty() ? nullptr : f32.data(), heads * d, d, bf16.empty() ? nullptr : bf16.data()};
}

}  // namespace

HeadsView LayerCapture::q_view(const ModelSpec& spec) const {
  return view_of(q, q_bf16, spec.n_head, spec.d_head);
}
HeadsView LayerCapture::k_view(const ModelSpec& spec) const {
  return view_of(k, k_bf16, spec.n_kv_head, spec.d_head);
}

int64_t Capture::bytes() const {
  int64_t total = final_resid.bytes() + last_logits.bytes();
  total += static_cast<int64_t>(loss.size() * sizeof(float));
  for (const auto& layer : layers) total += layer ? layer->bytes() : 0;
  for (const auto& [site, values] : sites) total += values.bytes();
  return total;
}

double Capture::mean_loss() const {
  if (loss.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(loss.begin(), loss.end(), 0.0) / static_cast<double>(loss.size());
}

}  // namespace saccade
