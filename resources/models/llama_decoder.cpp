#include "resources/models/llama_decoder.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

using torch::Tensor;

constexpr double table_deviation = 0.1;
// What heads and MLPs write begins no larger than the tokens' own vectors, so that later layers see both.
constexpr double copied = 0.1, mlp_write = 0.05;
constexpr double apart = 0.2;                     // of noise that tells the heads of a group apart
constexpr double match = 0.7, first_match = 0.2;  // scale of W_q and W_k; in layer 0 positions come first
constexpr int32_t n_looking_back = 6, fastest_pairs = 5;  // of the first layer; see looking_back()
constexpr double bias_size = 5.0;

// Angle of the pair (j, j + d/2) at position i: i theta^(-2j/d).
LlamaRotation rotation(int64_t positions, int64_t d_head, double theta) {
  const auto j = torch::arange(d_head / 2, torch::kFloat64);
  const auto rate = torch::pow(theta, -2.0 * j / static_cast<double>(d_head));
  const auto half = torch::arange(positions, torch::kFloat64).unsqueeze(1) * rate;
  const auto angle = torch::cat({half, half}, 1).unsqueeze(1);
  return {angle.cos().to(torch::kFloat32), angle.sin().to(torch::kFloat32)};
}

// Biases with which a head begins by looking some tokens back, whatever the tokens: at distance t its scores
// are sum_j size^2 cos(rate_j (t - back)) over the fastest pairs. All heads of a KV head share k; their q
// differ. q: [head * d_head]; k: [kv_head * d_head]. back of 0: a head without.
Tensor looking_back(const LlamaShape& shape, bool query) {
  const int32_t heads = query ? shape.n_head : shape.n_kv_head, half = shape.d_head / 2;
  auto bias = torch::zeros({heads, shape.d_head});
  auto at = bias.accessor<float, 2>();
  for (int32_t head = 0; head < heads; ++head) {
    const int32_t back = query ? (head < n_looking_back ? 1 + head / 2 : 0) : 0;
    if (query && back == 0) continue;
    for (int32_t j = 0; j < std::min(fastest_pairs, half); ++j) {
      const double rate = std::pow(shape.rope_theta, -2.0 * j / shape.d_head);
      at[head][j] = static_cast<float>(bias_size * std::cos(-rate * back));
      at[head][j + half] = static_cast<float>(bias_size * std::sin(-rate * back));
    }
  }
  return bias.flatten();
}

// x [text, position, head, d_head].
Tensor rotate(const Tensor& x, const LlamaRotation& by) {
  const auto halves = x.chunk(2, -1);
  return x * by.cosine + torch::cat({-halves[1], halves[0]}, -1) * by.sine;
}

Tensor own_weight(NamedWeights& named, const std::string& name, const Tensor& initial) {
  Tensor values = initial.detach().clone(at::MemoryFormat::Contiguous);
  values.set_requires_grad(true);
  named.emplace_back(name, values);
  return values;
}

}  // namespace

int64_t LlamaShape::parameters() const {
  const int64_t d = d_model, q = int64_t{n_head} * d_head, kv = int64_t{n_kv_head} * d_head, m = d_mlp;
  return n_vocab * d + d + n_layer * (2 * d * q + 2 * d * kv + q + 2 * kv + 3 * d * m + 3 * d);
}

LlamaDecoder::LlamaDecoder(const LlamaShape& shape, const std::string& prefix, NamedWeights& named)
    : shape_(shape) {
  embed_ = own_weight(named, prefix + "model.embed_tokens.weight",
                      torch::randn({shape.n_vocab, shape.d_model}) * table_deviation);
  for (int32_t l = 0; l < shape.n_layer; ++l) make_layer(l, prefix, named);
  final_norm_ = own_weight(named, prefix + "model.norm.weight", torch::ones({shape.d_model}));
  positions_ = rotation(shape.n_context, shape.d_head, shape.rope_theta);
}

