#include "core/run/attention_bench.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "core/base/memory.h"
#include "core/run/stopwatch.h"
#include "core/run/tensor_ops.h"
#include "kernels/base/bfloat16.h"

namespace saccade {
namespace {

constexpr int64_t heads = 12, d_head = 64;
constexpr double never = 1e9;

// How much the process grew at its highest while `work` ran.
template <class Work>
int64_t peak_growth(const Work& work) {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;  // the highest so far becomes what it is now
  const int64_t before = resident_bytes();
  work();
  return peak_resident_bytes() - before;
}

HostTensor random_tensor(std::vector<int64_t> shape, std::mt19937& random) {
  HostTensor tensor(std::move(shape), false);
  std::normal_distribution<float> normal;
  for (float& value : tensor.mutable_values()) value = normal(random);
  return tensor;
}

std::vector<Bfloat16> narrowed(const HostTensor& tensor) {
  std::vector<Bfloat16> made;
  for (const float value : tensor.values()) made.push_back(narrow_to_bfloat16(value));
  return made;
}

// Seconds per floating-point operation of a 2048^3 product.
Result<double> gemm_seconds_per_operation(const Stopwatch& watch, std::mt19937& random) {
  constexpr int64_t n = 2048;
  const HostTensor a = random_tensor({n, n}, random), b = random_tensor({n, n}, random);
  double best = never;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const ops::DeviceTensor x = ops::view_of(a, n, n);
    const ops::Matrix w{ops::view_of(b, n, n), MatrixLayout::in_out, {}};
    for (int i = 0; i < 7; ++i) watch.keep_best(best, [&] { (void)ops::linear(x, w); });
    return {};
  }));
  return best / (2.0 * n * n * n);
}

// Seconds per byte moved (read or written) of a large copy on all threads.
double copy_seconds_per_byte(const Parallel& parallel, const Stopwatch& watch) {
  constexpr size_t size = size_t{256} << 20, pieces = 64;
  const std::vector<char> from(size, 1);
  std::vector<char> to(size);
  double best = never;
  for (int i = 0; i < 7; ++i)
    watch.keep_best(best, [&] {
      parallel.for_each(pieces, [&](int64_t piece, int) {
        const size_t at = static_cast<size_t>(piece) * (size / pieces);
        std::memcpy(to.data() + at, from.data() + at, size / pieces);
      });
    });
  return best / (2.0 * static_cast<double>(size));
}

// Buffers for every statistic.
struct Statistics {
  explicit Statistics(int64_t n_head, int64_t n_query, int64_t n_key) : keys(size_of(n_head, n_query)) {
    for (auto& row : rows) row.resize(size_of(n_head, n_query));
    for (auto& column : columns) column.resize(size_of(n_head, n_key));
  }
  static size_t size_of(int64_t a, int64_t b) { return static_cast<size_t>(a * b); }
  void ask(AttentionOutput& out) {
    out.lse = rows[0].data();
    out.entropy = rows[1].data();
    out.max_weight = rows[2].data();
    out.sink_mass = rows[3].data();
    out.local_mass = rows[4].data();
    out.mean_distance = rows[5].data();
    out.received = columns[0].data();
    out.received_max = columns[1].data();
    out.max_key = keys.data();
  }
  std::vector<float> rows[6], columns[2];
  std::vector<int32_t> keys;
};

HeadsView view_of(const HostTensor& tensor) { return {tensor.data(), tensor.shape()[1] * d_head, d_head}; }

struct Inputs {
  Inputs(int64_t n, std::mt19937& random)
      : q(random_tensor({n, heads, d_head}, random)),
        k(random_tensor({n, heads, d_head}, random)),
        v(random_tensor({n, heads, d_head}, random)) {}
  HostTensor q, k, v;
};

// LibTorch's two ways, while it can be expected to have the memory.
Result<void> measure_peers(const Inputs& inputs, const Stopwatch& watch, AttentionBench& bench) {
  constexpr int64_t longest_eager = 4096;
  const int64_t n = bench.n_token;
  return ops::guarded([&]() -> Result<void> {
    const auto matrix = [n](const HostTensor& x) { return ops::view_of(x, n, heads * d_head); };
    const auto run = [&](const auto& attention) {
      return attention(matrix(inputs.q), matrix(inputs.k), matrix(inputs.v), heads).defined();
    };
    if (n <= longest_eager && bench.eager_bytes == 0)
      bench.eager_bytes =
          peak_growth([&] { watch.keep_best(bench.eager_seconds, [&] { run(ops::eager_attention); }); });
    if (n <= longest_eager) watch.keep_best(bench.eager_seconds, [&] { run(ops::eager_attention); });
    bool defined = false;
    const double seconds = watch([&] { defined = run(ops::fused_attention); });
    if (defined) bench.fused_seconds = std::min(bench.fused_seconds, seconds);
    return {};
  });
}

