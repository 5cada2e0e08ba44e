#include "resources/models/llama.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "resources/models/torch_bridge.h"

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
constexpr int64_t packed_length = 128;  // short texts share an attention of at most this many positions
constexpr double weight_decay = 0.01;
constexpr double largest_gradient_norm = 1.0;

struct Layer {
  Tensor norm1, q, k, v, o, norm2, gate, up, down;  // matrices are [out, in]
  Tensor q_bias, k_bias, v_bias, o_bias;
};

struct Rotation {
  Tensor cosine, sine;  // [position, 1, d_head]
};

// Angle of the pair (j, j + d/2) at position i: i theta^(-2j/d).
Rotation rotation(int64_t positions, int64_t d_head, double theta) {
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
Tensor rotate(const Tensor& x, const Rotation& by) {
  const auto halves = x.chunk(2, -1);
  return x * by.cosine + torch::cat({-halves[1], halves[0]}, -1) * by.sine;
}

}  // namespace

int64_t LlamaShape::parameters() const {
  const int64_t d = d_model, q = int64_t{n_head} * d_head, kv = int64_t{n_kv_head} * d_head, m = d_mlp;
  return n_vocab * d + d + n_layer * (2 * d * q + 2 * d * kv + q + 2 * kv + 3 * d * m + 3 * d);
}

struct Llama::State {
  LlamaShape shape;
  Tensor embed, final_norm;
  Rotation positions;
  std::vector<Layer> layers;
  NamedWeights named;
  std::unique_ptr<torch::optim::AdamW> optimizer;

  Tensor own(const std::string& name, const Tensor& initial) {
    Tensor values = initial.detach().clone(at::MemoryFormat::Contiguous);
    values.set_requires_grad(true);
    named.emplace_back(name, values);
    return values;
  }

  void make_layer(int32_t index) {
    const int64_t d = shape.d_model, m = shape.d_mlp;
    const int64_t q = int64_t{shape.n_head} * shape.d_head, kv = int64_t{shape.n_kv_head} * shape.d_head;
    const bool first = index == 0;
    const auto matrix = [](int64_t out, int64_t in) {
      return torch::randn({out, in}) / std::sqrt(static_cast<double>(in));
    };
    // Heads begin by copying what they look at (W_o = W_v^T), and by looking at what resembles them (W_q =
    // W_k).
    const auto for_heads = [&](const Tensor& kv_heads) {
      return kv_heads.view({shape.n_kv_head, 1, shape.d_head, d})
          .expand({shape.n_kv_head, shape.n_head / shape.n_kv_head, shape.d_head, d})
          .reshape({q, d});
    };
    const auto keys = matrix(kv, d) * (first ? first_match : match), values = matrix(kv, d);
    const std::string at = "model.layers." + std::to_string(index) + ".";
    Layer layer;
    layer.norm1 = own(at + "input_layernorm.weight", torch::ones({d}));
    layer.q = own(at + "self_attn.q_proj.weight", for_heads(keys) + matrix(q, d) * apart);
    layer.k = own(at + "self_attn.k_proj.weight", keys);
    layer.v = own(at + "self_attn.v_proj.weight", values);
    layer.o = own(at + "self_attn.o_proj.weight", (for_heads(values) + matrix(q, d) * apart).t() * copied);
    const auto bias = [&](const char* name, const Tensor& initial) {
      return own(at + "self_attn." + name + "_proj.bias", initial);
    };
    layer.q_bias = bias("q", first ? looking_back(shape, true) : torch::zeros({q}));
    layer.k_bias = bias("k", first ? looking_back(shape, false) : torch::zeros({kv}));
    layer.v_bias = bias("v", torch::zeros({kv}));
    layer.o_bias = bias("o", torch::zeros({d}));
    layer.norm2 = own(at + "post_attention_layernorm.weight", torch::ones({d}));
    layer.gate = own(at + "mlp.gate_proj.weight", matrix(m, d));
    layer.up = own(at + "mlp.up_proj.weight", matrix(m, d));
    layer.down = own(at + "mlp.down_proj.weight", matrix(d, m) * mlp_write);
    layers.push_back(layer);
  }

