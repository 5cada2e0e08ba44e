// A picture as a model sees it, and where it stands in the sequence: what views need to draw maps over it.
// Plain values. Thread: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/host_tensor.h"

namespace saccade {

// From pixels of the picture to pixels after processing, along each axis: processed = scale * original +
// offset. Edges, not centres: 0 is the left or upper border of the first pixel.
struct ImageGeometry {
  int32_t original_width = 0, original_height = 0;
  int32_t width = 0, height = 0;  // after processing
  double scale_x = 1.0, scale_y = 1.0, offset_x = 0.0, offset_y = 0.0;
  bool operator==(const ImageGeometry&) const = default;
};

struct PreparedImage {
  HostTensor pixels;  // [channel, height, width], rescaled and normalised; empty where there are parts
  ImageGeometry geometry;
  std::string name, digest;  // the digest is of pixels and geometry
  // In pixels: the tower reads such tiles one by one, and their patches are put together again; 0: as a
  // whole.
  int32_t tile_height = 0, tile_width = 0;
  int32_t row = 0, column = 0;  // of a tile of a grid, from 1; 0: the whole picture
  // A picture that is read as several: each a picture of its own, in the order of their positions.
  std::vector<std::shared_ptr<const PreparedImage>> parts = {};
};

// The positions [begin, end()) of a sequence: the prefix (CLS, registers), then the patches row by row, each
// row followed by `row_extra` positions that are no patches (LLaVA-NeXT's image_newline).
struct ImageRegion {
  int64_t begin = 0;
  int32_t n_prefix = 0, grid_height = 0, grid_width = 0;
  int32_t patch_height = 0, patch_width = 0;  // in pixels after processing
  ImageGeometry geometry;
  std::string name;
  int32_t row_extra = 0;
  int32_t picture = 0;  // the number of the picture that was given: one may be read as several regions

  [[nodiscard]] int64_t first_patch() const { return begin + n_prefix; }
  [[nodiscard]] int64_t patches() const { return int64_t{grid_height} * grid_width; }
  [[nodiscard]] int64_t end() const { return first_patch() + patches() + int64_t{grid_height} * row_extra; }
  // Of a patch, counted from 0 row by row: its position in the sequence.
  [[nodiscard]] int64_t position(int64_t patch) const {
    return first_patch() + patch + (row_extra == 0 ? 0 : patch / grid_width * row_extra);
  }
  // The patch at a position; nothing for positions that are none of its patches.
  [[nodiscard]] std::optional<int64_t> patch_at(int64_t position) const;
  bool operator==(const ImageRegion&) const = default;
};

struct PlacedImage {
  ImageRegion region;
  std::shared_ptr<const PreparedImage> image;
  // Of a decoder's picture: only these of its positions stand in the sequence, in this order, and the region
  // is one row of as many patches; empty: all.
  std::vector<int32_t> kept = {};
  // Tokens that were put before and after it to say which part of its picture it is.
  int32_t said_before = 0, said_after = 0;
};

// A patch's rectangle in pixels of the original picture; it may reach over the border where the processor
// padded. `patch` counts from the region's first patch.
struct PatchRect {
  double x = 0.0, y = 0.0, width = 0.0, height = 0.0;
};
[[nodiscard]] PatchRect rect_of(const ImageRegion& region, int64_t patch);

// Of numbers of every position those of the region's patches: `width` numbers a position, [patch, width].
[[nodiscard]] std::vector<float> over_patches(const ImageRegion& region, std::span<const float> values,
                                              int64_t width = 1);

// What a position is: of a picture; before the first one (system prompt, CLS, registers); text after it; or
// generated. Without pictures all that is not generated is text.
enum class TokenRegion { sys, img, txt, gen };
[[nodiscard]] const char* to_string(TokenRegion region);
// Where things stand among the tokens of a run: what names of regions mean there.
struct TokenPlaces {
  int64_t n_token = 0;
  std::vector<ImageRegion> images = {};
  int64_t generated_from = -1;  // negative: none were generated
};
// One per position. Those from `generated_from` on were generated; negative: none were.
[[nodiscard]] std::vector<TokenRegion> regions_of(int64_t n_token, const std::vector<ImageRegion>& images,
                                                  int64_t generated_from = -1);

}  // namespace saccade