Result<AttentionBench> measure_forward(const KernelSet& kernels, const Parallel& parallel, int64_t n,
                                       std::mt19937& random) {
  const Stopwatch watch(parallel.workers);
  const Inputs inputs(n, random);
  const std::vector<Bfloat16> q = narrowed(inputs.q), k = narrowed(inputs.k), v = narrowed(inputs.v);
  AttentionInput input;
  input.shape = {n, n, heads, heads, d_head, 0};
  input.scores.scale = 1.0f / std::sqrt(static_cast<float>(d_head));
  input.q = view_of(inputs.q);
  input.k = view_of(inputs.k);
  input.v = view_of(inputs.v);
  AttentionInput narrow = input;
  narrow.q.bf16 = q.data();
  narrow.k.bf16 = k.data();
  narrow.v.bf16 = v.data();
  AttentionBench bench{n, never, never, never, 0.0, never, never};
  Result<void> outcome;
  const auto run = [&](const AttentionInput& in, const AttentionOutput& out) {
    if (Result<void> made = kernels.forward(in, out, parallel); !made.ok()) outcome = std::move(made);
  };
  bench.bytes = peak_growth([&] {
    std::vector<float> z(inputs.q.values().size());
    AttentionOutput out;
    out.z = {z.data(), heads * d_head, d_head};
    Statistics statistics(heads, n, n);
    statistics.ask(out);
    run(input, out);
  });
  std::vector<float> z(inputs.q.values().size());
  AttentionOutput plain;
  plain.z = {z.data(), heads * d_head, d_head};
  AttentionOutput all = plain;
  Statistics statistics(heads, n, n);
  statistics.ask(all);
  const int repeats = n <= 1024 ? 9 : n <= 4096 ? 5 : 3, peer_repeats = n <= 1024 ? 5 : 1;
  for (int i = 0; i < repeats; ++i) {
    watch.keep_best(bench.plain_seconds, [&] { run(input, plain); });
    watch.keep_best(bench.statistics_seconds, [&] { run(input, all); });
    watch.keep_best(bench.bf16_seconds, [&] { run(narrow, plain); });
    if (i < peer_repeats) SACCADE_CHECK(measure_peers(inputs, watch, bench));
  }
  SACCADE_CHECK(outcome);
  for (double* seconds : {&bench.fused_seconds, &bench.eager_seconds})
    if (*seconds == never) *seconds = 0.0;
  return bench;
}

Result<DecodeBench> measure_decode(const KernelSet& kernels, const Parallel& parallel, int64_t n_head,
                                   int64_t n_kv_head, std::mt19937& random) {
  constexpr int64_t n = 4096, least_bytes = int64_t{256} << 20;
  const int64_t layer = n * n_kv_head * d_head * static_cast<int64_t>(sizeof(float));
  const auto layers = static_cast<size_t>((least_bytes + 2 * layer - 1) / (2 * layer));
  std::vector<HostTensor> k, v;
  for (size_t l = 0; l < layers; ++l) {
    k.push_back(random_tensor({n, n_kv_head, d_head}, random));
    v.push_back(random_tensor({n, n_kv_head, d_head}, random));
  }
  const HostTensor q = random_tensor({1, n_head, d_head}, random);
  std::vector<float> z(q.values().size());
  AttentionInput input;
  input.shape = {1, n, n_head, n_kv_head, d_head, n - 1};
  input.scores.scale = 1.0f / std::sqrt(static_cast<float>(d_head));
  input.q = view_of(q);
  AttentionOutput out;
  out.z = {z.data(), n_head * d_head, d_head};
  Statistics statistics(n_head, 1, n);
  statistics.ask(out);
  out.received = out.received_max = nullptr;  // of one row they are the map
  const Stopwatch watch(parallel.workers);
  Result<void> outcome;
  double best = never;
  for (int i = 0; i < 15; ++i)
    watch.keep_best(best, [&] {
      for (size_t l = 0; l < layers && outcome.ok(); ++l) {
        input.k = view_of(k[l]);
        input.v = view_of(v[l]);
        outcome = kernels.forward(input, out, parallel);
      }
    });
  SACCADE_CHECK(outcome);
  return DecodeBench{n, n_head, n_kv_head, best / static_cast<double>(layers),
                     2.0 * static_cast<double>(layer)};
}

}  // namespace

Result<AttentionBenches> measure_attention(const KernelSet& kernels, int threads,
                                           const std::vector<int64_t>& lengths) {
  const Parallel parallel = ops::use_threads(
      threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  std::mt19937 random(1);
  SACCADE_TRY(const double per_operation, gemm_seconds_per_operation(Stopwatch(parallel.workers), random));
  const double per_byte = copy_seconds_per_byte(parallel, Stopwatch(parallel.workers));
  AttentionBenches benches;
  for (const int64_t n : lengths) {
    SACCADE_TRY(AttentionBench bench, measure_forward(kernels, parallel, n, random));
    // Two products of n (n + 1) / 2 visible pairs per head.
    bench.gemm_seconds =
        2.0 * heads * d_head * static_cast<double>(n) * static_cast<double>(n + 1) * per_operation;
    benches.forward.push_back(bench);
  }
  for (const int64_t n_kv_head : {heads, heads / 4}) {
    SACCADE_TRY(DecodeBench bench, measure_decode(kernels, parallel, heads, n_kv_head, random));
    bench.memory_seconds *= per_byte;
    benches.decode.push_back(bench);
  }
  return benches;
}

}  // namespace saccade
