// The sizes of a demo's picture tower, and the pictures it is trained on. Plain values.
#pragma once

#include <cstdint>
#include <vector>

#include "resources/models/shapes.h"

namespace saccade {

enum class TowerNames { vit, siglip };  // whose checkpoints' names the weights carry

struct TowerShape {
  int32_t image = 64, patch = 8, n_layer = 3, n_head = 4, d_model = 64, d_mlp = 128;
  bool cls = true;
  TowerNames names = TowerNames::vit;
  double norm_epsilon = 1e-6;

  [[nodiscard]] int32_t grid() const { return image / patch; }
  [[nodiscard]] int32_t n_patch() const { return grid() * grid(); }
  [[nodiscard]] int32_t n_position() const { return n_patch() + (cls ? 1 : 0); }
  [[nodiscard]] int64_t parameters() const {
    const int64_t d = d_model, layer = 4 * d * d + 2 * d * d_mlp + 9 * d + d_mlp;
    return d * 3 * patch * patch + d + d * n_position() + (cls ? d : 0) + n_layer * layer + 2 * d;
  }
};

struct PictureBatch {
  int32_t pictures = 0, side = 0;
  std::vector<float> pixels;  // [picture, channel, height, width], from -1 to 1
};

// Appends a picture as the demos' preprocessor_config.json has it: (value / 255 - 0.5) / 0.5.
inline void append_picture(PictureBatch& batch, const ShapePicture& picture) {
  const size_t pixels = static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height);
  batch.side = picture.width;
  ++batch.pictures;
  for (size_t channel = 0; channel < 3; ++channel)
    for (size_t i = 0; i < pixels; ++i)
      batch.pixels.push_back((static_cast<float>(picture.rgb[3 * i + channel]) / 255.0F - 0.5F) / 0.5F);
}

}  // namespace saccade
