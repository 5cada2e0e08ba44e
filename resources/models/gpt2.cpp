#include "resources/models/gpt2.h"

#include <torch/torch.h>

#include <cmath>
#include <utility>

#include "resources/models/torch_bridge.h"

namespace saccade {
namespace {

using torch::Tensor;

constexpr double layer_norm_epsilon = 1e-5;
constexpr double matrix_deviation = 0.04, table_deviation = 0.05;
// Wavelengths of 6 to 400 positions: what 256 positions can tell apart.
constexpr double longest_wave = 64;
constexpr double weight_decay = 0.01;
constexpr double largest_gradient_norm = 1.0;

struct Layer {
  Tensor norm1_weight, norm1_bias, qkv_weight, qkv_bias, o_weight, o_bias;
  Tensor norm2_weight, norm2_bias, mlp_in_weight, mlp_in_bias, mlp_out_weight, mlp_out_bias;
};

// y[i, 2j] = sin(i / longest_wave^(2j/d)), y[i, 2j+1] = cos(same); Vaswani et al. 2017, section 3.5.
Tensor sinusoids(int64_t positions, int64_t d_model) {
  auto table = torch::empty({positions, d_model});
  auto at = table.accessor<float, 2>();
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t j = 0; j < d_model; ++j) {
      const double rate =
          std::pow(longest_wave, -static_cast<double>(j - j % 2) / static_cast<double>(d_model));
      const double angle = static_cast<double>(i) * rate;
      at[i][j] = static_cast<float>(j % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

}  // namespace

struct Gpt2::State {
  Gpt2Shape shape;
  Tensor embed, positions, final_norm_weight, final_norm_bias;
  std::vector<Layer> layers;
  NamedWeights named;
  std::unique_ptr<torch::optim::AdamW> optimizer;

  Tensor own(const std::string& name, Tensor values) {
    values.set_requires_grad(true);
    named.emplace_back(name, values);
    return values;
  }

  void make_layer(int32_t index) {
    const int64_t d = shape.d_model, m = shape.d_mlp;
    const double deviation = matrix_deviation, residual = deviation / std::sqrt(2.0 * shape.n_layer);
    const std::string at = "transformer.h." + std::to_string(index) + ".";
    Layer layer;
    layer.norm1_weight = own(at + "ln_1.weight", torch::ones({d}));
    layer.norm1_bias = own(at + "ln_1.bias", torch::zeros({d}));
    layer.qkv_weight = own(at + "attn.c_attn.weight", torch::randn({d, 3 * d}) * deviation);
    layer.qkv_bias = own(at + "attn.c_attn.bias", torch::zeros({3 * d}));
    layer.o_weight = own(at + "attn.c_proj.weight", torch::randn({d, d}) * residual);
    layer.o_bias = own(at + "attn.c_proj.bias", torch::zeros({d}));
    layer.norm2_weight = own(at + "ln_2.weight", torch::ones({d}));
    layer.norm2_bias = own(at + "ln_2.bias", torch::zeros({d}));
    layer.mlp_in_weight = own(at + "mlp.c_fc.weight", torch::randn({d, m}) * deviation);
    layer.mlp_in_bias = own(at + "mlp.c_fc.bias", torch::zeros({m}));
    layer.mlp_out_weight = own(at + "mlp.c_proj.weight", torch::randn({m, d}) * residual);
    layer.mlp_out_bias = own(at + "mlp.c_proj.bias", torch::zeros({d}));
    layers.push_back(layer);
  }

  void make_weights() {
    const int64_t d = shape.d_model;
    embed = own("transformer.wte.weight", torch::randn({shape.n_vocab, d}) * table_deviation);
    positions = own("transformer.wpe.weight", sinusoids(shape.n_context, d) * table_deviation);
    for (int32_t l = 0; l < shape.n_layer; ++l) make_layer(l);
    final_norm_weight = own("transformer.ln_f.weight", torch::ones({d}));
    final_norm_bias = own("transformer.ln_f.bias", torch::zeros({d}));
  }

  // x [text, position, d_model] -> the same; `kept` [head] multiplies z; `pattern` receives [text, head,
  // query, key].
  Tensor attend(const Layer& layer, const Tensor& x, const Tensor& mask, const Tensor& kept,
                Tensor* pattern) const {
    const int64_t b = x.size(0), n = x.size(1), h = shape.n_head, dh = shape.d_head(), d = shape.d_model;
    const auto normed = torch::layer_norm(x, {d}, layer.norm1_weight, layer.norm1_bias, layer_norm_epsilon);
    const auto qkv = torch::addmm(layer.qkv_bias, normed.view({b * n, d}), layer.qkv_weight);
    const auto split = qkv.view({b, n, 3, h, dh}).permute({2, 0, 3, 1, 4}).reshape({3, b * h, n, dh});
    const auto q = split[0] / std::sqrt(static_cast<double>(dh));
    const auto p = torch::softmax(torch::bmm(q, split[1].transpose(1, 2)) + mask, -1);
    if (pattern != nullptr) *pattern = p.view({b, h, n, n});
    auto z = torch::bmm(p, split[2]).view({b, h, n, dh});
    if (kept.defined()) z = z * kept.view({1, h, 1, 1});
    const auto joined = z.transpose(1, 2).reshape({b * n, d});
    return torch::addmm(layer.o_bias, joined, layer.o_weight).view({b, n, d});
  }

  Tensor mlp(const Layer& layer, const Tensor& x) const {
    const int64_t d = shape.d_model;
    const auto normed = torch::layer_norm(x, {d}, layer.norm2_weight, layer.norm2_bias, layer_norm_epsilon);
    const auto in = torch::addmm(layer.mlp_in_bias, normed.view({-1, d}), layer.mlp_in_weight);
    return torch::addmm(layer.mlp_out_bias, torch::gelu(in, "tanh"), layer.mlp_out_weight).view(x.sizes());
  }

  // ids [text, position] -> logits [text, position, vocabulary].
  Tensor forward(const Tensor& ids, const Tensor& kept, std::vector<Tensor>* patterns) const {
    const int64_t b = ids.size(0), n = ids.size(1), d = shape.d_model;
    const auto mask = torch::full({n, n}, -1e9F).triu(1);
    auto x = torch::embedding(embed, ids) + positions.slice(0, 0, n);
    for (int32_t l = 0; l < shape.n_layer; ++l) {
      Tensor pattern;
      x = x + attend(layers[l], x, mask, kept.defined() ? kept[l] : Tensor(),
                     patterns != nullptr ? &pattern : nullptr);
      x = x + mlp(layers[l], x);
      if (patterns != nullptr) patterns->push_back(pattern);
    }
    x = torch::layer_norm(x, {d}, final_norm_weight, final_norm_bias, layer_norm_epsilon);
    return torch::mm(x.view({b * n, d}), embed.t()).view({b, n, shape.n_vocab});
  }
};

Gpt2::Gpt2(std::unique_ptr<State> state) : state_(std::move(state)) {}
Gpt2::Gpt2(Gpt2&&) noexcept = default;
Gpt2& Gpt2::operator=(Gpt2&&) noexcept = default;
Gpt2::~Gpt2() = default;

const Gpt2Shape& Gpt2::shape() const { return state_->shape; }

Result<Gpt2> Gpt2::create(const Gpt2Shape& shape, uint64_t seed) {
  return guarded("making the model", [&] {
    torch::set_num_threads(1);  // sums in one order: the same weights each time
    torch::manual_seed(seed);
    auto state = std::make_unique<State>();
    state->shape = shape;
    state->make_weights();
    state->optimizer = adam_w(state->named, weight_decay);
    return Gpt2(std::move(state));
  });
}

Result<double> Gpt2::train_step(const TokenBatch& batch, double learning_rate) {
  return guarded("a training step", [&] {
    const auto ids = to_tensor(batch);
    const auto logits = state_->forward(ids, {}, nullptr);
    const auto predicted = logits.slice(1, 0, batch.length - 1).reshape({-1, state_->shape.n_vocab});
    const auto weight = torch::tensor(batch.weight).view(ids.sizes()).slice(1, 1).reshape({-1});
    const auto log_prob = torch::log_softmax(predicted, -1).gather(1, ids.slice(1, 1).reshape({-1, 1}));
    const auto loss = -(log_prob.squeeze(1) * weight).sum() / weight.sum();
    descend(*state_->optimizer, state_->named, loss, learning_rate, largest_gradient_norm);
    return loss.item<double>();
  });
}

Result<Observation> Gpt2::observe(const TokenBatch& batch, const std::vector<Head>& zeroed) const {
  return guarded("a measurement", [&] {
    const torch::NoGradGuard no_grad;
    const auto ids = to_tensor(batch);
    auto kept = torch::ones({state_->shape.n_layer, state_->shape.n_head});
    for (const auto& head : zeroed) kept[head.layer][head.head] = 0.0F;
    std::vector<Tensor> patterns;
    const auto log_prob = torch::log_softmax(state_->forward(ids, kept, &patterns), -1);
    const auto next = log_prob.slice(1, 0, batch.length - 1).gather(2, ids.slice(1, 1).unsqueeze(2));
    return Observation{to_vector(next), to_vector(log_prob.select(1, batch.length - 1)),
                       to_vector(torch::stack(patterns))};
  });
}

Result<std::vector<NamedTensor>> Gpt2::weights() const {
  return guarded("reading the weights", [&] { return to_named(state_->named); });
}

}  // namespace saccade