void LlamaDecoder::make_layer(int32_t index, const std::string& prefix, NamedWeights& named) {
  const int64_t d = shape_.d_model, m = shape_.d_mlp;
  const int64_t q = int64_t{shape_.n_head} * shape_.d_head, kv = int64_t{shape_.n_kv_head} * shape_.d_head;
  const bool first = index == 0;
  const auto matrix = [](int64_t out, int64_t in) {
    return torch::randn({out, in}) / std::sqrt(static_cast<double>(in));
  };
  // Heads begin by copying what they look at (W_o = W_v^T), and by looking at what resembles them (W_q =
  // W_k).
  const auto for_heads = [&](const Tensor& kv_heads) {
    return kv_heads.view({shape_.n_kv_head, 1, shape_.d_head, d})
        .expand({shape_.n_kv_head, shape_.n_head / shape_.n_kv_head, shape_.d_head, d})
        .reshape({q, d});
  };
  const auto keys = matrix(kv, d) * (first ? first_match : match), values = matrix(kv, d);
  const auto own = [&](const std::string& name, const Tensor& initial) {
    return own_weight(named, name, initial);
  };
  const std::string at = prefix + "model.layers." + std::to_string(index) + ".";
  Layer layer;
  layer.norm1 = own(at + "input_layernorm.weight", torch::ones({d}));
  layer.q = own(at + "self_attn.q_proj.weight", for_heads(keys) + matrix(q, d) * apart);
  layer.k = own(at + "self_attn.k_proj.weight", keys);
  layer.v = own(at + "self_attn.v_proj.weight", values);
  layer.o = own(at + "self_attn.o_proj.weight", (for_heads(values) + matrix(q, d) * apart).t() * copied);
  const auto bias = [&](const char* name, const Tensor& initial) {
    return own(at + "self_attn." + name + "_proj.bias", initial);
  };
  layer.q_bias = bias("q", first ? looking_back(shape_, true) : torch::zeros({q}));
  layer.k_bias = bias("k", first ? looking_back(shape_, false) : torch::zeros({kv}));
  layer.v_bias = bias("v", torch::zeros({kv}));
  layer.o_bias = bias("o", torch::zeros({d}));
  layer.norm2 = own(at + "post_attention_layernorm.weight", torch::ones({d}));
  layer.gate = own(at + "mlp.gate_proj.weight", matrix(m, d));
  layer.up = own(at + "mlp.up_proj.weight", matrix(m, d));
  layer.down = own(at + "mlp.down_proj.weight", matrix(d, m) * mlp_write);
  layers_.push_back(layer);
}

Tensor LlamaDecoder::norm(const Tensor& x, const Tensor& weight) const {
  return x * torch::rsqrt(x.square().mean(-1, true) + shape_.norm_epsilon) * weight;
}

// Plain products of one part (a text, or short ones side by side) and one KV head at a time, its query
// heads on top of each other: LibTorch's batched product is slow on a CPU. q [position, head, d_head], k
// and v [position, kv_head, d_head] -> [position, head * d_head].
Tensor LlamaDecoder::attend_part(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                                 std::vector<Tensor>* patterns) const {
  const int64_t n = q.size(0), group = shape_.n_head / shape_.n_kv_head, dh = shape_.d_head;
  const auto stacked = (q / std::sqrt(static_cast<double>(dh))).transpose(0, 1);  // [head, position, d_head]
  std::vector<Tensor> z;
  for (int64_t kv = 0; kv < shape_.n_kv_head; ++kv) {
    const auto queries = stacked.slice(0, kv * group, (kv + 1) * group).reshape({group * n, dh});
    const auto scores = torch::mm(queries, k.select(1, kv).t()).view({group, n, n}) + mask;
    const auto p = torch::softmax(scores, -1);
    if (patterns != nullptr) patterns->push_back(p);
    z.push_back(torch::mm(p.view({group * n, n}), v.select(1, kv)).view({group, n, dh}));
  }
  return torch::cat(z, 0).transpose(0, 1).reshape({n, shape_.n_head * dh});
}

