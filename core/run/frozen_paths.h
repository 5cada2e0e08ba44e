// Residuals along frozen paths: what later parts of a model would read if something else were written at one
// place, while every head keeps what it wrote. The first half of path patching (Wang et al. 2023, arXiv
// 2211.00593, section 3.1; Goldowsky-Dill et al. 2023, arXiv 2304.05969).
//
// With heads frozen, a change travels through the residual unaltered except where an MLP reads it, row by row
// and without attention: a few rows through a few MLPs instead of a forward pass per change.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/base/job.h"
#include "core/capture/capture.h"

namespace saccade {

struct PathWrite {
  int32_t layer = 0;
  int64_t position = 0;
  std::vector<float> change;  // [d_model], added to what the layer's attention (or MLP) writes
  bool by_mlp = false;
};

struct PathQuestion {
  std::vector<PathWrite> writes;
  std::vector<int32_t>
      free_mlps;  // layers whose MLP reads the changed residual; the others keep what they wrote
  std::vector<int32_t> layers;  // ascending: whose entering residual is asked for; n_layer: the final one
};

// What a run must keep for it: every resid_pre and the final residual, and attn_out of every free layer.
// Refused: a run that did not, a layer or position that is not there, models that normalise the sum of
// residual and write (post-norm).
[[nodiscard]] Result<void> check_paths(const Capture& run, const PathQuestion& question);

}  // namespace saccade
