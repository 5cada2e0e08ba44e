// The MLP of the forward pass: plain, gated, or a mixture of experts.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/run/forward.h"

namespace saccade {
namespace {

// The rows of one expert, and what its output counts there.
struct Share {
  std::vector<int32_t> rows;
  std::vector<float> weights;
};

// Softmax over the experts, the n_used largest of each row, their weights to sum 1 where the model says so
// (Jiang et al. 2024, arXiv 2401.04088, sec. 2.1). Ties go to the lower expert. scores: [rows, n_expert]
std::vector<Share> shares_of(const ops::DeviceTensor& scores, const ExpertSpec& spec) {
  std::vector<Share> shares(static_cast<size_t>(spec.n_expert));
  std::vector<float> p(static_cast<size_t>(spec.n_expert));
  std::vector<int32_t> order(p.size());
  for (int64_t row = 0; row < scores.rows(); ++row) {
    const float* score = scores.data() + row * spec.n_expert;
    const float highest = *std::max_element(score, score + spec.n_expert);
    std::transform(score, score + spec.n_expert, p.begin(), [&](float s) { return std::exp(s - highest); });
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return p[static_cast<size_t>(a)] > p[static_cast<size_t>(b)];
    });
    order.resize(static_cast<size_t>(std::min(spec.n_used, spec.n_expert)));
    float total = std::accumulate(p.begin(), p.end(), 0.0F);
    if (spec.normalise_weights)
      total = std::accumulate(order.begin(), order.end(), 0.0F,
                              [&](float sum, int32_t e) { return sum + p[static_cast<size_t>(e)]; });
    for (const int32_t e : order) {
      shares[static_cast<size_t>(e)].rows.push_back(static_cast<int32_t>(row));
      shares[static_cast<size_t>(e)].weights.push_back(p[static_cast<size_t>(e)] / total);
    }
    order.resize(p.size());
  }
  return shares;
}

void add_weighted(const ops::DeviceTensor& out, const Share& share, const ops::DeviceTensor& part) {
  const int64_t width = part.columns();
  for (size_t i = 0; i < share.rows.size(); ++i) {
    float* to = out.data() + share.rows[i] * width;
    const float* from = part.data() + static_cast<int64_t>(i) * width;
    for (int64_t c = 0; c < width; ++c) to[c] += share.weights[i] * from[c];
  }
}

}  // namespace

Result<ops::DeviceTensor> ForwardPass::expert(const Expert& expert, const ops::DeviceTensor& x) const {
  SACCADE_TRY(const ops::DeviceTensor hidden, products_.linear(x, expert.gate, {spec_.activation, {}}));
  SACCADE_TRY(const ops::DeviceTensor up, linear(x, expert.in));
  ops::multiply_in_place(hidden, up);
  return linear(hidden, expert.out);
}

// sum over a row's experts of weight * expert(h), plus the shared expert under its own gate.
Result<ops::DeviceTensor> ForwardPass::experts(int32_t l, const ops::DeviceTensor& h) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  SACCADE_TRY(const ops::DeviceTensor scores, linear(h, w.router));
  const std::vector<Share> shares = shares_of(scores, spec_.experts);
  const ops::DeviceTensor out = ops::empty(h.rows(), spec_.d_model);
  std::fill_n(out.data(), h.rows() * spec_.d_model, 0.0F);
  for (size_t e = 0; e < shares.size(); ++e) {
    if (shares[e].rows.empty()) continue;
    SACCADE_TRY(const ops::DeviceTensor part, expert(w.experts[e], ops::gather_rows(h, shares[e].rows)));
    add_weighted(out, shares[e], part);
  }
  if (!w.shared.in.defined()) return out;
  SACCADE_TRY(const ops::DeviceTensor shared, expert(w.shared, h));
  Share all;
  SACCADE_TRY(const ops::DeviceTensor gate, linear(h, w.shared_router));
  for (int32_t row = 0; row < h.rows(); ++row) {
    all.rows.push_back(row);
    all.weights.push_back(1.0F / (1.0F + std::exp(-gate.data()[row])));
  }
  add_weighted(out, all, shared);
  return out;
}

