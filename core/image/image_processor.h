// ImageProcessor: from a picture to the numbers a model was trained on, as preprocessor_config.json says:
// pad to a square (LLaVA), resize, crop from the centre, rescale, normalise, pad to the right and below.
// Equal to Transformers' processors on Pillow to float32 rounding (tests/core/image).
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/placed_image.h"
#include "core/image/resample.h"
#include "core/image/smart_resize.h"
#include "kernels/base/result.h"

namespace saccade {

// What the longer and the shorter side become: one of the four.
struct ResizeRule {
  std::optional<ImageSize> exact;
  int32_t shortest_edge = 0, longest_edge = 0;  // 0 = not given
  std::optional<ImageSize> at_most;             // the largest size of the same shape that fits
  std::optional<SmartResize> smart;
};

// How a picture becomes several (core/image/tiled_pictures.cpp). Tiles are `side` pixels wide and high.
struct TileRule {
  int32_t side = 0;                    // 0: pictures stay whole
  std::vector<ImageSize> resolutions;  // LLaVA-NeXT: the best of these, padded to it; empty: Idefics3's rows
  int32_t longest_edge = 0;  // Idefics3: what the longer side becomes before it is cut; 0 = as it is
  bool splits = true;        // Idefics3: false: the picture as a whole only
};

struct ImageProcessor {
  std::string type;  // "CLIPImageProcessor"
  bool pads_to_square = false;
  std::optional<ResizeRule> resize;
  ResampleFilter filter = ResampleFilter::bilinear;
  std::optional<ImageSize> crop, pad;
  double rescale = 1.0;  // multiplies 0-255
  std::array<double, 3> mean{0.0, 0.0, 0.0}, deviation{1.0, 1.0, 1.0};
  TileRule tiles;

  // Refuses a processor that this program does not know: its pixels would be others. The oldest files do not
  // name theirs; then it is the one that models of that `model_type` have.
  static Result<ImageProcessor> from_json(const nlohmann::json& config, std::string_view model_type = {});
  // preprocessor_config.json, or the part of processor_config.json that newer checkpoints have instead;
  // not_found when the folder has neither.
  static Result<ImageProcessor> open(const std::filesystem::path& folder, std::string_view model_type = {});

  // Refuses empty pictures and sizes that would not fit into memory. Tiled ones have parts: LLaVA-NeXT's the
  // whole picture, then the tiles' grid as one; Idefics3's every tile, then the whole.
  [[nodiscard]] Result<std::shared_ptr<const PreparedImage>> prepare(const Picture& picture) const;
  [[nodiscard]] std::string description() const;  // "resize 224 x 224 bicubic, crop 224 x 224, ..."
};

// Empty pictures, and those that would not fit into memory.
[[nodiscard]] Result<void> check_picture(const Picture& picture, const ImageSize& becomes, const char* step);
}  // namespace saccade