// x [text, position, d_model] -> the same; `kept` [head] multiplies z; `pattern` receives [text, head,
// query, key].
Tensor LlamaDecoder::attend(const Layer& layer, const Tensor& x, const Tensor& mask,
                            const LlamaRotation& here, const Tensor& kept, Tensor* pattern) const {
  const int64_t b = x.size(0), n = x.size(1), dh = shape_.d_head, all = b * n;
  const auto normed = norm(x, layer.norm1).view({all, shape_.d_model});
  const auto q =
      rotate(torch::addmm(layer.q_bias, normed, layer.q.t()).view({b, n, shape_.n_head, dh}), here);
  const auto k =
      rotate(torch::addmm(layer.k_bias, normed, layer.k.t()).view({b, n, shape_.n_kv_head, dh}), here);
  const auto v = torch::addmm(layer.v_bias, normed, layer.v.t());
  const int64_t part = mask.size(0), parts = all / part;
  const auto q_parts = q.view({parts, part, shape_.n_head, dh}),
             k_parts = k.view({parts, part, shape_.n_kv_head, dh}),
             v_parts = v.view({parts, part, shape_.n_kv_head, dh});
  std::vector<Tensor> z, patterns;
  for (int64_t i = 0; i < parts; ++i)
    z.push_back(
        attend_part(q_parts[i], k_parts[i], v_parts[i], mask, pattern != nullptr ? &patterns : nullptr));
  if (pattern != nullptr) *pattern = torch::cat(patterns, 0).view({b, shape_.n_head, n, n});
  auto joined = torch::cat(z, 0);
  if (kept.defined())
    joined = (joined.view({all, shape_.n_head, dh}) * kept.view({1, shape_.n_head, 1})).view(joined.sizes());
  return torch::addmm(layer.o_bias, joined, layer.o.t()).view(x.sizes());
}

// W_down (silu(W_gate x) * W_up x).
Tensor LlamaDecoder::mlp(const Layer& layer, const Tensor& x) const {
  const auto normed = norm(x, layer.norm2).view({-1, shape_.d_model});
  const auto in = torch::silu(torch::mm(normed, layer.gate.t())) * torch::mm(normed, layer.up.t());
  return torch::mm(in, layer.down.t()).view(x.sizes());
}

Tensor LlamaDecoder::forward(Tensor x, const Tensor& mask, const LlamaRotation& here, const Tensor& kept,
                             std::vector<Tensor>* patterns) const {
  for (int32_t l = 0; l < shape_.n_layer; ++l) {
    Tensor pattern;
    x = x + attend(layers_[l], x, mask, here, kept.defined() ? kept[l] : Tensor(),
                   patterns != nullptr ? &pattern : nullptr);
    x = x + mlp(layers_[l], x);
    if (patterns != nullptr) patterns->push_back(pattern);
  }
  return norm(x, final_norm_).view({-1, shape_.d_model});
}

Tensor LlamaDecoder::write_of(const Head& head) const {
  const int64_t dh = shape_.d_head;
  return layers_[head.layer].o.slice(1, head.head * dh, (head.head + 1) * dh);
}

LlamaDecoder::Group LlamaDecoder::group(int32_t layer, int32_t kv_head) const {
  const Layer& of = layers_[layer];
  const int64_t dh = shape_.d_head, size = shape_.n_head / shape_.n_kv_head * dh;
  return {of.q.slice(0, kv_head * size, (kv_head + 1) * size),
          of.k.slice(0, kv_head * dh, (kv_head + 1) * dh),
          of.q_bias.slice(0, kv_head * size, (kv_head + 1) * size),
          of.k_bias.slice(0, kv_head * dh, (kv_head + 1) * dh)};
}

}  // namespace saccade
