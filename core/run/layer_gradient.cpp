#include "core/run/layer_gradient.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>

#include "core/run/differentiable.h"

namespace saccade {
namespace {

using differentiable::Constants;

at::Tensor tensor_of(const HostTensor& x) {
  return at::from_blob(const_cast<float*>(x.data()), x.shape(), at::kFloat);
}

HostTensor host(const at::Tensor& x, std::vector<int64_t> shape) {
  HostTensor made(std::move(shape), false);
  const at::Tensor numbers = x.detach().contiguous();
  std::copy_n(numbers.data_ptr<float>(), made.size(), made.mutable_values().data());
  return made;
}

// d scalar / d inputs from d scalar / d output; an input that nothing depends on has gradient 0.
std::vector<at::Tensor> back(const at::Tensor& output, const std::vector<at::Tensor>& inputs,
                             const at::Tensor& gradient) {
  std::vector<at::Tensor> made = torch::autograd::grad({output}, inputs, {gradient}, false, false, true);
  for (size_t i = 0; i < made.size(); ++i)
    if (!made[i].defined()) made[i] = at::zeros_like(inputs[i]);
  return made;
}

// [pos, width] of a fused projection into q, k, v: [pos, head | kv_head, d_head].
std::array<at::Tensor, 3> split(const at::Tensor& fused, const ModelSpec& spec) {
  const int64_t rows = fused.size(0), d = spec.d_head, heads = spec.n_head, kv = spec.n_kv_head;
  if (spec.qkv_layout == QkvLayout::per_kv_head) {
    const int64_t group = heads / kv;
    const at::Tensor groups = fused.reshape({rows, kv, group + 2, d});
    return {groups.narrow(2, 0, group).reshape({rows, heads, d}), groups.select(2, group),
            groups.select(2, group + 1)};
  }
  return {fused.narrow(1, 0, heads * d).reshape({rows, heads, d}),
          fused.narrow(1, heads * d, kv * d).reshape({rows, kv, d}),
          fused.narrow(1, (heads + kv) * d, kv * d).reshape({rows, kv, d})};
}

class Layer {
 public:
  explicit Layer(const LayerGradientInput& in) : in_(in), spec_(in.spec), w_(in.weights) {}

  at::Tensor forward(const at::Tensor& x) {
    const bool post_norm = spec_.block == BlockKind::post_norm;
    const at::Tensor h = post_norm ? x : norm(x, w_.norm1);
    at::Tensor mid = visit(HookSite::resid_mid, x + attention(h));
    if (post_norm) mid = norm(mid, w_.norm1);
    // The MLP reads a view of its own, so that what comes back through it can be told apart.
    const bool beside = spec_.block == BlockKind::parallel;
    mlp_read_ = beside ? x.view_as(x) : mid.view_as(mid);
    at::Tensor out = mid;
    if (spec_.d_mlp > 0) {
      const bool own_norm = !post_norm && (!beside || w_.norm2.defined());
      const at::Tensor read = own_norm ? norm(mlp_read_, w_.norm2)
                              : beside ? norm(mlp_read_, w_.norm1)
                                       : mlp_read_;
      out = mid + mlp(read);
    }
    out = visit(HookSite::resid_post, out);
    return post_norm ? norm(out, w_.norm2) : out;
  }

  [[nodiscard]] const at::Tensor& at_site(HookSite site) const { return sites_.at(site); }
  [[nodiscard]] const std::array<at::Tensor, 3>& projections() const { return projections_; }
  [[nodiscard]] const at::Tensor& mlp_read() const { return mlp_read_; }

  // From d scalar / d projection of every head, [pos, head, d_head], to d scalar / d the residual as that
  // head reads it, [pos, head, d_model].
  at::Tensor read_gradient(size_t part, const at::Tensor& gradient) {
    const at::Tensor weights = projection_weights()[part];  // [d_model, head, d_head]
    const at::Tensor normed =
        at::matmul(gradient.transpose(0, 1), weights.permute({1, 2, 0})).transpose(0, 1);
    if (spec_.block == BlockKind::post_norm || !w_.norm1.defined()) return normed;
    const at::Tensor copies = tensor_of(in_.resid_pre)
                                  .unsqueeze(1)
                                  .expand({-1, gradient.size(1), -1})
                                  .contiguous()
                                  .set_requires_grad(true);
    return back(norm(copies, w_.norm1), {copies}, normed)[0];
  }

 private:
  at::Tensor norm(const at::Tensor& x, const Norm& norm) {
    return differentiable::normalise(x, spec_, norm, constants_);
  }
  at::Tensor linear(const at::Tensor& x, const ops::Matrix& matrix) {
    return differentiable::linear(x, matrix, constants_);
  }

