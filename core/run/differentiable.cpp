#include "core/run/differentiable.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

namespace saccade::differentiable {

at::Tensor Constants::matrix(const ops::Matrix& matrix) {
  const ops::FloatMatrix view = ops::float_matrix(matrix);
  alive_.push_back(view.owner);
  return at::from_blob(const_cast<float*>(view.data), {view.out, view.in}, {view.out_stride, view.in_stride},
                       at::kFloat);
}

at::Tensor Constants::vector(const ops::DeviceTensor& table) {
  alive_.push_back(table);
  return at::from_blob(table.data(), {table.rows(), table.columns()}, at::kFloat);
}

at::Tensor linear(const at::Tensor& x, const ops::Matrix& matrix, Constants& constants) {
  const at::Tensor product = at::matmul(x, constants.matrix(matrix).t());
  return matrix.bias.defined() ? product + constants.vector(matrix.bias)[0] : product;
}

at::Tensor normalise(const at::Tensor& x, const ModelSpec& spec, const Norm& norm, Constants& constants) {
  if (!norm.defined()) return x;
  const at::Tensor centred = spec.norm == NormKind::layer_norm ? x - x.mean(-1, true) : x;
  const at::Tensor scale = (centred.square().mean(-1, true) + spec.norm_epsilon).sqrt();
  at::Tensor gain = constants.vector(norm.weight);
  if (gain.size(0) == 1) gain = gain[0];
  const at::Tensor made = centred / scale * gain;
  if (!norm.bias.defined()) return made;
  const at::Tensor bias = constants.vector(norm.bias);
  return made + (bias.size(0) == 1 ? bias[0] : bias);
}

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::gelu_quick:
      return x * at::sigmoid(x * 1.702);
    case Activation::silu:
      return at::silu(x);
    case Activation::relu:
      return at::relu(x);
    case Activation::relu_squared:
      return at::relu(x).square();
  }
  return x;
}

namespace {

// Rows of each expert: those for which it is among the n_used highest scores; ties go to the lower expert.
std::vector<std::vector<int64_t>> rows_of_experts(const at::Tensor& scores, const ExpertSpec& spec) {
  const at::Tensor known = scores.detach().contiguous();
  std::vector<std::vector<int64_t>> rows(static_cast<size_t>(spec.n_expert));
  std::vector<int32_t> order(rows.size());
  for (int64_t row = 0; row < known.size(0); ++row) {
    const float* score = known.data_ptr<float>() + row * spec.n_expert;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return score[a] > score[b]; });
    for (int32_t used = 0; used < std::min(spec.n_used, spec.n_expert); ++used)
      rows[static_cast<size_t>(order[static_cast<size_t>(used)])].push_back(row);
  }
  return rows;
}

at::Tensor indices(const std::vector<int64_t>& rows) {
  return at::tensor(at::ArrayRef<int64_t>(rows), at::kLong);
}

at::Tensor expert(const at::Tensor& x, const Expert& weights, Activation activation, Constants& constants) {
  const at::Tensor hidden =
      activate(linear(x, weights.gate, constants), activation) * linear(x, weights.in, constants);
  return linear(hidden, weights.out, constants);
}

}  // namespace

at::Tensor experts(const at::Tensor& h, const ModelSpec& spec, const LayerWeights& weights,
                   Constants& constants) {
  const at::Tensor scores = linear(h, weights.router, constants);
  const auto rows = rows_of_experts(scores, spec.experts);
  at::Tensor used = at::zeros_like(scores);
  for (size_t e = 0; e < rows.size(); ++e)
    if (!rows[e].empty()) used.select(1, static_cast<int64_t>(e)).index_fill_(0, indices(rows[e]), 1.0);
  at::Tensor shares = at::softmax(scores, 1) * used;
  if (spec.experts.normalise_weights) shares = shares / shares.sum(1, true);
  at::Tensor out = at::zeros({h.size(0), spec.d_model}, at::kFloat);
  for (size_t e = 0; e < rows.size(); ++e) {
    if (rows[e].empty()) continue;
    const at::Tensor index = indices(rows[e]);
    const at::Tensor share = shares.select(1, static_cast<int64_t>(e)).index_select(0, index).unsqueeze(1);
    out = out.index_add(
        0, index, expert(h.index_select(0, index), weights.experts[e], spec.activation, constants) * share);
  }
  if (!weights.shared.in.defined()) return out;
  return out + expert(h, weights.shared, spec.activation, constants) *
                   at::sigmoid(linear(h, weights.shared_router, constants));
}

}  // namespace saccade::differentiable
