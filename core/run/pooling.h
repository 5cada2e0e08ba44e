// Answers of models that pool: classes, features or an embedding, instead of the next token. Private to
// core/run.
#pragma once

#include "core/run/model_weights.h"

namespace saccade {

// h: [pos, d_model] of one sequence, after the final norm; row: where text towers are read. [n_logits]; what
// is pooled itself where there is no output matrix.
[[nodiscard]] HostTensor pooled_answer(const ops::DeviceTensor& h, const ModelWeights& weights,
                                       const ModelSpec& spec, int64_t row);

}  // namespace saccade
