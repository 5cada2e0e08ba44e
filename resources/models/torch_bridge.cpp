#include "resources/models/torch_bridge.h"

#include <torch/torch.h>

namespace saccade {

std::vector<float> to_vector(const at::Tensor& tensor) {
  const auto flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

at::Tensor to_tensor(const TokenBatch& batch) {
  return torch::tensor(batch.ids, torch::kInt32).to(torch::kInt64).view({batch.texts(), batch.length});
}

std::vector<NamedTensor> to_named(const NamedWeights& weights) {
  std::vector<NamedTensor> out;
  for (const auto& [name, tensor] : weights) out.push_back({name, tensor.sizes().vec(), to_vector(tensor)});
  return out;
}

std::unique_ptr<torch::optim::AdamW> adam_w(const NamedWeights& weights, double weight_decay) {
  std::vector<torch::Tensor> matrices, vectors;
  for (const auto& [name, tensor] : weights) (tensor.dim() == 2 ? matrices : vectors).push_back(tensor);
  const auto options = [](double decay) {
    return std::make_unique<torch::optim::AdamWOptions>(
        torch::optim::AdamWOptions(1e-3).betas({0.9, 0.98}).weight_decay(decay));
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(matrices, options(weight_decay));
  groups.emplace_back(vectors, options(0.0));
  return std::make_unique<torch::optim::AdamW>(groups);
}

void descend(torch::optim::AdamW& optimizer, const NamedWeights& weights, const at::Tensor& loss,
             double learning_rate, double largest_norm) {
  for (auto& group : optimizer.param_groups())
    static_cast<torch::optim::AdamWOptions&>(group.options()).lr(learning_rate);
  optimizer.zero_grad();
  loss.backward();
  std::vector<torch::Tensor> tensors;
  for (const auto& entry : weights) tensors.push_back(entry.second);
  torch::nn::utils::clip_grad_norm_(tensors, largest_norm);
  optimizer.step();
}

}  // namespace saccade
