// What the parts of Runner share. Private to core/run.
#pragma once

#include "core/run/forward.h"
#include "core/run/model_weights.h"
#include "core/run/rotary.h"
#include "core/run/runner.h"
#include "core/run/tensor_ops.h"

namespace saccade {

[[nodiscard]] inline ops::Precision precision_of(const std::string& dtype) {
  return dtype == "bf16" ? ops::Precision::bf16 : ops::Precision::f32;
}

// The attention kernels of a device; null: the CPU's serve it.
[[nodiscard]] const KernelSet* device_kernels(const std::string& device);
// What a request names; the CPU for a name that check() refuses.
[[nodiscard]] Device device_of(const RunRequest& request);

// The vision tower of a decoder that reads pictures.
struct Tower {
  std::shared_ptr<const Model> model;
  ModelWeights weights;
  RotaryTables rotary;
};

struct Runner::State {
  std::shared_ptr<const Model> model;
  const KernelSet* kernels;
  int threads;
  Parallel parallel;
  ModelWeights weights;
  RotaryTables rotary;
  std::string device = "cpu";  // of requests that it makes
  std::unique_ptr<Tower> tower = nullptr;
  std::map<std::string, GivenRows> pictures = {};  // by digest and dtype: no edit acts before them

  // Refuses what cannot run, before any work.
  [[nodiscard]] Result<void> check(const RunRequest& request) const;
  // What the sequence's pictures are before the first layer; first_row counts from the sequence's beginning.
  Result<std::vector<GivenRows>> image_rows(const TokenSequence& tokens, const std::string& dtype,
                                            const JobContext& job);
  Result<HostTensor> tower_rows(const std::shared_ptr<const PreparedImage>& image, ops::Precision precision,
                                const JobContext& job);
  // Of a picture whose tiles go through the tower one by one (core/run/tile_rows.cpp).
  Result<HostTensor> tiled_rows(const PreparedImage& image, ops::Precision precision, const JobContext& job);
  [[nodiscard]] Result<void> check_images(const TokenSequence& tokens) const;
  // z of a reference run's layer, edits of that run included where they can be repeated.
  Result<HostTensor> reference_z(const Capture& reference, int32_t layer);
  [[nodiscard]] SiteEdits edits_for(const RunRequest& request);
  [[nodiscard]] ForwardPass pass(SiteEdits& edits, const CapturePlan& plan, const JobContext& job,
                                 ops::Precision precision) {
    return {*model, weights, *kernels, parallel, rotary, edits, plan, job, precision};
  }
  // On the device that the request names, which check() found to be there.
  [[nodiscard]] ForwardPass pass(SiteEdits& edits, const CapturePlan& plan, const JobContext& job,
                                 const RunRequest& request) {
    ForwardPass made = pass(edits, plan, job, precision_of(request.dtype));
    made.set_device_kernels(device_kernels(request.device));
    return made;
  }
};

// Where the model is asked: at the last token that is no padding; a masked language model at its first mask,
// if there is one.
[[nodiscard]] int64_t answer_row(const TokenSequence& tokens, const ModelSpec& spec);

// Of a run that begins now.
[[nodiscard]] Provenance provenance_of(const RunRequest& request, const std::string& digest,
                                       const Model& model, const KernelSet& kernels);

[[nodiscard]] MemoryForecast forecast_memory(const ModelSpec& spec, int64_t weight_bytes,
                                             const CapturePlan& plan, const std::string& dtype,
                                             int64_t n_token, int64_t available);

}  // namespace saccade