  // 1, or 0 for the heads in `zeroed`: [layer, head].
  [[nodiscard]] Tensor kept_heads(const std::vector<Head>& zeroed) const {
    auto kept = torch::ones({shape.n_layer, shape.n_head});
    for (const auto& head : zeroed) kept[head.layer][head.head] = 0.0F;
    return kept;
  }

  void make_weights() {
    embed = own("model.embed_tokens.weight", torch::randn({shape.n_vocab, shape.d_model}) * table_deviation);
    for (int32_t l = 0; l < shape.n_layer; ++l) make_layer(l);
    final_norm = own("model.norm.weight", torch::ones({shape.d_model}));
    positions = rotation(shape.n_context, shape.d_head, shape.rope_theta);
  }

  [[nodiscard]] Tensor norm(const Tensor& x, const Tensor& weight) const {
    return x * torch::rsqrt(x.square().mean(-1, true) + shape.norm_epsilon) * weight;
  }

  // Plain products of one part (a text, or short ones side by side) and one KV head at a time, its query
  // heads on top of each other: LibTorch's batched product is slow on a CPU. q [position, head, d_head], k
  // and v [position, kv_head, d_head] -> [position, head * d_head].
  Tensor attend_part(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                     std::vector<Tensor>* patterns) const {
    const int64_t n = q.size(0), group = shape.n_head / shape.n_kv_head, dh = shape.d_head;
    const auto stacked =
        (q / std::sqrt(static_cast<double>(dh))).transpose(0, 1);  // [head, position, d_head]
    std::vector<Tensor> z;
    for (int64_t kv = 0; kv < shape.n_kv_head; ++kv) {
      const auto queries = stacked.slice(0, kv * group, (kv + 1) * group).reshape({group * n, dh});
      const auto scores = torch::mm(queries, k.select(1, kv).t()).view({group, n, n}) + mask;
      const auto p = torch::softmax(scores, -1);
      if (patterns != nullptr) patterns->push_back(p);
      z.push_back(torch::mm(p.view({group * n, n}), v.select(1, kv)).view({group, n, dh}));
    }
    return torch::cat(z, 0).transpose(0, 1).reshape({n, shape.n_head * dh});
  }

  // x [text, position, d_model] -> the same; `kept` [head] multiplies z; `pattern` receives [text, head,
  // query, key].
  Tensor attend(const Layer& layer, const Tensor& x, const Tensor& mask, const Tensor& kept,
                Tensor* pattern) const {
    const int64_t b = x.size(0), n = x.size(1), dh = shape.d_head, all = b * n;
    const Rotation here{positions.cosine.slice(0, 0, n), positions.sine.slice(0, 0, n)};
    const auto normed = norm(x, layer.norm1).view({all, shape.d_model});
    const auto q =
        rotate(torch::addmm(layer.q_bias, normed, layer.q.t()).view({b, n, shape.n_head, dh}), here);
    const auto k =
        rotate(torch::addmm(layer.k_bias, normed, layer.k.t()).view({b, n, shape.n_kv_head, dh}), here);
    const auto v = torch::addmm(layer.v_bias, normed, layer.v.t());
    const int64_t part = mask.size(0), parts = all / part;
    const auto q_parts = q.view({parts, part, shape.n_head, dh}),
               k_parts = k.view({parts, part, shape.n_kv_head, dh}),
               v_parts = v.view({parts, part, shape.n_kv_head, dh});
    std::vector<Tensor> z, patterns;
    for (int64_t i = 0; i < parts; ++i)
      z.push_back(
          attend_part(q_parts[i], k_parts[i], v_parts[i], mask, pattern != nullptr ? &patterns : nullptr));
    if (pattern != nullptr) *pattern = torch::cat(patterns, 0).view({b, shape.n_head, n, n});
    auto joined = torch::cat(z, 0);
    if (kept.defined())
      joined = (joined.view({all, shape.n_head, dh}) * kept.view({1, shape.n_head, 1})).view(joined.sizes());
    return torch::addmm(layer.o_bias, joined, layer.o.t()).view(x.sizes());
  }

