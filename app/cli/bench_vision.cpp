// bench vision: what follows a run of a picture, on maps of ViT-B/16's shape (12 layers, 12 heads of 64, CLS
// and 14 x 14 patches), and saliency metrics over a whole data set.
#include <fmt/format.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "analysis/method.h"
#include "analysis/scanpath/gaze_report.h"
#include "app/cli/bench.h"

namespace saccade::cli {
namespace {

constexpr int32_t n_layer = 12, n_head = 12, d_head = 64, grid = 14, n_token = grid * grid + 1;

// Queries and keys drawn at random, with what a run would keep of them.
Result<std::shared_ptr<const Capture>> random_picture_run(const KernelSet& kernels) {
  auto capture = std::make_shared<Capture>();
  ModelSpec& spec = capture->spec;
  spec.n_layer = n_layer;
  spec.n_head = spec.n_kv_head = n_head;
  spec.d_head = d_head;
  spec.d_model = n_head * d_head;
  spec.causal = false;
  spec.pooling = Pooling::cls;
  spec.attention_scale = 0.125;
  capture->tokens.resize(static_cast<size_t>(n_token));
  ImageRegion region;
  region.n_prefix = 1;
  region.grid_height = region.grid_width = grid;
  region.patch_height = region.patch_width = 16;
  region.geometry.original_width = region.geometry.width = 16 * grid;
  region.geometry.original_height = region.geometry.height = 16 * grid;
  region.name = "random";
  capture->images = {region};
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  const HostTensor v({n_token, n_head, d_head});
  for (int32_t l = 0; l < n_layer; ++l) {
    auto layer = std::make_shared<LayerCapture>();
    for (HostTensor* tensor : {&layer->q, &layer->k}) {
      *tensor = HostTensor({n_token, n_head, d_head}, false);
      for (float& value : tensor->mutable_values()) value = normal(random);
    }
    layer->lse = HostTensor({n_head, n_token}, false);
    layer->statistics.max_weight = HostTensor({n_head, n_token}, false);
    HostTensor z({n_token, n_head, d_head}, false);
    AttentionInput input;
    input.shape = {n_token, n_token, n_head, n_head, d_head, 0};
    input.mask.causal = false;
    input.scores.scale = 0.125F;
    input.q = {layer->q.data(), int64_t{n_head} * d_head, d_head};
    input.k = {layer->k.data(), int64_t{n_head} * d_head, d_head};
    input.v = {v.data(), int64_t{n_head} * d_head, d_head};
    AttentionOutput output;
    output.z = {z.mutable_values().data(), int64_t{n_head} * d_head, d_head};
    output.lse = layer->lse.mutable_values().data();
    output.max_weight = layer->statistics.max_weight.mutable_values().data();
    SACCADE_CHECK(kernels.forward(input, output, serial()));
    capture->layers.push_back(std::move(layer));
  }
  return std::shared_ptr<const Capture>(std::move(capture));
}

Result<BenchRow> method_row(const Context& context, const KernelSet& kernels,
                            const std::shared_ptr<const Capture>& capture, int threads, const char* id,
                            const nlohmann::json& given, double wanted, int repeats) {
  SACCADE_TRY(const AnalysisMethod* method, find_method(id));
  MethodInput input;
  SACCADE_TRY(input.parameters, complete_parameters(method->info(), given));
  input.capture = capture;
  input.kernels = &kernels;
  input.threads = threads;
  Result<void> outcome;
  const double seconds = best_of(repeats, [&] {
    const auto made = method->compute(input, {context.job.cancel, {}});
    if (!made.ok()) outcome = made.error();
  });
  SACCADE_CHECK(std::move(outcome));
  return BenchRow{"vision",
                  fmt::format("{} after a run of {} layers, {} heads, {} positions ({:.3g} s wanted)", id,
                              n_layer, n_head, n_token, wanted),
                  seconds,
                  "",
                  0.0,
                  0.0,
                  std::nullopt,
                  0};
}

// OSIE's 700 pictures: the centre bias by every metric against everybody.
Result<std::vector<BenchRow>> saliency_rows(const Context& context, int threads) {
  const char* data = std::getenv("SACCADE_TEST_DATA");
  const std::filesystem::path file =
      std::filesystem::path(data == nullptr ? "" : data) / "gaze" / "osie" / "fixations.mat";
  if (data == nullptr || !std::filesystem::exists(file)) {
    context.note(
        "vision: saliency metrics skipped; set SACCADE_TEST_DATA to a folder that holds "
        "gaze/osie/fixations.mat");
    return std::vector<BenchRow>{};
  }
  SACCADE_TRY(const ScanpathSet gaze, read_scanpaths(file));
  Result<void> outcome;
  const double seconds = timed([&] {
    const auto made = centre_report(gaze, {}, threads, context.job);
    if (!made.ok()) outcome = made.error();
  });
  SACCADE_CHECK(std::move(outcome));
  return std::vector<BenchRow>{{"vision",
                                fmt::format("every saliency metric on {} pictures of OSIE, {} fixations",
                                            gaze.stimuli().size(), gaze.fixation_count()),
                                seconds, "", 0.0, 0.0, std::nullopt, 0}};
}

}  // namespace

Result<std::vector<BenchRow>> bench_vision(const Context& context) {
  SACCADE_TRY(const KernelSet* kernels, choose_kernels(context.kernels));
  const int threads = context.threads > 0
                          ? context.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  SACCADE_TRY(const auto capture, random_picture_run(*kernels));
  std::vector<BenchRow> rows;
  const auto add = [&](const char* id, const nlohmann::json& parameters, double wanted,
                       int repeats) -> Result<void> {
    SACCADE_TRY(BenchRow row,
                method_row(context, *kernels, capture, threads, id, parameters, wanted, repeats));
    rows.push_back(std::move(row));
    return {};
  };
  SACCADE_CHECK(add("rollout", nlohmann::json::object(), 0.05, 5));
  SACCADE_CHECK(add("attention-flow", nlohmann::json::object(), 5.0, 1));
  SACCADE_CHECK(add("vlsam-flow", nlohmann::json::object(), 0.5, 3));
  SACCADE_CHECK(add("head-profile", nlohmann::json::object(), 1.0, 3));
  SACCADE_TRY(std::vector<BenchRow> saliency, saliency_rows(context, threads));
  for (BenchRow& row : saliency) rows.push_back(std::move(row));
  return rows;
}

}  // namespace saccade::cli
