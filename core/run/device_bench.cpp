#include "core/run/device_bench.h"

#include <ATen/ATen.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/run/tensor_ops.h"
#include "kernels/cuda/attention_cuda.h"

namespace saccade {
namespace {

constexpr int64_t heads = 12, d_head = 64;

// Reading one number waits for all that was enqueued before it.
void wait_for(const at::Tensor& result) { (void)result.flatten()[0].item<float>(); }

template <class Work>
double best_seconds(int repeats, const at::Tensor& result, const Work& work) {
  double best = std::numeric_limits<double>::max();
  for (int i = 0; i <= repeats; ++i) {  // the first one warms up
    wait_for(result);
    const auto start = std::chrono::steady_clock::now();
    work();
    wait_for(result);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i > 0) best = std::min(best, seconds);
  }
  return best;
}

HeadsView view_of(const at::Tensor& x) {  // [token, head, d_head], bfloat16
  return {nullptr, heads * d_head, d_head, static_cast<const Bfloat16*>(x.data_ptr())};
}

// [token, head, d_head] -> [1, head, token, d_head]
at::Tensor by_head(const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); }

at::Tensor peer(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
#if TORCH_VERSION_MAJOR >= 2
  return at::scaled_dot_product_attention(by_head(q), by_head(k), by_head(v), {}, 0.0, true);
#else
  const at::Tensor query = by_head(q), key = by_head(k);
  at::Tensor scores = at::matmul(query, key.transpose(2, 3)) / std::sqrt(static_cast<double>(d_head));
  const at::Tensor hidden = at::ones_like(scores, scores.options().dtype(at::kBool)).triu(1);
  scores = scores.masked_fill(hidden, -std::numeric_limits<float>::infinity());
  return at::matmul(at::softmax(scores, -1), by_head(v));
#endif
}

Result<void> forward(const Device& device, const AttentionInput& in, const AttentionOutput& out) {
  if (device.kind == DeviceKind::cuda) return cuda::forward_on_device(in, out, nullptr);
  const Parallel one{1, [](int64_t n, const std::function<void(int64_t, int)>& body) {
                       for (int64_t task = 0; task < n; ++task) body(task, 0);
                     }};
  return kernel_sets().front().forward(in, out, one);
}

Result<DeviceAttentionBench> measure(const Device& device, int64_t n) {
  const at::Device place = device.kind == DeviceKind::cuda
                               ? at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device.index))
                               : at::Device(at::kCPU);
  const auto make = [&](at::IntArrayRef shape, at::ScalarType type) {
    return at::empty(shape, at::TensorOptions(type).device(place));
  };
  const auto random = [&] {
    return at::randn({n, heads, d_head}, at::TensorOptions(at::kFloat).device(place)).to(at::kBFloat16);
  };
  const at::Tensor q = random(), k = random(), v = random(), z = make({n, heads, d_head}, at::kFloat);
  AttentionInput in;
  in.shape = {n, n, heads, heads, d_head, 0};
  in.scores.scale = 1.0F / std::sqrt(static_cast<float>(d_head));
  in.q = view_of(q);
  in.k = view_of(k);
  in.v = view_of(v);
  AttentionOutput plain;
  plain.z = {z.data_ptr<float>(), heads * d_head, d_head};
  AttentionOutput all = plain;
  std::vector<at::Tensor> kept;
  for (float** statistic : {&all.lse, &all.entropy, &all.max_weight, &all.sink_mass, &all.local_mass,
                            &all.mean_distance, &all.received, &all.received_max}) {
    kept.push_back(make({heads, n}, at::kFloat));
    *statistic = kept.back().data_ptr<float>();
  }
  const at::Tensor keys = make({heads, n}, at::kInt);
  all.max_key = keys.data_ptr<int32_t>();

  DeviceAttentionBench bench;
  bench.n_token = n;
  Result<void> outcome;
  const auto ours = [&](const AttentionOutput& out) {
    if (Result<void> made = forward(device, in, out); !made.ok()) outcome = std::move(made);
  };
  constexpr int repeats = 10;
  bench.plain_seconds = best_seconds(repeats, z, [&] { ours(plain); });
  bench.statistics_seconds = best_seconds(repeats, z, [&] { ours(all); });
  SACCADE_CHECK(outcome);
  at::Tensor theirs = peer(q, k, v);
  bench.peer_seconds = best_seconds(repeats, theirs, [&] { theirs = peer(q, k, v); });
  bench.largest_difference =
      (theirs.squeeze(0).transpose(0, 1).to(at::kFloat) - z).abs().max().to(at::kCPU).item<double>();
  return bench;
}

}  // namespace

Result<std::vector<DeviceAttentionBench>> measure_device_attention(const Device& device,
                                                                   const std::vector<int64_t>& lengths) {
  SACCADE_CHECK(use_device(device));
  std::vector<DeviceAttentionBench> benches;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    for (const int64_t n : lengths) {
      SACCADE_TRY(const DeviceAttentionBench bench, measure(device, n));
      benches.push_back(bench);
    }
    return {};
  }));
  return benches;
}

}  // namespace saccade