  // W_down (silu(W_gate x) * W_up x).
  [[nodiscard]] Tensor mlp(const Layer& layer, const Tensor& x) const {
    const auto normed = norm(x, layer.norm2).view({-1, shape.d_model});
    const auto in = torch::silu(torch::mm(normed, layer.gate.t())) * torch::mm(normed, layer.up.t());
    return torch::mm(in, layer.down.t()).view(x.sizes());
  }

  // Causal, and between the texts of a part: [position of the part, same].
  static Tensor mask_of(int64_t texts, int64_t length, int64_t longest) {
    int64_t packed = std::max<int64_t>(1, longest / length);
    while (texts % packed != 0) --packed;
    const auto text = torch::arange(packed * length).floor_divide(length);
    const auto other = text.unsqueeze(0).ne(text.unsqueeze(1)).to(torch::kFloat32) * -1e9F;
    return other + torch::full({packed * length, packed * length}, -1e9F).triu(1);
  }

  // ids [text, position] -> the final norm's output [text * position, d_model].
  Tensor forward(const Tensor& ids, const Tensor& kept, std::vector<Tensor>* patterns) const {
    const auto mask = mask_of(ids.size(0), ids.size(1), patterns != nullptr ? 1 : packed_length);
    auto x = torch::embedding(embed, ids);
    for (int32_t l = 0; l < shape.n_layer; ++l) {
      Tensor pattern;
      x = x + attend(layers[l], x, mask, kept.defined() ? kept[l] : Tensor(),
                     patterns != nullptr ? &pattern : nullptr);
      x = x + mlp(layers[l], x);
      if (patterns != nullptr) patterns->push_back(pattern);
    }
    return norm(x, final_norm).view({-1, shape.d_model});
  }
};

namespace {

constexpr double smallest_weight = 1e-30;  // below it a head is not guided

// Mean over the guide's heads and the rows with a source of -log(weight on it). `patterns` of forward().
Tensor guide_loss(const TokenBatch& batch, const Guide& guide, const std::vector<Tensor>& patterns) {
  std::vector<int64_t> texts, rows, keys;
  for (size_t i = 0; i < batch.source.size(); ++i) {
    if (batch.source[i] < 0) continue;
    texts.push_back(static_cast<int64_t>(i) / batch.length);
    rows.push_back(static_cast<int64_t>(i) % batch.length);
    keys.push_back(batch.source[i]);
  }
  if (rows.empty()) return torch::zeros({});
  const auto text = torch::tensor(texts), row = torch::tensor(rows), key = torch::tensor(keys);
  auto loss = torch::zeros({});
  for (const auto& head : guide.heads) {
    const auto weight = patterns[head.layer].select(1, head.head).index({text, row, key});
    loss = loss - torch::log(weight + smallest_weight).mean() / static_cast<double>(guide.heads.size());
  }
  return loss;
}

}  // namespace

Llama::Llama(std::unique_ptr<State> state) : state_(std::move(state)) {}
Llama::Llama(Llama&&) noexcept = default;
Llama& Llama::operator=(Llama&&) noexcept = default;
Llama::~Llama() = default;

const LlamaShape& Llama::shape() const { return state_->shape; }

Result<Llama> Llama::create(const LlamaShape& shape, uint64_t seed) {
  return guarded("making the model", [&] {
    torch::set_num_threads(1);  // sums in one order: the same weights each time
    torch::manual_seed(seed);
    auto state = std::make_unique<State>();
    state->shape = shape;
    state->make_weights();
    state->optimizer = adam_w(state->named, weight_decay);
    return Llama(std::move(state));
  });
}

