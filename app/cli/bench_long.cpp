// bench decode: one token behind a long context. bench long: a captured prefill of 32,768 tokens.
#include <fmt/format.h>

#include <cmath>

#include "app/cli/bench.h"
#include "core/base/memory.h"
#include "core/run/decode_bench.h"

namespace saccade::cli {

Result<std::vector<BenchRow>> bench_decode(const Context& context, const std::filesystem::path& folder) {
  constexpr int64_t n = 4096;
  SACCADE_TRY(const std::string where, model_folder(context, "gpt2-small@8192", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  SACCADE_TRY(const DecodeBench m,
              measure_decode(*opened.runner, synthetic_request(*opened.runner, n).tokens.ids(), context.job));
  const std::string peer =
      fmt::format("reading weights and cache once at {:.1f} GB/s", m.bytes_per_second / 1e9);
  return std::vector<BenchRow>{
      {"decode", fmt::format("one token after {}, strongest key of every head", m.n_token), m.seconds, peer,
       m.limit(), 1.3, m.seconds / m.limit(), m.bytes},
      {"decode", "the same, nothing kept", m.seconds_plain, peer, m.limit(), 0.0, m.seconds_plain / m.limit(),
       m.bytes}};
}

Result<std::vector<BenchRow>> bench_long(const Context& context, const std::filesystem::path& folder,
                                         int64_t n) {
  SACCADE_TRY(const std::string where, model_folder(context, "llama-1b", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  const ModelSpec& spec = opened.model->spec();
  RunRequest request = synthetic_request(*opened.runner, n);
  request.dtype = "bf16";
  request.capture.residuals = request.capture.loss = false;
  SACCADE_TRY(const auto run, opened.runner->run(request, nullptr, context.job));
  const double maps = 4.0 * spec.n_layer * spec.n_head * static_cast<double>(n) * static_cast<double>(n);
  double mass = 0.0;  // every row's weights sum to 1: what every head received says that all were computed
  for (const auto& layer : run->capture->layers)
    for (const float received : layer->statistics.received.values()) mass += received;
  const double rows = static_cast<double>(n) * spec.n_layer * spec.n_head;
  if (std::abs(mass / rows - 1.0) > 1e-3)
    return make_error(ErrorCode::internal, fmt::format("weights sum to {} over {} rows", mass, rows));
  return std::vector<BenchRow>{
      {"long",
       fmt::format("captures of {} tokens of llama-1b (4 GB wanted; the maps: {:.2f} TB)", n, maps / 1e12),
       run->seconds, "", 0.0, 0.0, std::nullopt, run->capture->bytes()},
      {"long", "highest resident memory, the mapped weights among it", run->seconds, "", 0.0, 0.0,
       std::nullopt, run->peak_bytes}};
}

}  // namespace saccade::cli
