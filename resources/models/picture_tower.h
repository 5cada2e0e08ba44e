// PictureTower: the forward pass of a small ViT (Dosovitskiy et al. 2021, arXiv 2010.11929) with gradients,
// for the trainers of the demos that see. Pre-norm layers, learned positions, exact GELU; with CLS in front
// or without. Weights carry the names of Hugging Face's ViT or SigLIP checkpoints.
//
// Includes LibTorch: only for .cpp files that include it anyway.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "resources/models/torch_bridge.h"
#include "resources/models/tower_shape.h"

namespace saccade {

class PictureTower {
 public:
  // Appends its weights to `named`, under names that begin with `prefix`.
  PictureTower(const TowerShape& shape, const std::string& prefix, NamedWeights& named);

  // pixels [picture, channel, height, width], normalised -> what the last layer leaves [picture, position,
  // d_model], before the final norm.
  [[nodiscard]] torch::Tensor forward(const torch::Tensor& pixels) const;
  [[nodiscard]] torch::Tensor final_norm(const torch::Tensor& hidden) const;

 private:
  struct Norm {
    torch::Tensor weight, bias;
  };
  struct Linear {
    torch::Tensor weight, bias;  // [out, in]
  };
  struct Layer {
    Norm norm1, norm2;
    Linear query, key, value, out, up, down;
  };
  Norm make_norm(const std::string& name);
  Linear make_linear(const std::string& name, int64_t out, int64_t in, double gain);
  torch::Tensor own(const std::string& name, const torch::Tensor& initial);
  [[nodiscard]] torch::Tensor norm(const Norm& by, const torch::Tensor& x) const;
  [[nodiscard]] torch::Tensor attend(const Layer& layer, const torch::Tensor& x) const;

  TowerShape shape_;
  NamedWeights& named_;
  torch::Tensor patch_weight_, patch_bias_, cls_, positions_;
  std::vector<Layer> layers_;
  Norm final_;
};

}  // namespace saccade
