// Where a running model looks: one row of attention over the picture's patches per step (a generated token, a
// layer, a decoding step) becomes one fixation. Own definition, after the scanpath models of the literature:
//   1. sinks out: patches whose mean over the steps is above `sink_times` the median of those means
//   2. each row made to sum to 1   3. Gaussian of `sigma` patches, border reflected
//   4. when asked, inhibition of return: 3 x 3 patches about a fixation count `inhibited` (0.2), times
//      `recovery` (1.3) with each step, never above 1
//   5. the fixation is the highest patch; its dwell is `dwell_ms`
// Rows are any head's, mean or sum: [step, patch], patches row-major on a grid of gh x gw. Thread: any.
#pragma once

#include "analysis/field.h"
#include "analysis/scanpath/saliency_map.h"
#include "core/base/host_tensor.h"

namespace saccade {

struct PatchGrid {
  int64_t rows = 0, columns = 0;  // gh, gw
};

struct AttentionScanpathOptions {
  double sink_times = 10.0;  // 0 = keep sinks
  double sigma = 0.7;        // patches; 0 = none
  bool inhibition = false;
  double inhibited = 0.2, recovery = 1.3;
  double dwell_ms = 250.0;
};

struct AttentionStep {
  int64_t step = 0, patch = 0;
  double mass = 0.0;     // of the row before normalising, sinks included: what the picture got at all
  double share = 0.0;    // of the fixated patch, after 1 and 2
  double entropy = 0.0;  // nats, after 1 and 2
};
struct AttentionScanpath {
  Scanpath path;  // at patch centres, in pixels of `picture`
  std::vector<AttentionStep> steps;
  std::vector<int64_t> sinks;         // patches left out
  std::vector<std::string> findings;  // steps that looked nowhere, sinks
};

// Errors: rows that are not [step, rows * columns], negative or not finite; everything a sink.
[[nodiscard]] Result<AttentionScanpath> attention_scanpath(const HostTensor& rows, PatchGrid grid,
                                                           PictureSize picture,
                                                           const AttentionScanpathOptions& options = {});
// step, token, patch, row, column, mass, share, entropy; `tokens` may be empty.
[[nodiscard]] Table attention_steps_table(const AttentionScanpath& scanpath, PatchGrid grid,
                                          const std::vector<std::string>& tokens);

}  // namespace saccade
