#include "resources/models/shapes_vlm.h"

#include <torch/torch.h>

#include <cmath>
#include <utility>

#include "resources/models/llama_decoder.h"
#include "resources/models/picture_tower.h"

namespace saccade {
namespace {

using torch::Tensor;

constexpr double weight_decay = 0.01, largest_gradient_norm = 1.0;
constexpr double naming_while_talking = 0.2;  // what naming counts in the loss of both
constexpr double naming_scale = 3.0;          // of the logits that name

Tensor pixels_of(const PictureBatch& batch) {
  return torch::tensor(batch.pixels).view({batch.pictures, 3, batch.side, batch.side});
}
Tensor to_ids(const std::vector<int32_t>& values) {
  return torch::tensor(values, torch::kInt32).to(torch::kInt64);
}

struct Layout {
  Tensor mask;      // [position, same], added to scores
  Tensor position;  // of each row, as it would be alone
};

// The prefix, then slots that see it and themselves.
Layout layout_of(int64_t prefix, const std::vector<int32_t>& slots) {
  std::vector<int64_t> slot(static_cast<size_t>(prefix), -1), position;
  for (int64_t i = 0; i < prefix; ++i) position.push_back(i);
  for (size_t s = 0; s < slots.size(); ++s)
    for (int32_t i = 0; i < slots[s]; ++i) {
      slot.push_back(static_cast<int64_t>(s));
      position.push_back(prefix + i);
    }
  const auto of = torch::tensor(slot), at = torch::arange(of.size(0));
  const auto later = at.unsqueeze(0).gt(at.unsqueeze(1));
  const auto other = of.unsqueeze(0).ne(of.unsqueeze(1)).logical_and(of.unsqueeze(0).ge(0));
  return {later.logical_or(other).to(torch::kFloat32) * -1e9F, torch::tensor(position)};
}

}  // namespace

int64_t VlmShape::parameters() const {
  const int64_t d = decoder.d_model;
  return tower.parameters() + tower.d_model * d + d + d * d + d + decoder.parameters();
}

struct ShapesVlm::State {
  VlmShape shape;
  NamedWeights named;
  std::unique_ptr<PictureTower> tower;
  std::unique_ptr<LlamaDecoder> decoder;
  Tensor in_weight, in_bias, out_weight, out_bias;
  size_t n_file = 0;  // of `named`; behind them what only the training needs
  Tensor nothing;     // [2, d_model]: the words for "no colour" and "no form"
  std::unique_ptr<torch::optim::AdamW> optimizer;

  Tensor own(const std::string& name, const Tensor& initial) {
    Tensor values = initial.detach().clone(at::MemoryFormat::Contiguous);
    values.set_requires_grad(true);
    named.emplace_back(name, values);
    return values;
  }

  void make_projector() {
    const int64_t in = shape.tower.d_model, d = shape.decoder.d_model;
    const auto matrix = [](int64_t rows, int64_t columns) {
      return torch::randn({rows, columns}) / std::sqrt(static_cast<double>(columns));
    };
    in_weight = own("multi_modal_projector.linear_1.weight", matrix(d, in));
    in_bias = own("multi_modal_projector.linear_1.bias", torch::zeros({d}));
    out_weight = own("multi_modal_projector.linear_2.weight", matrix(d, d));
    out_bias = own("multi_modal_projector.linear_2.bias", torch::zeros({d}));
  }

  // The tower's last layer without its final norm, then the projector: [picture, patch, d_model].
  [[nodiscard]] Tensor rows_of(const PictureBatch& pictures) const {
    const auto hidden = tower->forward(pixels_of(pictures));
    const auto inner = torch::gelu(torch::addmm(in_bias, hidden.view({-1, hidden.size(2)}), in_weight.t()));
    return torch::addmm(out_bias, inner, out_weight.t())
        .view({hidden.size(0), hidden.size(1), shape.decoder.d_model});
  }

  [[nodiscard]] Tensor naming_loss(const Tensor& rows, const PatchNames& names) const {
    const auto flat = rows.reshape({-1, rows.size(2)});
    const auto part = [&](const std::vector<int32_t>& words, int64_t which,
                          const std::vector<int32_t>& right) {
      const auto vectors = torch::cat(
          {decoder->embed().index_select(0, to_ids(words)), nothing.slice(0, which, which + 1)}, 0);
      return torch::nll_loss(torch::log_softmax(naming_scale * torch::mm(flat, vectors.t()), -1),
                             to_ids(right));
    };
    return part(shape.colour_ids, 0, names.colour) + part(shape.form_ids, 1, names.form);
  }

  // rows [picture, patch, d_model], ids [picture, text] -> the final norm's output [picture, position, d].
  [[nodiscard]] Tensor talk(const Tensor& rows, const Tensor& ids, const Layout& layout) const {
    const int64_t b = rows.size(0), d = shape.decoder.d_model;
    const auto bos = decoder->embed()[shape.bos_id].view({1, 1, d}).expand({b, 1, d});
    const auto x = torch::cat({bos, rows, torch::embedding(decoder->embed(), ids)}, 1);
    const LlamaRotation here{decoder->positions().cosine.index_select(0, layout.position),
                             decoder->positions().sine.index_select(0, layout.position)};
    return decoder->forward(x, layout.mask, here).view(x.sizes());
  }

  [[nodiscard]] int64_t prefix() const { return 1 + shape.tower.n_patch(); }

