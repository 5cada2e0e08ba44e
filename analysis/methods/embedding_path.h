// Runs whose embedding is put in place of their tokens': points on a straight path between two embeddings, as
// integrated gradients take them (Sundararajan et al. 2017, arXiv 1703.01365).
#pragma once

#include "core/run/run_request.h"

namespace saccade {

// The middle of the step-th of `steps` equal parts of [0, 1].
[[nodiscard]] inline double midpoint(size_t step, size_t steps) {
  return (static_cast<double>(step) + 0.5) / static_cast<double>(steps);
}

// from + share (to - from), element by element; both [pos, d_model].
[[nodiscard]] HostTensor embedding_between(const HostTensor& from, const HostTensor& to, double share);

// Adds the edit that makes the run start from these numbers at hook_embed, after the edits it has.
void set_embedding(RunRequest& request, const ModelSpec& spec, HostTensor embedding);

}  // namespace saccade
