#include "core/run/pooling_gradient.h"

#include <algorithm>

#include "core/run/layer_gradient.h"

namespace saccade {
namespace {

void add_row(const float* gradient, double weight, int64_t row, HostTensor& to) {
  const int64_t d = to.shape()[1];
  float* const out = to.mutable_values().data() + row * d;
  for (int64_t c = 0; c < d; ++c) out[c] += static_cast<float>(weight * gradient[c]);
}

void add_mean(const float* gradient, int64_t begin, HostTensor& to) {
  const int64_t n = to.shape()[0];
  const auto count = static_cast<double>(std::max<int64_t>(n - begin, 1));
  for (int64_t row = begin; row < n; ++row) add_row(gradient, 1.0 / count, row, to);
}

}  // namespace

Result<void> check_pooling_gradient(const ModelSpec& spec, const ModelWeights& weights) {
  if (spec.pooling != Pooling::probe || !weights.probe.query.defined()) return {};
  return make_error(ErrorCode::unsupported,
                    "gradients are not taken through the learned query that pools this model's positions "
                    "(SigLIP); use a method without gradients");
}

HostTensor pooled_gradient(const ModelSpec& spec, const ModelWeights& weights, int64_t n, int64_t row,
                           std::span<const float> logits_gradient) {
  HostTensor logits({1, static_cast<int64_t>(logits_gradient.size())}, false);
  std::copy(logits_gradient.begin(), logits_gradient.end(), logits.mutable_values().begin());
  const HostTensor pooled = weights.unembed.defined() ? matrix_gradient(weights.unembed, logits) : logits;
  HostTensor made({n, spec.d_model});
  switch (spec.pooling) {
    case Pooling::none:
    case Pooling::end_of_text:
    case Pooling::last:
      add_row(pooled.data(), 1.0, row, made);
      break;
    case Pooling::cls:
      add_row(pooled.data(), 1.0, 0, made);
      break;
    case Pooling::cls_and_distillation:
      add_row(pooled.data(), 0.5, 0, made);
      add_row(matrix_gradient(weights.distillation_unembed, logits).data(), 0.5, 1, made);
      break;
    case Pooling::cls_and_mean:
      add_row(pooled.data(), 1.0, 0, made);
      add_mean(pooled.data() + spec.d_model, 1 + spec.patches.n_register, made);
      break;
    case Pooling::mean:
      add_mean(pooled.data(), spec.patches.n_prefix(), made);
      break;
    case Pooling::probe:
      add_mean(pooled.data(), 0, made);
      break;
  }
  return made;
}

}  // namespace saccade