// What is multiplied with W_out, [rows, d_mlp].
Result<ops::DeviceTensor> ForwardPass::mlp_hidden(int32_t l, const ops::DeviceTensor& h,
                                                  int64_t first_position) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const ops::Matrix& in = spec_.gated_mlp ? w.mlp_gate : w.mlp_in;
  ops::DeviceTensor hidden;
  if (visited({HookSite::mlp_pre, l})) {
    SACCADE_TRY(hidden, linear(h, in));
    SACCADE_CHECK(visit({HookSite::mlp_pre, l}, hidden, first_position));
    products_.activate(hidden, spec_.activation);
  } else {
    SACCADE_TRY(hidden, products_.linear(h, in, {spec_.activation, {}}));
  }
  if (spec_.gated_mlp) {
    SACCADE_TRY(const ops::DeviceTensor up, linear(h, w.mlp_in));
    ops::multiply_in_place(hidden, up);
    if (w.mlp_product_bias.defined()) ops::add_row_in_place(hidden, w.mlp_product_bias);
  }
  SACCADE_CHECK(visit({HookSite::mlp_post, l}, hidden, first_position));
  return hidden;
}

Result<ops::DeviceTensor> ForwardPass::plain_mlp(int32_t l, const ops::DeviceTensor& h,
                                                 int64_t first_position) {
  SACCADE_TRY(const ops::DeviceTensor hidden, mlp_hidden(l, h, first_position));
  return linear(hidden, weights_.layers[static_cast<size_t>(l)].mlp_out);
}

Result<void> ForwardPass::add_mlp(int32_t l, const ops::DeviceTensor& sum, const ops::DeviceTensor& mid,
                                  const ops::DeviceTensor& h, int64_t first_position) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const bool plain = !spec_.has_experts(l) && !w.mlp_out_norm.defined() && !w.mlp_scale.defined() &&
                     spec_.residual_scale == 1.0;
  if (!plain || visited({HookSite::mlp_out, l}) || ops::on_device()) {
    SACCADE_TRY(const ops::DeviceTensor out, mlp(l, h, first_position));
    ops::add_into(sum, mid, out);
    return {};
  }
  // Some thousands of rows at a time, where nobody looks inside: their activations stay in the cache, and in
  // memory that the system has given once.
  const bool whole = visited({HookSite::mlp_pre, l}) || visited({HookSite::mlp_post, l});
  constexpr int64_t most_rows = 2048;
  const int64_t parts = whole ? 1 : (h.rows() + most_rows - 1) / most_rows;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = part * h.rows() / parts, end = (part + 1) * h.rows() / parts;
    SACCADE_TRY(const ops::DeviceTensor hidden, mlp_hidden(l, ops::rows_of(h, begin, end), first_position));
    SACCADE_CHECK(products_.linear_into(ops::rows_of(sum, begin, end), hidden, w.mlp_out,
                                        {std::nullopt, ops::rows_of(mid, begin, end)}));
  }
  return {};
}

Result<ops::DeviceTensor> ForwardPass::mlp(int32_t l, const ops::DeviceTensor& h, int64_t first_position) {
  ops::DeviceTensor out;
  if (spec_.has_experts(l)) {
    SACCADE_TRY(out, experts(l, h));
  } else {
    SACCADE_TRY(out, plain_mlp(l, h, first_position));
  }
  if (const Norm& norm = weights_.layers[static_cast<size_t>(l)].mlp_out_norm; norm.defined())
    out = plain_norm(norm, out);
  ops::scale_in_place(out, spec_.residual_scale);
  if (const auto& scale = weights_.layers[static_cast<size_t>(l)].mlp_scale; scale.defined())
    ops::multiply_in_place(out, scale);
  SACCADE_CHECK(visit({HookSite::mlp_out, l}, out, first_position));
  return out;
}

Result<HostTensor> ForwardPass::mlp_alone(int32_t l, const HostTensor& entering, const HostTensor& mid) {
  if (spec_.d_mlp <= 0) return HostTensor();
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const bool parallel = spec_.block == BlockKind::parallel;
  const HostTensor& read = parallel ? entering : mid;
  const int64_t rows = read.shape()[0];
  const Norm& norm = parallel && !w.norm2.defined() ? w.norm1 : w.norm2;
  ops::DeviceTensor h = ops::view_of(read, rows, spec_.d_model);
  if (norm.defined()) h = plain_norm(norm, h);
  SACCADE_TRY(const ops::DeviceTensor out, mlp(l, h, 0));
  HostTensor kept({rows, spec_.d_model}, false);
  std::copy_n(out.data(), kept.size(), kept.mutable_values().data());
  return kept;
}

}  // namespace saccade
