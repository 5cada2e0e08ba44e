// bench: how fast, as ratios to what the same machine does in the same run. No absolute claims, no pass or
// fail.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>

#include "app/cli/bench.h"
#include "app/cli/commands.h"
#include "core/base/memory.h"
#include "core/run/attention_bench.h"
#include "core/run/device_bench.h"
#include "core/run/sweep_bench.h"

namespace saccade::cli {
namespace {

Json row_json(const BenchRow& row) {
  return {{"case", row.group},
          {"what", row.what},
          {"seconds", row.seconds},
          {"peer", row.peer},
          {"peer_seconds", row.peer_seconds},
          {"ratio", row.peer_seconds > 0.0 ? Json(row.ratio()) : Json()},
          {"bound", row.bound > 0.0 ? Json(row.bound) : Json()},
          {"limit", row.limit ? Json(*row.limit) : Json()},
          {"bytes", row.bytes}};
}

std::string row_text(const BenchRow& row) {
  std::string text = fmt::format("{:<10} {:<52} {:>9.2f} ms", row.group, row.what, 1e3 * row.seconds);
  if (row.peer_seconds > 0.0)
    text += fmt::format("   {:.2f} x {} ({:.2f} ms)", row.ratio(), row.peer, 1e3 * row.peer_seconds);
  if (row.bound > 0.0) text += fmt::format(", wanted <= {:.2f}", row.bound);
  if (row.limit) text += fmt::format("   {:.0f} % of the limit", 100.0 / *row.limit);
  if (row.bytes > 0) text += "   " + format_bytes(row.bytes);
  return text + "\n";
}

Result<std::vector<BenchRow>> bench_open(const Context& context, const std::filesystem::path& folder) {
  SACCADE_TRY(const std::string where, model_folder(context, "gpt2-small", folder));
  Result<void> outcome;
  const int64_t before = resident_bytes();
  const double seconds = timed([&] {
    auto opened = open_runner(context, where);
    if (!opened.ok()) outcome = std::move(opened).error();
  });
  SACCADE_CHECK(std::move(outcome));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  const int64_t after = resident_bytes();
  SACCADE_TRY(const auto run,
              opened.runner->run(synthetic_request(*opened.runner, 64), nullptr, context.job));
  const auto file = static_cast<double>(opened.model->file_bytes());
  const int64_t resident = resident_bytes();
  BenchRow open{"open",        "open gpt2-small (0.3 s wanted)", seconds, "", 0.0, 0.0, std::nullopt,
                after - before};
  BenchRow memory{
      "open",
      fmt::format(
          "resident after a run: {:.2f} x the file (1.2 wanted), {:.2f} x without the {} before opening",
          static_cast<double>(resident) / file, static_cast<double>(resident - before) / file,
          format_bytes(before)),
      run->seconds,
      "",
      0.0,
      0.0,
      std::nullopt,
      resident};
  return std::vector<BenchRow>{open, memory};
}

Result<std::vector<BenchRow>> bench_run(const Context& context, const std::filesystem::path& folder) {
  SACCADE_TRY(const std::string where, model_folder(context, "gpt2-small@4096", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  Runner& runner = *opened.runner;
  constexpr int repeats = 7;
  Result<void> outcome;
  std::shared_ptr<const Run> latest;
  const auto run = [&](const RunRequest& request, const std::shared_ptr<const Run>& base) {
    auto made = runner.run(request, base, context.job);
    if (made.ok())
      latest = *made;
    else
      outcome = std::move(made).error();
  };
  const RunRequest request = synthetic_request(runner, 64);
  run(request, nullptr);
  SACCADE_CHECK(std::move(outcome));
  const std::shared_ptr<const Run> base = latest;
  double products = 0.0, full = 0.0;
  for (int i = 0; i < repeats; ++i) {  // alternating, so that both meet the same machine
    SACCADE_TRY(const double once, runner.matrix_products_seconds(64, 1));
    products = i == 0 ? once : std::min(products, once);
    const double whole = timed([&] { run(request, nullptr); });
    full = i == 0 ? whole : std::min(full, whole);
  }
  RunRequest edited = request;
  SACCADE_TRY(const Edit zero, parse_edit("zero 8.3"));
  edited.edits = {zero};
  edited.capture.loss = false;
  const double next_table = best_of(repeats, [&] { run(edited, base); });
  edited.capture.loss = true;
  const double with_losses = best_of(repeats, [&] { run(edited, base); });
  SACCADE_CHECK(std::move(outcome));
  const double long_run = timed([&] { run(synthetic_request(runner, 2048), nullptr); });
  SACCADE_CHECK(std::move(outcome));
  const ModelSpec& spec = runner.model().spec();
  const int64_t maps = int64_t{4} * spec.n_layer * spec.n_head * 2048 * 2048;
  return std::vector<BenchRow>{
      {"run", "captured run, 64 tokens", full, "its matrix products alone", products, 1.3, std::nullopt,
       base->capture->bytes()},
      {"run", "zero 8.3, new next-token table", next_table, "a full run", full, 0.5, std::nullopt, 0},
      {"run", "zero 8.3, with every position's loss", with_losses, "a full run", full, 0.0, std::nullopt, 0},
      {"run", fmt::format("captured run, 2048 tokens (260 MB wanted; maps: {})", format_bytes(maps)),
       long_run, "", 0.0, 0.0, std::nullopt, latest->capture->bytes()}};
}

// One length's rows; those of peers that this machine or this LibTorch lacks are left out.
void add_attention_rows(const KernelSet& kernels, const AttentionBench& m, std::vector<BenchRow>& rows) {
  const auto add = [&](const std::string& what, double seconds, const std::string& peer, double peer_seconds,
                       double bound, std::optional<double> limit, int64_t bytes) {
    rows.push_back({"attention", fmt::format("{}, {} tokens", what, m.n_token), seconds, peer, peer_seconds,
                    bound, limit, bytes});
  };
  add(fmt::format("causal forward ({})", kernels.name), m.plain_seconds,
      "the same operations in a large GEMM", m.gemm_seconds, 1.0 / 0.7, m.plain_seconds / m.gemm_seconds, 0);
  add("all statistics", m.statistics_seconds, "without statistics", m.plain_seconds, 1.1,
      m.statistics_seconds / m.gemm_seconds, m.bytes);
  const bool pairs = kernels.name == "avx512_bf16";
  add("bfloat16 inputs", m.bf16_seconds, "float32", m.plain_seconds, pairs ? 1.0 / 1.6 : 0.0, std::nullopt,
      0);
  if (m.fused_seconds > 0.0)
    add("causal forward", m.plain_seconds, "LibTorch's scaled_dot_product_attention", m.fused_seconds, 1.0,
        std::nullopt, 0);
  if (m.eager_seconds > 0.0)
    add("all statistics", m.statistics_seconds,
        fmt::format("LibTorch with every map written down, in 1/{:.0f} of its {}",
                    static_cast<double>(m.eager_bytes) / static_cast<double>(std::max<int64_t>(m.bytes, 1)),
                    format_bytes(m.eager_bytes)),
        m.eager_seconds, 0.2, std::nullopt, m.bytes);
}

// On a device: every statistic, bfloat16, beside the fastest plain attention that LibTorch has there.
Result<std::vector<BenchRow>> bench_device_attention(const Device& device) {
  SACCADE_TRY(const std::vector<DeviceAttentionBench> measured,
              measure_device_attention(device, {8192, 32768}));
  std::vector<BenchRow> rows;
  for (const DeviceAttentionBench& m : measured) {
    rows.push_back({"attention", fmt::format("bfloat16 on the device, {} tokens", m.n_token), m.plain_seconds,
                    "LibTorch's plain attention there", m.peer_seconds, 0.0, std::nullopt, 0});
    rows.push_back({"attention",
                    fmt::format("the same with all statistics (largest difference to LibTorch: {:.1e})",
                                m.largest_difference),
                    m.statistics_seconds, "LibTorch's plain attention there", m.peer_seconds, 1.5,
                    std::nullopt, 0});
  }
  return rows;
}

Result<std::vector<BenchRow>> bench_attention(const Context& context) {
  SACCADE_TRY(const Device device, parse_device(context.device));
  if (device.kind != DeviceKind::cpu) return bench_device_attention(device);
  SACCADE_TRY(const KernelSet* kernels, choose_kernels(context.kernels));
  SACCADE_TRY(const AttentionBenches measured,
              measure_attention(*kernels, context.threads, {1024, 4096, 8192}));
  std::vector<BenchRow> rows;
  for (const AttentionBench& m : measured.forward) add_attention_rows(*kernels, m, rows);
  for (const DecodeBench& m : measured.decode)
    rows.push_back({"attention",
                    fmt::format("one row on {} keys, {} heads, {} KV heads", m.n_key, m.n_head, m.n_kv_head),
                    m.seconds, "its keys and values at the memory-copy rate", m.memory_seconds, 1.3,
                    m.seconds / m.memory_seconds, 0});
  return rows;
}

Result<std::vector<BenchRow>> bench_sweep(const Context& context, const std::filesystem::path& folder) {
  SACCADE_TRY(const std::string where, model_folder(context, "gpt2-small", folder));
  SACCADE_TRY(const Opened opened, open_runner(context, where));
  SACCADE_TRY(const SweepBench m,
              measure_sweep(*opened.runner, synthetic_request(*opened.runner, 50).tokens.ids(), context.job));
  return std::vector<BenchRow>{
      {"sweep", fmt::format("zero each of {} heads, {} tokens, next-token logits", m.n_run, m.n_token),
       m.seconds, "full forward passes of LibTorch", m.eager_seconds, 0.2, std::nullopt, 0},
      {"sweep",
       fmt::format("the same one by one (largest difference to LibTorch: {:.1e})", m.largest_difference),
       m.one_by_one_seconds, "full forward passes of LibTorch", m.eager_seconds, 0.0, std::nullopt, 0}};
}

// The window reports how long it took from its start until the demo's head grid was complete.
Result<std::vector<BenchRow>> bench_window(const Context& context) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::filesystem::path window = self.parent_path() / "saccade";
  if (!std::filesystem::exists(window) || (!std::getenv("DISPLAY") && !std::getenv("WAYLAND_DISPLAY"))) {
    context.note("window: skipped, " +
                 std::string(std::filesystem::exists(window) ? "no display here" : "not built"));
    return std::vector<BenchRow>{};
  }
  const std::string picture = (std::filesystem::temp_directory_path() / "saccade-bench-window.png").string();
  const std::string command =
      fmt::format("'{}' --no-restore --screenshot '{}' >/dev/null 2>&1", window.string(), picture);
  int status = 0;
  const double seconds = timed([&] { status = std::system(command.c_str()); });
  std::filesystem::remove(picture, failed);
  if (status != 0) return make_error(ErrorCode::internal, "the window could not be started");
  return std::vector<BenchRow>{{"window", "start, demo loaded and scored, picture taken, end (1.5 s wanted)",
                                seconds, "", 0.0, 0.0, std::nullopt, 0}};
}

}  // namespace

RunRequest synthetic_request(const Runner& runner, int64_t n_token) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n_token; ++i)
    ids.push_back(static_cast<int32_t>(static_cast<uint64_t>(i) * 2654435761u % 50000 %
                                       static_cast<uint64_t>(runner.model().spec().n_vocab)));
  RunRequest request = runner.request({});
  for (const int32_t id : ids) request.tokens.tokens.push_back({id, "", 0, 0, false});
  return request;
}