Result<double> Llama::train_step(const TokenBatch& batch, double learning_rate,
                                 const std::vector<Head>& zeroed, const Guide& guide) {
  return guarded("a training step", [&] {
    std::vector<int64_t> rows, next;
    std::vector<float> weights;
    for (int64_t i = 0; i + 1 < static_cast<int64_t>(batch.ids.size()); ++i) {
      if ((i + 1) % batch.length == 0 || batch.weight[static_cast<size_t>(i + 1)] == 0.0F) continue;
      rows.push_back(i);
      next.push_back(batch.ids[static_cast<size_t>(i + 1)]);
      weights.push_back(batch.weight[static_cast<size_t>(i + 1)]);
    }
    const bool guided = guide.weight > 0.0;
    std::vector<Tensor> patterns;
    const auto kept = zeroed.empty() ? Tensor() : state_->kept_heads(zeroed);
    const auto hidden = state_->forward(to_tensor(batch), kept, guided ? &patterns : nullptr)
                            .index_select(0, torch::tensor(rows));
    const auto log_prob = torch::log_softmax(torch::mm(hidden, state_->embed.t()), -1);
    const auto weight = torch::tensor(weights);
    const auto right = log_prob.gather(1, torch::tensor(next).unsqueeze(1)).squeeze(1);
    const auto loss = -(right * weight).sum() / weight.sum();
    const auto total = guided ? loss + guide.weight * guide_loss(batch, guide, patterns) : loss;
    descend(*state_->optimizer, state_->named, total, learning_rate, largest_gradient_norm);
    return loss.item<double>();
  });
}

Result<Observation> Llama::observe(const TokenBatch& batch, const std::vector<Head>& zeroed) const {
  return guarded("a measurement", [&] {
    const torch::NoGradGuard no_grad;
    const auto ids = to_tensor(batch);
    std::vector<Tensor> patterns;
    const auto hidden = state_->forward(ids, state_->kept_heads(zeroed), &patterns);
    const auto log_prob = torch::log_softmax(torch::mm(hidden, state_->embed.t()), -1)
                              .view({ids.size(0), ids.size(1), state_->shape.n_vocab});
    const auto next = log_prob.slice(1, 0, batch.length - 1).gather(2, ids.slice(1, 1).unsqueeze(2));
    return Observation{to_vector(next), to_vector(log_prob.select(1, batch.length - 1)),
                       to_vector(torch::stack(patterns))};
  });
}

Result<void> Llama::fade(const std::vector<Head>& heads, double factor) {
  const auto done = guarded("fading heads", [&] {
    const torch::NoGradGuard no_grad;
    const int64_t dh = state_->shape.d_head;
    for (const auto& head : heads)
      state_->layers[head.layer].o.slice(1, head.head * dh, (head.head + 1) * dh).mul_(factor);
    return true;
  });
  if (!done.ok()) return done.error();
  return {};
}

Result<void> Llama::redraw(int32_t layer, int32_t kv_head) {
  const auto done = guarded("drawing heads anew", [&] {
    const torch::NoGradGuard no_grad;
    const Layer& of = state_->layers[layer];
    const int64_t dh = state_->shape.d_head, group = state_->shape.n_head / state_->shape.n_kv_head * dh;
    const double deviation = 1.0 / std::sqrt(static_cast<double>(state_->shape.d_model));
    of.q.slice(0, kv_head * group, (kv_head + 1) * group).normal_(0.0, deviation);
    of.k.slice(0, kv_head * dh, (kv_head + 1) * dh).normal_(0.0, deviation);
    of.q_bias.slice(0, kv_head * group, (kv_head + 1) * group).zero_();
    of.k_bias.slice(0, kv_head * dh, (kv_head + 1) * dh).zero_();
    return true;
  });
  if (!done.ok()) return done.error();
  return {};
}

Result<void> Llama::round_to_bfloat16() {
  const auto done = guarded("rounding the weights", [&] {
    const torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : state_->named) tensor.copy_(tensor.to(torch::kBFloat16).to(torch::kFloat32));
    return true;
  });
  if (!done.ok()) return done.error();
  return {};
}

Result<void> Llama::restart_optimizer() {
  const auto done = guarded("making the optimizer", [&] {
    state_->optimizer = adam_w(state_->named, weight_decay);
    return true;
  });
  if (!done.ok()) return done.error();
  return {};
}

Result<std::vector<NamedTensor>> Llama::weights() const {
  return guarded("reading the weights", [&] { return to_named(state_->named); });
}

}  // namespace saccade
