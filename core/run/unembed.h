// From the normalised residual to logits and losses, without ever holding [pos, n_vocab].
#pragma once

#include <vector>

#include "core/base/job.h"
#include "core/run/model_weights.h"

namespace saccade {

struct Answer {
  HostTensor last_logits;   // [n_vocab]
  std::vector<float> loss;  // [pos - 1] nats; empty unless asked for
};

// h: [pos, d_embed], as ForwardPass::head() gives it; ids: the tokens of those positions.
Result<Answer> unembed(const ops::DeviceTensor& h, const ModelWeights& weights, const ModelSpec& spec,
                       const std::vector<int32_t>& ids, bool with_loss, const JobContext& job,
                       ops::Precision precision);

}  // namespace saccade
