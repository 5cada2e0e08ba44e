#include "resources/models/llama.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "resources/models/llama_decoder.h"

namespace saccade {
namespace {

using torch::Tensor;

constexpr int64_t packed_length = 128;  // short texts share an attention of at most this many positions
constexpr double weight_decay = 0.01;
constexpr double largest_gradient_norm = 1.0;

}  // namespace

struct Llama::State {
  LlamaShape shape;
  NamedWeights named;
  std::unique_ptr<LlamaDecoder> decoder;
  std::unique_ptr<torch::optim::AdamW> optimizer;

  // 1, or 0 for the heads in `zeroed`: [layer, head].
  [[nodiscard]] Tensor kept_heads(const std::vector<Head>& zeroed) const {
    auto kept = torch::ones({shape.n_layer, shape.n_head});
    for (const auto& head : zeroed) kept[head.layer][head.head] = 0.0F;
    return kept;
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
    const LlamaRotation& all = decoder->positions();
    const LlamaRotation here{all.cosine.slice(0, 0, ids.size(1)), all.sine.slice(0, 0, ids.size(1))};
    return decoder->forward(torch::embedding(decoder->embed(), ids), mask, here, kept, patterns);
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
    state->decoder = std::make_unique<LlamaDecoder>(shape, "", state->named);
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
    const auto log_prob = torch::log_softmax(torch::mm(hidden, state_->decoder->embed().t()), -1);
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
    const auto log_prob = torch::log_softmax(torch::mm(hidden, state_->decoder->embed().t()), -1)
                              .view({ids.size(0), ids.size(1), state_->shape.n_vocab});
    const auto next = log_prob.slice(1, 0, batch.length - 1).gather(2, ids.slice(1, 1).unsqueeze(2));
    return Observation{to_vector(next), to_vector(log_prob.select(1, batch.length - 1)),
                       to_vector(torch::stack(patterns))};
  });
}

Result<void> Llama::fade(const std::vector<Head>& heads, double factor) {
  const auto done = guarded("fading heads", [&] {
    const torch::NoGradGuard no_grad;
    for (const auto& head : heads) state_->decoder->write_of(head).mul_(factor);
    return true;
  });
  if (!done.ok()) return done.error();
  return {};
}

Result<void> Llama::redraw(int32_t layer, int32_t kv_head) {
  const auto done = guarded("drawing heads anew", [&] {
    const torch::NoGradGuard no_grad;
    const LlamaDecoder::Group of = state_->decoder->group(layer, kv_head);
    const double deviation = 1.0 / std::sqrt(static_cast<double>(state_->shape.d_model));
    of.q.normal_(0.0, deviation);
    of.k.normal_(0.0, deviation);
    of.q_bias.zero_();
    of.k_bias.zero_();
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
