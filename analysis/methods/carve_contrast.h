// Two answers about one picture, to a question and to a general instruction, read from runs over prompt and
// answer: the contrast of what they look at, step by step (CARVE; analysis/images/contrast_mask.h).
#pragma once

#include <memory>
#include <vector>

#include "core/base/job.h"
#include "core/capture/capture.h"
#include "kernels/attention.h"

namespace saccade {

struct LayerRange {
  int32_t from = 0, to = 0;  // inclusive
};
// As given; negative: those at 62 to 80 % of the depth (20 to 25 of 32, the paper's). Error: no such layers.
[[nodiscard]] Result<LayerRange> carve_layers(int32_t layers, int32_t from, int32_t to);

struct AnsweredRuns {
  std::shared_ptr<const Capture> question, general;  // over prompt and answer
  int64_t question_made = 0, general_made = 0;       // tokens of the answers at their ends
};

struct CarveContrast {
  std::vector<double> map;                                // S, [patch]
  std::vector<double> question_entropy, general_entropy;  // of the patches at the last step, [layer], nats
  int64_t steps = 0;
};
// region: of the picture, at the same positions in both.
[[nodiscard]] Result<CarveContrast> contrast_between(const AnsweredRuns& runs, const LayerRange& layers,
                                                     const ImageRegion& region, const KernelSet& kernels,
                                                     const JobContext& job);

}  // namespace saccade
