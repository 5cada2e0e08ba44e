#include "resources/models/shapes_vit.h"

#include <torch/torch.h>

#include <utility>

#include "resources/models/picture_tower.h"

namespace saccade {
namespace {

using torch::Tensor;

constexpr double weight_decay = 0.01, largest_gradient_norm = 1.0, head_deviation = 0.05;

Tensor to_tensor(const PictureBatch& batch) {
  return torch::tensor(batch.pixels).view({batch.pictures, 3, batch.side, batch.side});
}
Tensor to_classes(const std::vector<int32_t>& values) {
  return torch::tensor(values, torch::kInt32).to(torch::kInt64);
}

}  // namespace

struct ShapesVit::State {
  TowerShape shape;
  NamedWeights named;
  std::unique_ptr<PictureTower> tower;
  size_t n_tower = 0;  // of `named`; behind them stand the parts of the classifier
  std::unique_ptr<torch::optim::AdamW> optimizer;

  Tensor part(int64_t classes) {
    auto weight = torch::randn({classes, shape.d_model}) * head_deviation;
    weight.set_requires_grad(true);
    auto bias = torch::zeros({classes});
    bias.set_requires_grad(true);
    named.emplace_back("part.weight", weight);
    named.emplace_back("part.bias", bias);
    return weight;
  }

  [[nodiscard]] Tensor features(const Tensor& pixels) const {
    return tower->final_norm(tower->forward(pixels).select(1, 0));
  }

  // 0 colour, 1 form, 2 count: the logits of a part.
  [[nodiscard]] Tensor part_logits(size_t index, const Tensor& features) const {
    const size_t at = n_tower + 2 * index;
    return torch::addmm(named[at + 1].second, features, named[at].second.t());
  }

  // Every combination of the rows of the parts, added.
  [[nodiscard]] Tensor combined(size_t which) const {
    std::vector<Tensor> parts;
    for (size_t i = 0; i < 3; ++i) parts.push_back(named[n_tower + 2 * i + which].second);
    const auto colour = parts[0].unsqueeze(1).unsqueeze(1), form = parts[1].unsqueeze(0).unsqueeze(2),
               count = parts[2].unsqueeze(0).unsqueeze(0);
    const auto sum = colour + form + count;
    return which == 0 ? sum.reshape({n_count_class, shape.d_model}) : sum.reshape({n_count_class});
  }
};

ShapesVit::ShapesVit(std::unique_ptr<State> state) : state_(std::move(state)) {}
ShapesVit::ShapesVit(ShapesVit&&) noexcept = default;
ShapesVit& ShapesVit::operator=(ShapesVit&&) noexcept = default;
ShapesVit::~ShapesVit() = default;

const TowerShape& ShapesVit::shape() const { return state_->shape; }

Result<ShapesVit> ShapesVit::create(const TowerShape& shape, uint64_t seed) {
  return guarded("making the model", [&] {
    torch::set_num_threads(1);  // sums in one order: the same weights each time
    torch::manual_seed(seed);
    auto state = std::make_unique<State>();
    state->shape = shape;
    state->tower = std::make_unique<PictureTower>(shape, "vit.", state->named);
    state->n_tower = state->named.size();
    for (const int64_t classes : {n_shape_colour, n_shape_form, most_counted}) state->part(classes);
    state->optimizer = adam_w(state->named, weight_decay);
    return ShapesVit(std::move(state));
  });
}

Result<double> ShapesVit::train_step(const CountedBatch& batch, double learning_rate) {
  return guarded("a training step", [&] {
    const auto kind = to_classes(batch.kind);
    const std::vector<Tensor> right{kind.floor_divide(n_shape_form), kind.remainder(n_shape_form),
                                    to_classes(batch.count) - 1};
    const auto features = state_->features(to_tensor(batch.pictures));
    auto loss = torch::zeros({});
    for (size_t part = 0; part < right.size(); ++part)
      loss = loss + torch::nll_loss(torch::log_softmax(state_->part_logits(part, features), -1), right[part]);
    descend(*state_->optimizer, state_->named, loss, learning_rate, largest_gradient_norm);
    return loss.item<double>();
  });
}

Result<std::vector<int32_t>> ShapesVit::classify(const PictureBatch& pictures) const {
  return guarded("a measurement", [&] {
    const torch::NoGradGuard no_grad;
    const auto features = state_->features(to_tensor(pictures));
    const auto logits = torch::addmm(state_->combined(1), features, state_->combined(0).t());
    const auto best = logits.argmax(-1).to(torch::kInt32).contiguous();
    return std::vector<int32_t>(best.data_ptr<int32_t>(), best.data_ptr<int32_t>() + best.numel());
  });
}

Result<std::vector<NamedTensor>> ShapesVit::weights() const {
  return guarded("reading the weights", [&] {
    const torch::NoGradGuard no_grad;
    NamedWeights named(state_->named.begin(),
                       state_->named.begin() + static_cast<std::ptrdiff_t>(state_->n_tower));
    named.emplace_back("classifier.weight", state_->combined(0));
    named.emplace_back("classifier.bias", state_->combined(1));
    return to_named(named);
  });
}

}  // namespace saccade
