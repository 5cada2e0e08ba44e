// The parts of a layer as functions of LibTorch tensors that record how to differentiate them. Private to
// core/run; only its .cpp files see LibTorch's headers. Rows are positions: x is [rows, width].
#pragma once

#include <vector>

#include "core/run/edit_plan.h"
#include "core/run/model_weights.h"

namespace at {
class Tensor;
}

namespace saccade::differentiable {

// Stored weights as float32 tensors that take part in differentiation as constants; keeps them alive.
class Constants {
 public:
  [[nodiscard]] at::Tensor matrix(const ops::Matrix& matrix);       // [out, in]
  [[nodiscard]] at::Tensor vector(const ops::DeviceTensor& table);  // [rows, columns]
 private:
  std::vector<ops::DeviceTensor> alive_;
};

// x W^T + b
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const ops::Matrix& matrix, Constants& constants);
// Over the last axis; a norm that is not there changes nothing.
[[nodiscard]] at::Tensor normalise(const at::Tensor& x, const ModelSpec& spec, const Norm& norm,
                                   Constants& constants);
[[nodiscard]] at::Tensor activate(const at::Tensor& x, Activation activation);
// The mixture of experts of one layer. Which experts a row uses is a constant; how much each counts is not.
[[nodiscard]] at::Tensor experts(const at::Tensor& h, const ModelSpec& spec, const LayerWeights& weights,
                                 Constants& constants);
// q . k of every head to its map under the layer's mask, edits included: [head, query, key] both.
[[nodiscard]] at::Tensor pattern(const at::Tensor& products, const ModelSpec& spec, int32_t layer,
                                 const LayerPlan& plan);

}  // namespace saccade::differentiable