  // Mean over the tokens with a weight of -log p; each is foretold by the token before it in its slot.
  [[nodiscard]] Tensor talking_loss(const Tensor& hidden, const TalkBatch& batch) const {
    int64_t length = 0;
    std::vector<bool> begins;
    for (const int32_t slot : batch.slots)
      for (int32_t i = 0; i < slot; ++i, ++length) begins.push_back(i == 0);
    std::vector<int64_t> rows, next;
    std::vector<float> weights;
    for (int64_t i = 0; i < static_cast<int64_t>(batch.ids.size()); ++i) {
      const auto at = static_cast<size_t>(i);
      if (batch.weight[at] == 0.0F || begins[static_cast<size_t>(i % length)]) continue;
      rows.push_back(i / length * (prefix() + length) + prefix() + i % length - 1);
      next.push_back(batch.ids[at]);
      weights.push_back(batch.weight[at]);
    }
    const auto from = hidden.reshape({-1, hidden.size(2)}).index_select(0, torch::tensor(rows));
    const auto log_prob = torch::log_softmax(torch::mm(from, decoder->embed().t()), -1);
    const auto right = log_prob.gather(1, torch::tensor(next).unsqueeze(1)).squeeze(1);
    const auto weight = torch::tensor(weights);
    return -(right * weight).sum() / weight.sum();
  }
};

ShapesVlm::ShapesVlm(std::unique_ptr<State> state) : state_(std::move(state)) {}
ShapesVlm::ShapesVlm(ShapesVlm&&) noexcept = default;
ShapesVlm& ShapesVlm::operator=(ShapesVlm&&) noexcept = default;
ShapesVlm::~ShapesVlm() = default;

const VlmShape& ShapesVlm::shape() const { return state_->shape; }

Result<ShapesVlm> ShapesVlm::create(const VlmShape& shape, uint64_t seed) {
  return guarded("making the model", [&] {
    torch::set_num_threads(1);  // sums in one order: the same weights each time
    torch::manual_seed(seed);
    auto state = std::make_unique<State>();
    state->shape = shape;
    state->tower = std::make_unique<PictureTower>(shape.tower, "vision_tower.vision_model.", state->named);
    state->make_projector();
    state->decoder = std::make_unique<LlamaDecoder>(shape.decoder, "language_model.", state->named);
    state->n_file = state->named.size();
    state->nothing = state->own("nothing", torch::randn({2, shape.decoder.d_model}) * 0.1);
    state->optimizer = adam_w(state->named, weight_decay);
    return ShapesVlm(std::move(state));
  });
}

Result<VlmLoss> ShapesVlm::train_naming(const PictureBatch& pictures, const PatchNames& names,
                                        double learning_rate) {
  return guarded("a training step", [&] {
    const auto loss = state_->naming_loss(state_->rows_of(pictures), names);
    descend(*state_->optimizer, state_->named, loss, learning_rate, largest_gradient_norm);
    return VlmLoss{loss.item<double>(), 0};
  });
}

Result<VlmLoss> ShapesVlm::train_talking(const TalkBatch& batch, double learning_rate) {
  return guarded("a training step", [&] {
    const auto rows = state_->rows_of(batch.pictures);
    const auto naming = state_->naming_loss(rows, batch.names);
    const auto ids = to_ids(batch.ids).view({batch.pictures.pictures, -1});
    const auto hidden = state_->talk(rows, ids, layout_of(state_->prefix(), batch.slots));
    const auto talking = state_->talking_loss(hidden, batch);
    descend(*state_->optimizer, state_->named, talking + naming_while_talking * naming, learning_rate,
            largest_gradient_norm);
    return VlmLoss{naming.item<double>(), talking.item<double>()};
  });
}

Result<std::vector<std::vector<int32_t>>> ShapesVlm::answer(const PictureBatch& pictures,
                                                            std::vector<std::vector<int32_t>> prompts,
                                                            int32_t count) const {
  return guarded("an answer", [&] {
    const torch::NoGradGuard no_grad;
    const auto rows = state_->rows_of(pictures);
    std::vector<std::vector<int32_t>> answers(prompts.size());
    for (int32_t step = 0; step < count; ++step) {
      std::vector<int32_t> flat;
      for (const auto& prompt : prompts) flat.insert(flat.end(), prompt.begin(), prompt.end());
      const auto length = static_cast<int32_t>(prompts.front().size());
      const auto hidden =
          state_->talk(rows, to_ids(flat).view({-1, length}), layout_of(state_->prefix(), {length}));
      const auto best =
          torch::mm(hidden.select(1, hidden.size(1) - 1), state_->decoder->embed().t()).argmax(-1);
      for (size_t i = 0; i < prompts.size(); ++i) {
        const auto id = static_cast<int32_t>(best[static_cast<int64_t>(i)].item<int64_t>());
        answers[i].push_back(id);
        prompts[i].push_back(id);
      }
    }
    return answers;
  });
}

Result<void> ShapesVlm::round_to_bfloat16() {
  const auto done = guarded("rounding the weights", [&] {
    const torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : state_->named) tensor.copy_(tensor.to(torch::kBFloat16).to(torch::kFloat32));
    return true;
  });
  if (!done.ok()) return done.error();
  return {};
}

Result<std::vector<NamedTensor>> ShapesVlm::weights() const {
  return guarded("reading the weights", [&] {
    return to_named(
        {state_->named.begin(), state_->named.begin() + static_cast<std::ptrdiff_t>(state_->n_file)});
  });
}

}  // namespace saccade