Result<std::string> model_folder(const Context& context, const std::string& shape,
                                 const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / shape;
  if (!std::filesystem::exists(path / "config.json")) {
    std::filesystem::create_directories(path);
    context.note("making " + shape + " with random weights in " + path.string());
    SACCADE_CHECK(make_random_model(shape, path, 1, context.job));
  }
  return path.string();
}

double timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The best of several, so that another process's burst does not count.
double best_of(int repeats, const std::function<void()>& work) {
  double best = timed(work);
  for (int i = 1; i < repeats; ++i) best = std::min(best, timed(work));
  return best;
}

Result<void> bench(const Context& context, const BenchOptions& options) {
  const std::filesystem::path folder = options.folder.empty()
                                           ? std::filesystem::temp_directory_path() / "saccade-bench"
                                           : std::filesystem::path(options.folder);
  const std::vector<std::pair<std::string, std::function<Result<std::vector<BenchRow>>()>>> cases{
      {"open", [&] { return bench_open(context, folder); }},
      {"run", [&] { return bench_run(context, folder); }},
      {"attention", [&] { return bench_attention(context); }},
      {"sweep", [&] { return bench_sweep(context, folder); }},
      {"decode", [&] { return bench_decode(context, folder); }},
      {"methods", [&] { return bench_methods(context, folder); }},
      {"head-table", [&] { return bench_head_table(context, folder); }},
      {"long", [&] { return bench_long(context, folder, options.tokens); }},
      {"tokenize", [&] { return bench_tokenize(context, folder, options.model); }},
      {"vision",
       [&]() -> Result<std::vector<BenchRow>> {
         SACCADE_TRY(std::vector<BenchRow> rows, bench_vision(context));
         SACCADE_TRY(const std::vector<BenchRow> seeing, bench_seeing(context, folder));
         rows.insert(rows.end(), seeing.begin(), seeing.end());
         return rows;
       }},
      {"window", [&] { return bench_window(context); }}};
  Json rows = Json::array();
  std::string text;
  bool found = false;
  for (const auto& [name, measure] : cases) {
    // `long` takes a quarter of an hour: only by name.
    if (options.which.empty() ? name == std::string_view("long") : options.which != name) continue;
    found = true;
    SACCADE_TRY(const std::vector<BenchRow> measured, measure());
    for (const BenchRow& row : measured) {
      rows.push_back(row_json(row));
      text += row_text(row);
    }
  }
  if (!found)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("bench: expected open, run, attention, sweep, decode, methods, head-table, long, "
                    "tokenize, vision or window, found '{}'",
                    options.which));
  context.print(rows, text);
  return {};
}

}  // namespace saccade::cli
