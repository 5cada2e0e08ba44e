// What the kernels need to know of one layer's attention. Spans point into `spec`. Thread: any.
#pragma once

#include <algorithm>

#include "core/model/model_spec.h"
#include "kernels/attention.h"

namespace saccade {

// Without knocked-out edges: those belong to a run.
[[nodiscard]] inline AttentionMask mask_of(const ModelSpec& spec, int32_t layer) {
  AttentionMask mask;
  mask.causal = spec.causal;
  mask.window = spec.window_of(layer);
  mask.prefix = std::max(spec.prefix, 0);  // of a model's spec: nobody has said yet
  return mask;
}

[[nodiscard]] inline AttentionScores scores_of(const ModelSpec& spec, int32_t layer) {
  return {static_cast<float>(spec.attention_scale_of(layer)), static_cast<float>(spec.attention_softcap),
          spec.alibi_slopes};
}

}  // namespace saccade
