#include "core/run/decode_bench.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "core/run/stopwatch.h"
#include "core/run/tensor_ops.h"

namespace saccade {
namespace {

constexpr int new_tokens = 10;

// The fastest of the tokens after the first two: those warm caches up.
Result<double> seconds_per_token(Runner& runner, const RunRequest& request, bool keep_heads,
                                 const JobContext& job) {
  SamplingOptions sampling;
  sampling.max_tokens = new_tokens;
  sampling.stop_at_eos = false;
  sampling.keep_heads = keep_heads;
  const Stopwatch watch(runner.threads());
  std::vector<double> times;
  SACCADE_TRY(
      const Generation generation,
      runner.generate(
          request, sampling, [&](const Token&, const std::string&) { times.push_back(watch.now()); }, job));
  if (generation.tokens.size() != new_tokens) return make_error(ErrorCode::cancelled, "cancelled");
  double best = 1e9;
  for (size_t i = 3; i < times.size(); ++i) best = std::min(best, times[i] - times[i - 1]);
  return best;
}

}  // namespace

double measure_read_rate(int threads) {
  constexpr size_t words = size_t{64} << 20, chunk = size_t{1} << 20;
  const std::vector<uint64_t> buffer(words, 1);
  const Parallel parallel = ops::use_threads(threads);
  const Stopwatch watch(threads);
  std::atomic<uint64_t> total{0};
  double best = 1e9;
  for (int pass = 0; pass < 5; ++pass) {
    const double start = watch.now();
    parallel.for_each(words / chunk, [&](int64_t task, int) {
      const uint64_t* from = buffer.data() + static_cast<size_t>(task) * chunk;
      uint64_t sum = 0;
      for (size_t i = 0; i < chunk; ++i) sum += from[i];
      total += sum;
    });
    best = std::min(best, watch.now() - start);
  }
  return total > 0 ? static_cast<double>(words * sizeof(uint64_t)) / best : 0.0;
}

Result<DecodeBench> measure_decode(Runner& runner, const std::vector<int32_t>& prompt,
                                   const JobContext& job) {
  const ModelSpec& spec = runner.model().spec();
  SACCADE_TRY(TokenSequence tokens, runner.model().tokenizer().sequence(prompt));
  const RunRequest request = runner.request(std::move(tokens));
  DecodeBench bench;
  bench.n_token = static_cast<int64_t>(prompt.size());
  bench.bytes_per_second = measure_read_rate(runner.threads());
  SACCADE_TRY(bench.seconds_plain, seconds_per_token(runner, request, false, job));
  SACCADE_TRY(bench.seconds, seconds_per_token(runner, request, true, job));
  bench.bytes_per_second = std::max(bench.bytes_per_second, measure_read_rate(runner.threads()));
  // Of the embedding, which a tied unembedding reads whole, only a row more; of learned positions one row.
  const int64_t positions = spec.position == PositionKind::learned
                                ? int64_t{spec.n_context} * spec.d_model * static_cast<int64_t>(sizeof(float))
                                : 0;
  const int64_t cache =
      bench.n_token * spec.n_layer * 2 * spec.n_kv_head * spec.d_head * static_cast<int64_t>(sizeof(float));
  bench.bytes = runner.model().file_bytes() - positions + cache;
  return bench;
}

}  // namespace saccade
