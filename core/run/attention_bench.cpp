#include "core/run/attention_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "core/run/tensor_ops.h"

namespace saccade {
namespace {

constexpr int64_t heads = 12, d_head = 64;

double timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

HostTensor random_tensor(std::vector<int64_t> shape, std::mt19937& random) {
  HostTensor tensor(std::move(shape), false);
  std::normal_distribution<float> normal;
  for (float& value : tensor.mutable_values()) value = normal(random);
  return tensor;
}

// Seconds per floating-point operation of a 2048^3 product.
Result<double> gemm_seconds_per_operation(std::mt19937& random) {
  constexpr int64_t n = 2048;
  const HostTensor a = random_tensor({n, n}, random), b = random_tensor({n, n}, random);
  double best = 1e9;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const ops::DeviceTensor x = ops::view_of(a, n, n);
    const ops::Matrix w{ops::view_of(b, n, n), MatrixLayout::in_out, {}};
    for (int i = 0; i < 5; ++i) best = std::min(best, timed([&] { (void)ops::linear(x, w); }));
    return {};
  }));
  return best / (2.0 * n * n * n);
}

}  // namespace

Result<std::vector<AttentionBench>> measure_attention(const KernelSet& kernels, int threads,
                                                      const std::vector<int64_t>& lengths) {
  const Parallel parallel = ops::use_threads(
      threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  std::mt19937 random(1);
  SACCADE_TRY(const double per_operation, gemm_seconds_per_operation(random));
  std::vector<AttentionBench> results;
  for (const int64_t n : lengths) {
    const HostTensor q = random_tensor({n, heads, d_head}, random),
                     k = random_tensor({n, heads, d_head}, random),
                     v = random_tensor({n, heads, d_head}, random);
    HostTensor z({n, heads, d_head}, false);
    AttentionInput input;
    input.shape = {n, n, heads, heads, d_head, 0};
    input.scores.scale = 1.0f / std::sqrt(static_cast<float>(d_head));
    input.q = {q.data(), heads * d_head, d_head};
    input.k = {k.data(), heads * d_head, d_head};
    input.v = {v.data(), heads * d_head, d_head};
    AttentionOutput plain;
    plain.z = {z.mutable_values().data(), heads * d_head, d_head};
    AttentionOutput all = plain;
    std::vector<HostTensor> rows(8, HostTensor());
    for (HostTensor& row : rows) row = HostTensor({heads, n}, false);
    std::vector<int32_t> keys(static_cast<size_t>(heads * n));
    all.lse = rows[0].mutable_values().data();
    all.entropy = rows[1].mutable_values().data();
    all.max_weight = rows[2].mutable_values().data();
    all.sink_mass = rows[3].mutable_values().data();
    all.local_mass = rows[4].mutable_values().data();
    all.mean_distance = rows[5].mutable_values().data();
    all.received = rows[6].mutable_values().data();
    all.received_max = rows[7].mutable_values().data();
    all.max_key = keys.data();
    AttentionBench bench{n, 1e9, 1e9, 0.0};
    for (int i = 0; i < 5; ++i) {  // alternating
      Result<void> outcome;
      bench.plain_seconds =
          std::min(bench.plain_seconds, timed([&] { outcome = kernels.forward(input, plain, parallel); }));
      SACCADE_CHECK(outcome);
      bench.statistics_seconds =
          std::min(bench.statistics_seconds, timed([&] { outcome = kernels.forward(input, all, parallel); }));
      SACCADE_CHECK(outcome);
    }
    // Two products of n (n + 1) / 2 visible pairs per head.
    const auto operations = 4.0 * heads * d_head * 0.5 * static_cast<double>(n) * static_cast<double>(n + 1);
    bench.gemm_seconds = operations * per_operation;
    results.push_back(bench);
  }
  return results;
}

}  // namespace saccade
