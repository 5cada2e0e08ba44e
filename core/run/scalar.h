// The scalar of a gradient, and its way back through the vocabulary. Private to core/run. Thread: the engine
// thread, inside ops::guarded().
#pragma once

#include <span>
#include <vector>

#include "core/base/job.h"
#include "core/run/gradient.h"
#include "core/run/model_weights.h"

namespace saccade {

struct ScalarGradient {
  double scalar = 0.0;
  std::vector<double> terms;
  std::vector<int64_t> positions;  // that the terms read, sorted
  HostTensor h;                    // d scalar / d h at these positions, [positions, d_embed]
};

// Where every term of a request stands: -1 becomes `answer`. Sorted, each once.
[[nodiscard]] std::vector<int64_t> positions_of(std::span<const ScalarTerm> terms, int64_t answer);

// h: [positions, d_embed], what is multiplied with the vocabulary at `positions`. Rows are taken some at a
// time, narrow weights a slice of the vocabulary at a time.
[[nodiscard]] Result<ScalarGradient> scalar_gradient(const HostTensor& h,
                                                     const std::vector<int64_t>& positions,
                                                     std::span<const ScalarTerm> terms, int64_t answer,
                                                     const ModelWeights& weights, const ModelSpec& spec,
                                                     const JobContext& job);

}  // namespace saccade
