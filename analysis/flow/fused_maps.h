// The heads of a layer as one map A [query, key], regenerated some rows at a time: what rollout, flow and
// their relatives are made of. No layer is ever held whole. Thread: any (rows() is reentrant).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/job.h"
#include "core/capture/attention_map.h"
#include "core/run/edit.h"

namespace saccade {

enum class HeadFusion { mean, max, min };
[[nodiscard]] Result<HeadFusion> parse_fusion(std::string_view text);

struct FusionOptions {
  HeadFusion fusion = HeadFusion::mean;
  HeadTarget heads = {};  // "5-7.*"; default: all
  // Of each row's keys above 0, this share (the smallest) is set to 0 after fusing (own: the whole-map
  // quantile of other implementations would need the whole map).
  double discard = 0.0;
  std::vector<double> weights = {};  // [layer * head] that multiply the maps before fusing; empty: 1
};

constexpr int64_t fused_rows_at_once = 96;  // twice what the kernels take at once

class FusedMaps {
 public:
  // Errors: no capture, no attention captured, no head chosen, discard outside [0, 1).
  static Result<FusedMaps> make(std::shared_ptr<const Capture> capture, const KernelSet& kernels,
                                FusionOptions options);

  [[nodiscard]] int32_t layers() const { return static_cast<int32_t>(heads_.size()); }
  [[nodiscard]] int64_t size() const { return n_; }  // tokens
  [[nodiscard]] const Capture& capture() const { return *capture_; }
  // Whether any of the chosen heads is in this layer; where none is, the layer is left out of products.
  [[nodiscard]] bool acts(int32_t layer) const { return !heads_[static_cast<size_t>(layer)].empty(); }
  [[nodiscard]] int64_t n_chosen() const;

  // A of queries [begin, end), all keys, row-major into out [end - begin, size()]; rows as the fusion leaves
  // them (of `mean` they sum to 1). Zero in layers that do not act.
  [[nodiscard]] Result<void> rows(int32_t layer, int64_t begin, int64_t end, std::span<float> out) const;
  // B = the rows of (1 - residual) A + residual I, made to sum to 1; a row of zeros becomes one of I. Layers
  // that do not act are I. (Abnar and Zuidema 2020, section 3: residual 0.5.)
  [[nodiscard]] Result<void> mixed_rows(int32_t layer, int64_t begin, int64_t end, double residual,
                                        std::span<float> out) const;

 private:
  std::shared_ptr<const Capture> capture_;
  FusionOptions options_;
  int64_t n_ = 0;
  std::vector<std::vector<AttentionMap>> heads_;  // [layer], the chosen ones
};

// Mean over the query rows of each row's largest weight, [layer * head]: how decided every head is (VL-SAM,
// section 3.2). Layers whose statistics were not kept are regenerated.
[[nodiscard]] Result<std::vector<double>> decided_weights(const std::shared_ptr<const Capture>& capture,
                                                          const KernelSet& kernels, const JobContext& job);

}  // namespace saccade
