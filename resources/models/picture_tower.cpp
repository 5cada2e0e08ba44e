#include "resources/models/picture_tower.h"

#include <cmath>

namespace saccade {
namespace {

using torch::Tensor;

struct Names {
  const char *cls, *positions, *patches, *layer, *norm1, *query, *key, *value, *out, *norm2, *up, *down,
      *last;
};
const Names& names_of(TowerNames names) {
  static const Names vit{"embeddings.cls_token",
                         "embeddings.position_embeddings",
                         "embeddings.patch_embeddings.projection",
                         "encoder.layer.",
                         "layernorm_before",
                         "attention.attention.query",
                         "attention.attention.key",
                         "attention.attention.value",
                         "attention.output.dense",
                         "layernorm_after",
                         "intermediate.dense",
                         "output.dense",
                         "layernorm"};
  static const Names siglip{"",
                            "embeddings.position_embedding.weight",
                            "embeddings.patch_embedding",
                            "encoder.layers.",
                            "layer_norm1",
                            "self_attn.q_proj",
                            "self_attn.k_proj",
                            "self_attn.v_proj",
                            "self_attn.out_proj",
                            "layer_norm2",
                            "mlp.fc1",
                            "mlp.fc2",
                            "post_layernorm"};
  return names == TowerNames::vit ? vit : siglip;
}

constexpr double position_deviation = 0.3, write_gain = 0.4;

}  // namespace

PictureTower::PictureTower(const TowerShape& shape, const std::string& prefix, NamedWeights& named)
    : shape_(shape), named_(named) {
  const Names& names = names_of(shape.names);
  const int64_t d = shape.d_model, p = shape.patch, inputs = 3 * p * p;
  patch_weight_ = own(prefix + names.patches + ".weight",
                      torch::randn({d, 3, p, p}) / std::sqrt(static_cast<double>(inputs)));
  patch_bias_ = own(prefix + names.patches + ".bias", torch::zeros({d}));
  if (shape.cls) cls_ = own(prefix + names.cls, torch::randn({1, 1, d}) * position_deviation);
  auto positions = torch::randn({shape.n_position(), d}) * position_deviation;
  if (shape.names == TowerNames::vit) positions = positions.unsqueeze(0);
  positions_ = own(prefix + names.positions, positions);
  for (int32_t l = 0; l < shape.n_layer; ++l) {
    const std::string at = prefix + names.layer + std::to_string(l) + ".";
    Layer layer;
    layer.norm1 = make_norm(at + names.norm1);
    layer.query = make_linear(at + names.query, d, d, 1.0);
    layer.key = make_linear(at + names.key, d, d, 1.0);
    layer.value = make_linear(at + names.value, d, d, 1.0);
    layer.out = make_linear(at + names.out, d, d, write_gain);
    layer.norm2 = make_norm(at + names.norm2);
    layer.up = make_linear(at + names.up, shape.d_mlp, d, 1.0);
    layer.down = make_linear(at + names.down, d, shape.d_mlp, write_gain);
    layers_.push_back(layer);
  }
  final_ = make_norm(prefix + names.last);
}

Tensor PictureTower::own(const std::string& name, const Tensor& initial) {
  Tensor values = initial.detach().clone(at::MemoryFormat::Contiguous);
  values.set_requires_grad(true);
  named_.emplace_back(name, values);
  return values;
}

PictureTower::Norm PictureTower::make_norm(const std::string& name) {
  return {own(name + ".weight", torch::ones({shape_.d_model})),
          own(name + ".bias", torch::zeros({shape_.d_model}))};
}

PictureTower::Linear PictureTower::make_linear(const std::string& name, int64_t out, int64_t in,
                                               double gain) {
  return {own(name + ".weight", torch::randn({out, in}) * (gain / std::sqrt(static_cast<double>(in)))),
          own(name + ".bias", torch::zeros({out}))};
}

Tensor PictureTower::norm(const Norm& by, const Tensor& x) const {
  return torch::layer_norm(x, {shape_.d_model}, by.weight, by.bias, shape_.norm_epsilon);
}

Tensor PictureTower::final_norm(const Tensor& hidden) const { return norm(final_, hidden); }

// x [picture, position, d_model]; every position sees every other of its picture.
Tensor PictureTower::attend(const Layer& layer, const Tensor& x) const {
  const int64_t b = x.size(0), n = x.size(1), d = shape_.d_model, heads = shape_.n_head, dh = d / heads;
  const auto rows = norm(layer.norm1, x).view({b * n, d});
  const auto heads_of = [&](const Linear& by) {
    return torch::addmm(by.bias, rows, by.weight.t())
        .view({b, n, heads, dh})
        .transpose(1, 2)
        .reshape({b * heads, n, dh});
  };
  const auto q = heads_of(layer.query) / std::sqrt(static_cast<double>(dh));
  const auto pattern = torch::softmax(torch::bmm(q, heads_of(layer.key).transpose(1, 2)), -1);
  const auto z =
      torch::bmm(pattern, heads_of(layer.value)).view({b, heads, n, dh}).transpose(1, 2).reshape({b * n, d});
  return torch::addmm(layer.out.bias, z, layer.out.weight.t()).view(x.sizes());
}

Tensor PictureTower::forward(const Tensor& pixels) const {
  const int64_t b = pixels.size(0), g = shape_.grid(), p = shape_.patch, d = shape_.d_model;
  const auto patches =
      pixels.view({b, 3, g, p, g, p}).permute({0, 2, 4, 1, 3, 5}).reshape({b * g * g, 3 * p * p});
  auto x = torch::addmm(patch_bias_, patches, patch_weight_.view({d, 3 * p * p}).t()).view({b, g * g, d});
  if (shape_.cls) x = torch::cat({cls_.expand({b, 1, d}), x}, 1);
  x = x + positions_;
  for (const Layer& layer : layers_) {
    x = x + attend(layer, x);
    const auto rows = norm(layer.norm2, x).view({-1, d});
    const auto inner = torch::gelu(torch::addmm(layer.up.bias, rows, layer.up.weight.t()));
    x = x + torch::addmm(layer.down.bias, inner, layer.down.weight.t()).view(x.sizes());
  }
  return x;
}

}  // namespace saccade
