// Runner::run_tower(): the vision tower of a decoder as a run of its own.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/base/digest.h"
#include "core/base/memory.h"
#include "core/model/image_input.h"
#include "core/run/image_rows.h"
#include "core/run/runner_state.h"

namespace saccade {

Result<std::shared_ptr<const Run>> Runner::run_tower(const std::shared_ptr<const PreparedImage>& image,
                                                     const CapturePlan& plan, const JobContext& job,
                                                     int32_t layers) {
  const auto start = std::chrono::steady_clock::now();
  const Tower* tower = state_->tower.get();
  if (tower == nullptr)
    return make_error(ErrorCode::unsupported, fmt::format("{} has no vision tower", state_->model->name()));
  if (image->tile_height > 0 || !image->parts.empty())
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} goes through the vision tower in tiles, which are no one run of it; ask for "
                    "the picture as a whole",
                    image->name));
  const ModelSpec& spec = tower->model->spec();
  auto run = std::make_shared<Run>();
  auto capture = std::make_shared<Capture>();
  SACCADE_TRY(run->request.tokens, place_images(*tower->model, {}, {image}));
  run->request.model_digest = state_->model->digest();
  run->request.capture = plan;
  run->request.device = state_->device;
  const std::vector<int32_t>& used = state_->model->spec().tower.layers;
  const int32_t read = *std::max_element(used.begin(), used.end());
  const int32_t count = std::min(std::max(layers, read), spec.n_layer);
  Digest digest;
  digest.add("tower").add(run->request.digest());
  if (count > read) digest.add(fmt::format("layers {}", count));
  run->digest = digest.hex();
  capture->provenance = provenance_of(run->request, run->digest, *state_->model, *state_->kernels);
  capture->spec = spec;
  capture->tokens = run->request.tokens.tokens;
  capture->images = run->request.tokens.image_regions();
  capture->sink_keys = plan.sink_keys;
  capture->local_width = plan.local_width;
  capture->block_size = plan.statistics ? plan.block_size : 0;
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const ops::OnDevice on(device_of(run->request));
    SiteEdits none(run->request, spec, {});
    ForwardPass pass(*tower->model, tower->weights, *state_->kernels, state_->parallel, state_->tower->rotary,
                     none, plan, job, ops::Precision::f32);
    pass.set_axes(axis_positions(spec, run->request.tokens.images));
    const GivenRows patches = patch_rows(spec, tower->weights, *image);
    SACCADE_TRY(HostTensor x, pass.embed(run->request.tokens.ids(), 0, {&patches, 1}));
    for (int32_t l = 0; l < count; ++l) {
      job.progress(static_cast<double>(l) / count, fmt::format("tower layer {} of {}", l + 1, count));
      SACCADE_CHECK(job.check());
      auto kept = std::make_shared<LayerCapture>();
      LayerOptions options;
      options.capture = kept.get();
      SACCADE_TRY(x, pass.layer(l, std::move(x), options));
      capture->layers.push_back(std::move(kept));
    }
    if (plan.residuals) capture->final_resid = x;
    capture->sites = std::move(pass.recorded());
    return {};
  }));
  run->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  capture->provenance.seconds = run->seconds;
  run->peak_bytes = peak_resident_bytes();
  run->capture = std::move(capture);
  job.progress(1.0, "done");
  return std::shared_ptr<const Run>(std::move(run));
}

}  // namespace saccade
