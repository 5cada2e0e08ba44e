// Between the trainers' plain values and LibTorch. Only for .cpp files that include LibTorch anyway.
#pragma once

#include <torch/torch.h>

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/training.h"

namespace saccade {

// Runs `body` and turns an exception of the library into an error: the one place where they stop.
template <class Body>
auto guarded(const char* what, Body body) -> Result<decltype(body())> {
  try {
    return body();
  } catch (const std::exception& e) {
    return make_error(ErrorCode::internal, std::string(what) + ": LibTorch says: " + e.what());
  }
}

inline std::vector<float> to_vector(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

inline torch::Tensor to_tensor(const TokenBatch& batch) {
  return torch::tensor(batch.ids, torch::kInt32).to(torch::kInt64).view({batch.texts(), batch.length});
}

using NamedWeights = std::vector<std::pair<std::string, torch::Tensor>>;

inline std::vector<NamedTensor> to_named(const NamedWeights& weights) {
  std::vector<NamedTensor> out;
  for (const auto& [name, tensor] : weights) out.push_back({name, tensor.sizes().vec(), to_vector(tensor)});
  return out;
}

// AdamW (Loshchilov and Hutter 2019); matrices decay, vectors do not.
inline std::unique_ptr<torch::optim::AdamW> adam_w(const NamedWeights& weights, double weight_decay) {
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

// From a loss to new weights: gradients, clipped to `largest_norm`, one step at `learning_rate`.
inline void descend(torch::optim::AdamW& optimizer, const NamedWeights& weights, const torch::Tensor& loss,
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