  at::Tensor visit(HookSite site, const at::Tensor& x) {
    at::Tensor made = x;
    if (const auto edit = in_.edits.find(site); edit != in_.edits.end())
      made = x * tensor_of(edit->second.factor).view_as(x) + tensor_of(edit->second.offset).view_as(x);
    sites_[site] = made;
    return made;
  }

  std::array<at::Tensor, 3> project(const at::Tensor& h) {
    if (w_.qkv.defined()) return split(linear(h, w_.qkv), spec_);
    const auto heads = [&](const ops::Matrix& matrix, int64_t count) {
      return linear(h, matrix).view({h.size(0), count, spec_.d_head});
    };
    return {heads(w_.q, spec_.n_head), heads(w_.k, spec_.n_kv_head), heads(w_.v, spec_.n_kv_head)};
  }

  // [d_model, head, d_head] each.
  std::array<at::Tensor, 3> projection_weights() {
    if (w_.qkv.defined()) return split(constants_.matrix(w_.qkv).t(), spec_);
    const auto heads = [&](const ops::Matrix& matrix, int64_t count) {
      return constants_.matrix(matrix).t().reshape({spec_.d_model, count, spec_.d_head});
    };
    return {heads(w_.q, spec_.n_head), heads(w_.k, spec_.n_kv_head), heads(w_.v, spec_.n_kv_head)};
  }

  // x: [pos, head, d_head]
  at::Tensor normalise_heads(const at::Tensor& x, const Norm& weights) {
    if (spec_.qk_norm == QkNorm::none) return x;
    if (spec_.qk_norm == QkNorm::per_head) return norm(x, weights);
    return norm(x.flatten(1), weights).view_as(x);
  }

  at::Tensor rotate(const at::Tensor& x) const {
    if (in_.cos.empty()) return x;
    const int64_t pairs = in_.cos.shape()[1];
    const bool halves = in_.pairing == RotaryPairing::halves;
    const at::Tensor a = halves ? x.narrow(2, 0, pairs) : x.slice(2, 0, 2 * pairs, 2);
    const at::Tensor b = halves ? x.narrow(2, pairs, pairs) : x.slice(2, 1, 2 * pairs, 2);
    const at::Tensor c = tensor_of(in_.cos).unsqueeze(1), s = tensor_of(in_.sin).unsqueeze(1);
    const at::Tensor first = a * c - b * s, second = a * s + b * c;
    const at::Tensor turned = halves ? at::cat({first, second}, 2) : at::stack({first, second}, 3).flatten(2);
    return at::cat({turned, x.narrow(2, 2 * pairs, x.size(2) - 2 * pairs)}, 2);
  }

  // What a part of the layer gives, before it is added: the model's one factor, and one per column (DINOv2).
  at::Tensor scaled(const at::Tensor& out, const ops::DeviceTensor& by_column) {
    const at::Tensor made = out * spec_.residual_scale;
    return by_column.defined() ? made * constants_.vector(by_column)[0] : made;
  }

  // attn_out of the layer. einsum "hqk,khd->qhd" in the middle.
  at::Tensor attention(const at::Tensor& h) {
    projections_ = project(h);
    std::array<at::Tensor, 3> used = projections_;
    if (w_.qkv.defined() && spec_.qkv_clip > 0.0)
      for (at::Tensor& part : used) part = part.clamp(-spec_.qkv_clip, spec_.qkv_clip);
    const at::Tensor q = visit(HookSite::q, rotate(normalise_heads(used[0], w_.q_norm)));
    const at::Tensor k = visit(HookSite::k, rotate(normalise_heads(used[1], w_.k_norm)));
    const at::Tensor v = visit(HookSite::v, used[2].view_as(used[2]));
    const int64_t group = spec_.n_head / spec_.n_kv_head, rows = h.size(0);
    const auto of_heads = [&](const at::Tensor& x) { return x.repeat_interleave(group, 1).transpose(0, 1); };
    const at::Tensor products = at::matmul(q.transpose(0, 1), of_heads(k).transpose(1, 2));
    const at::Tensor map =
        visit(HookSite::pattern, differentiable::pattern(products, spec_, in_.layer, in_.plan));
    const at::Tensor z = visit(HookSite::z, at::matmul(map, of_heads(v)).transpose(0, 1).contiguous());
    const at::Tensor out =
        norm(linear(z.reshape({rows, spec_.n_head * spec_.d_head}), w_.o), w_.attn_out_norm);
    return visit(HookSite::attn_out, scaled(out, w_.attn_scale));
  }

  at::Tensor plain_mlp(const at::Tensor& h) {
    at::Tensor hidden = visit(HookSite::mlp_pre, linear(h, spec_.gated_mlp ? w_.mlp_gate : w_.mlp_in));
    hidden = differentiable::activate(hidden, spec_.activation);
    if (spec_.gated_mlp) hidden = hidden * linear(h, w_.mlp_in);
    if (spec_.gated_mlp && w_.mlp_product_bias.defined())
      hidden = hidden + constants_.vector(w_.mlp_product_bias)[0];
    return linear(visit(HookSite::mlp_post, hidden), w_.mlp_out);
  }

