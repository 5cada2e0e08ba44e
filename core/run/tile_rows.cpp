#include "core/run/tile_rows.h"

#include <algorithm>

#include "core/model/tile_grid.h"
#include "core/run/runner_state.h"

namespace saccade {
namespace {

PreparedImage tile_of(const PreparedImage& image, int32_t row, int32_t column) {
  PreparedImage tile;
  const int32_t height = image.tile_height, width = image.tile_width;
  tile.geometry.height = height;
  tile.geometry.width = width;
  tile.pixels = HostTensor({3, height, width}, false);
  float* to = tile.pixels.mutable_values().data();
  const int64_t full_height = image.geometry.height, full_width = image.geometry.width;
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t y = 0; y < height; ++y)
      to = std::copy_n(image.pixels.data() + (c * full_height + int64_t{row} * height + y) * full_width +
                           int64_t{column} * width,
                       width, to);
  return tile;
}

}  // namespace

HostTensor merged(const HostTensor& rows, const GridSize& grid, int32_t side) {
  const int64_t d = rows.shape()[1];
  HostTensor made({rows.shape()[0] / (int64_t{side} * side), int64_t{side} * side * d}, false);
  float* to = made.mutable_values().data();
  for (int64_t row = 0; row < grid.height / side; ++row)
    for (int64_t column = 0; column < grid.width / side; ++column)
      for (int64_t y = 0; y < side; ++y)
        to = std::copy_n(rows.data() + ((row * side + y) * grid.width + column * side) * d, side * d, to);
  return made;
}

// The tiles' patches as one grid, without those that are padding only, each row with the newline behind it.
Result<HostTensor> Runner::State::tiled_rows(const PreparedImage& image, ops::Precision precision,
                                             const JobContext& job) {
  const PatchSpec& patches = tower->model->spec().patches;
  const GridSize of_tile{image.tile_height / patches.height, image.tile_width / patches.width};
  const int32_t across = image.geometry.width / image.tile_width;
  const GridWindow shown = shown_window(image, tiled_grid(image, patches));
  const int64_t d = model->spec().d_model;
  const int64_t stride = int64_t{shown.width} + (model->spec().tower.newline ? 1 : 0);
  HostTensor made({shown.height * stride, d}, false);
  float* const to = made.mutable_values().data();
  for (int32_t t = 0; t < across * (image.geometry.height / image.tile_height); ++t) {
    SACCADE_CHECK(job.check());
    SACCADE_TRY(const HostTensor rows,
                tower_rows(std::make_shared<const PreparedImage>(tile_of(image, t / across, t % across)),
                           precision, job));
    for (int32_t y = 0; y < of_tile.height; ++y) {
      const int64_t row = int64_t{t / across} * of_tile.height + y - shown.row;
      if (row < 0 || row >= shown.height) continue;
      const int64_t first = int64_t{t % across} * of_tile.width - shown.column;
      const int64_t begin = std::max<int64_t>(first, 0),
                    end = std::min<int64_t>(first + of_tile.width, shown.width);
      if (begin < end)
        std::copy_n(rows.data() + (y * of_tile.width + begin - first) * d, (end - begin) * d,
                    to + (row * stride + begin) * d);
    }
  }
  if (stride > shown.width)
    for (int64_t row = 0; row < shown.height; ++row)
      std::copy_n(weights.image_newline.data(), d, to + (row * stride + shown.width) * d);
  return made;
}

}  // namespace saccade
