// Between the trainers' plain values and LibTorch, for the files that hold a model. Nothing of the library is
// included here: its types are only named.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/training.h"

namespace at {
class Tensor;
}
namespace torch::optim {
class AdamW;
}

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

using NamedWeights = std::vector<std::pair<std::string, at::Tensor>>;

std::vector<float> to_vector(const at::Tensor& tensor);
at::Tensor to_tensor(const TokenBatch& batch);  // ids, [text, position]
std::vector<NamedTensor> to_named(const NamedWeights& weights);

// AdamW (Loshchilov and Hutter 2019); matrices decay, vectors do not.
std::unique_ptr<torch::optim::AdamW> adam_w(const NamedWeights& weights, double weight_decay);
// From a loss to new weights: gradients, clipped to `largest_norm`, one step at `learning_rate`.
void descend(torch::optim::AdamW& optimizer, const NamedWeights& weights, const at::Tensor& loss,
             double learning_rate, double largest_norm);

}  // namespace saccade