  at::Tensor mlp(const at::Tensor& h) {
    const at::Tensor out =
        spec_.has_experts(in_.layer) ? differentiable::experts(h, spec_, w_, constants_) : plain_mlp(h);
    return visit(HookSite::mlp_out, scaled(norm(out, w_.mlp_out_norm), w_.mlp_scale));
  }

  const LayerGradientInput& in_;
  const ModelSpec& spec_;
  const LayerWeights& w_;
  Constants constants_;
  std::map<HookSite, at::Tensor> sites_;
  std::array<at::Tensor, 3> projections_;
  at::Tensor mlp_read_;
};

}  // namespace

LayerGradient layer_gradient(const LayerGradientInput& in) {
  const c10::InferenceMode recording(false);
  const int64_t n = in.resid_pre.shape()[0];
  const ModelSpec& spec = in.spec;
  const at::Tensor x = tensor_of(in.resid_pre).clone().set_requires_grad(true);
  Layer layer(in);
  const at::Tensor out = layer.forward(x);
  std::vector<at::Tensor> inputs{x};
  for (const HookSite site : in.wanted) inputs.push_back(layer.at_site(site));
  if (in.reads) {
    inputs.insert(inputs.end(), layer.projections().begin(), layer.projections().end());
    inputs.push_back(layer.mlp_read());
  }
  const std::vector<at::Tensor> gradients = back(out, inputs, tensor_of(in.gradient));
  LayerGradient made;
  made.output = host(out, {n, spec.d_model});
  made.resid_pre = host(gradients[0], {n, spec.d_model});
  for (size_t i = 0; i < in.wanted.size(); ++i) {
    const std::vector<int64_t> shape = shape_of(in.wanted[i], spec, n);
    made.values[in.wanted[i]] = host(inputs[i + 1], shape);
    made.gradients[in.wanted[i]] = host(gradients[i + 1], shape);
  }
  if (!in.reads) return made;
  const size_t first = 1 + in.wanted.size();
  const std::array<HostTensor*, 3> parts{&made.reads.q, &made.reads.k, &made.reads.v};
  for (size_t part = 0; part < parts.size(); ++part)
    *parts[part] = host(layer.read_gradient(part, gradients[first + part]),
                        {n, part == 0 ? spec.n_head : spec.n_kv_head, spec.d_model});
  if (spec.d_mlp > 0) made.reads.mlp = host(gradients[first + 3], {n, spec.d_model});
  return made;
}

HostTensor norm_gradient(const ModelSpec& spec, const Norm& norm, const HostTensor& x,
                         const HostTensor& gradient) {
  if (!norm.defined()) return gradient;
  const c10::InferenceMode recording(false);
  Constants constants;
  const at::Tensor in = tensor_of(x).clone().set_requires_grad(true);
  const at::Tensor out = differentiable::normalise(in, spec, norm, constants);
  return host(back(out, {in}, tensor_of(gradient))[0], x.shape());
}

HostTensor head_gradient(const ModelSpec& spec, const ModelWeights& weights, const HostTensor& x,
                         const HostTensor& gradient) {
  const c10::InferenceMode recording(false);
  Constants constants;
  const at::Tensor in = tensor_of(x).clone().set_requires_grad(true);
  at::Tensor h = differentiable::normalise(in.view_as(in), spec, weights.final_norm, constants);
  if (weights.head.defined()) {
    h = differentiable::activate(differentiable::linear(h, weights.head, constants), spec.activation);
    h = differentiable::normalise(h, spec, weights.head_norm, constants);
  }
  if (weights.embed_out.defined()) h = differentiable::linear(h, weights.embed_out, constants);
  return host(back(h, {in}, tensor_of(gradient))[0], x.shape());
}

HostTensor matrix_gradient(const ops::Matrix& matrix, const HostTensor& gradient) {
  Constants constants;
  const at::Tensor weights = constants.matrix(matrix);
  return host(at::matmul(tensor_of(gradient), weights), {gradient.shape()[0], weights.size(1)});
}

// Products, scaled scores, masked scores, map, edited map, and as many gradients in flight.
int64_t layer_gradient_bytes(const ModelSpec& spec, int64_t n) {
  constexpr int64_t maps = 9, widths = 12;
  const int64_t hidden = std::max<int64_t>(spec.d_mlp, int64_t{spec.experts.d_mlp} * spec.experts.n_used);
  return static_cast<int64_t>(sizeof(float)) *
         (maps * spec.n_head * n * n + widths * n * (spec.d_model + int64_t{spec.n_head} * spec.d_head) +
          6 * n * hidden);
}

}  // namespace saccade
