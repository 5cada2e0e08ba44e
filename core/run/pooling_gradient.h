// The way back through the pooling of models whose answer is not about the next token. Private to core/run.
// Thread: the engine thread, inside ops::guarded().
#pragma once

#include <span>

#include "core/run/model_weights.h"
#include "kernels/base/result.h"

namespace saccade {

// Whether pooled_gradient() can: not through SigLIP's learned query.
[[nodiscard]] Result<void> check_pooling_gradient(const ModelSpec& spec, const ModelWeights& weights);

// d scalar / d h from d scalar / d logits [n_logits]; h: [n, d_model], after the final norm, as
// pooled_answer() reads it. row: where text towers are read.
[[nodiscard]] HostTensor pooled_gradient(const ModelSpec& spec, const ModelWeights& weights, int64_t n,
                                         int64_t row, std::span<const float> logits_gradient);

}  // namespace saccade
