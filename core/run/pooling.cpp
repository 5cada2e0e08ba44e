#include "core/run/pooling.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// The mean of rows [begin, rows), added up in double precision.
void mean_of(const ops::DeviceTensor& h, int64_t begin, float* out) {
  const int64_t d = h.columns();
  std::vector<double> sum(static_cast<size_t>(d), 0.0);
  for (int64_t row = begin; row < h.rows(); ++row)
    for (int64_t c = 0; c < d; ++c) sum[static_cast<size_t>(c)] += h.data()[row * d + c];
  const auto count = static_cast<double>(std::max<int64_t>(h.rows() - begin, 1));
  std::transform(sum.begin(), sum.end(), out, [&](double s) { return static_cast<float>(s / count); });
}

// z of the one query: softmax(q k^T / sqrt(d_head)) v, head by head. einsum "e,ne->n", "n,ne->e"
void attend(const float* q, const ops::DeviceTensor& qkv, int32_t n_head, HostTensor& z) {
  const int64_t d = z.size(), d_head = d / n_head, n = qkv.rows();
  std::vector<double> weights(static_cast<size_t>(n));
  for (int32_t h = 0; h < n_head; ++h) {
    const int64_t at = h * d_head;
    double highest = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < n; ++i) {
      const float* k = qkv.data() + i * 3 * d + d + at;
      double score = 0.0;
      for (int64_t c = 0; c < d_head; ++c) score += static_cast<double>(q[at + c]) * k[c];
      weights[static_cast<size_t>(i)] = score / std::sqrt(static_cast<double>(d_head));
      highest = std::max(highest, weights[static_cast<size_t>(i)]);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - highest);
    for (int64_t c = 0; c < d_head; ++c) {
      double mixed = 0.0;
      for (int64_t i = 0; i < n; ++i)
        mixed += weights[static_cast<size_t>(i)] * qkv.data()[i * 3 * d + 2 * d + at + c];
      z.mutable_values()[static_cast<size_t>(at + c)] = static_cast<float>(mixed / sum);
    }
  }
}

// y = attention(probe, h);  y + MLP(norm y)
ops::DeviceTensor probe_answer(const ops::DeviceTensor& h, const ProbeWeights& w, const ModelSpec& spec) {
  const ops::DeviceTensor query = ops::linear(ops::gather_range(w.query, 0, 1), w.qkv);
  const ops::DeviceTensor qkv = ops::linear(h, w.qkv);
  HostTensor z({1, spec.d_model}, false);
  attend(query.data(), qkv, spec.n_head, z);
  const ops::DeviceTensor gathered = ops::linear(ops::view_of(z, 1, spec.d_model), w.out);
  const ops::DeviceTensor normed =
      ops::normalise(gathered, spec.norm, spec.norm_epsilon, w.norm.weight, w.norm.bias, false).output;
  const ops::DeviceTensor hidden = ops::linear(normed, w.mlp_in);
  ops::activate_in_place(hidden, spec.activation);
  return ops::add(gathered, ops::linear(hidden, w.mlp_out));
}

// What the output matrix is multiplied with, [1, d_model] or [1, 2 d_model].
ops::DeviceTensor pooled(const ops::DeviceTensor& h, const ModelWeights& weights, const ModelSpec& spec,
                         int64_t row) {
  const int64_t d = spec.d_model;
  HostTensor made({1, spec.pooling == Pooling::cls_and_mean ? 2 * d : d}, false);
  float* const to = made.mutable_values().data();
  switch (spec.pooling) {
    case Pooling::none:
    case Pooling::end_of_text:
    case Pooling::last:
      std::copy_n(h.data() + row * d, d, to);
      break;
    case Pooling::cls:
    case Pooling::cls_and_distillation:
      std::copy_n(h.data(), d, to);
      break;
    case Pooling::cls_and_mean:
      std::copy_n(h.data(), d, to);
      mean_of(h, 1 + spec.patches.n_register, to + d);
      break;
    case Pooling::mean:
      mean_of(h, spec.patches.n_prefix(), to);
      break;
    case Pooling::probe:
      if (weights.probe.query.defined()) return probe_answer(h, weights.probe, spec);
      mean_of(h, 0, to);
      break;
  }
  return ops::view_of(made, 1, made.size());
}

}  // namespace

HostTensor pooled_answer(const ops::DeviceTensor& h, const ModelWeights& weights, const ModelSpec& spec,
                         int64_t row) {
  ops::DeviceTensor answer = pooled(h, weights, spec, row);
  if (weights.unembed.defined()) {
    ops::Matrix output = weights.unembed;
    output.bias = weights.unembed_bias;
    answer = ops::linear(answer, output);
  }
  if (spec.pooling == Pooling::cls_and_distillation) {
    const ops::DeviceTensor other = ops::linear(ops::rows_of(h, 1, 2), weights.distillation_unembed);
    answer = ops::add(answer, other);
    ops::scale_in_place(answer, 0.5);
  }
  HostTensor made({answer.columns()}, false);
  std::copy_n(answer.data(), made.size(), made.mutable_values().data());
  return made;
}

}  // namespace saccade
