#include "core/run/image_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/image/grid_resample.h"
#include "core/model/image_input.h"
#include "core/run/patch_windows.h"
#include "core/run/runner_state.h"
#include "core/run/tile_rows.h"

namespace saccade {
namespace {

// [grid, channel * frame * height * width]: the numbers of every patch, channel first; all frames are the
// same.
HostTensor unfold(const HostTensor& pixels, const PatchSpec& p, const GridSize& grid) {
  const int64_t height = pixels.shape()[1], width = pixels.shape()[2];
  HostTensor rows({int64_t{grid.height} * grid.width, int64_t{p.channels} * p.frames * p.height * p.width},
                  false);
  float* to = rows.mutable_values().data();
  for (int64_t row = 0; row < grid.height; ++row)
    for (int64_t column = 0; column < grid.width; ++column)
      for (int64_t c = 0; c < p.channels; ++c)
        for (int64_t line = 0; line < int64_t{p.frames} * p.height; ++line)
          to = std::copy_n(
              pixels.data() + (c * height + row * p.height + line % p.height) * width + column * p.width,
              p.width, to);
  return rows;
}

HostTensor to_host(const ops::DeviceTensor& x) {
  HostTensor made({x.rows(), x.columns()}, false);
  std::copy_n(x.data(), made.size(), made.mutable_values().data());
  return made;
}

// Rows of the prefix that have a place in the table, then zeros for registers, then the grid's.
HostTensor positions(const ModelSpec& spec, const ModelWeights& weights, const GridSize& grid) {
  const PatchSpec& p = spec.patches;
  const int64_t placed = p.n_placed_prefix(), d = spec.d_model;
  const GridSize own{p.grid_height(), p.grid_width()};
  const HostTensor table =
      to_host(ops::gather_range(weights.pos_embed, placed, placed + int64_t{own.height} * own.width));
  const HostTensor patches = resample_grid(table, own, grid, p.resampling);
  HostTensor made({p.n_prefix() + patches.shape()[0], d});
  float* const to = made.mutable_values().data();
  if (placed > 0) std::copy_n(ops::gather_range(weights.pos_embed, 0, placed).data(), placed * d, to);
  std::copy_n(patches.data(), patches.size(), to + p.n_prefix() * d);
  return made;
}

Result<HostTensor> rows_of(const HostTensor& rows, const std::vector<int32_t>& chosen) {
  const int64_t width = rows.size() / rows.shape()[0];
  HostTensor made({static_cast<int64_t>(chosen.size()), width}, false);
  float* to = made.mutable_values().data();
  for (const int32_t row : chosen) {
    if (row >= rows.shape()[0])
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("patch {} is to be kept of a picture of {}", row, rows.shape()[0]));
    to = std::copy_n(rows.data() + row * width, width, to);
  }
  return made;
}

}  // namespace

GivenRows patch_rows(const ModelSpec& spec, const ModelWeights& weights, const PreparedImage& image) {
  const PatchSpec& p = spec.patches;
  const GridSize grid{image.geometry.height / p.height, image.geometry.width / p.width};
  const HostTensor unfolded = unfold(image.pixels, p, grid);
  const ops::DeviceTensor embedded =
      ops::linear(ops::view_of(unfolded, unfolded.shape()[0], unfolded.shape()[1]), weights.patches);
  GivenRows rows;
  rows.embedded = HostTensor({p.n_prefix() + embedded.rows(), spec.d_model}, false);
  float* to = rows.embedded.mutable_values().data();
  const auto put = [&](const ops::DeviceTensor& table, int64_t n) {
    if (n > 0) to = std::copy_n(ops::gather_range(table, 0, n).data(), n * spec.d_model, to);
  };
  put(weights.cls, p.cls ? 1 : 0);
  put(weights.distillation, p.distillation ? 1 : 0);
  put(weights.registers, p.n_register);
  std::copy_n(embedded.data(), embedded.rows() * spec.d_model, to);
  if (weights.pos_embed.defined()) rows.positions = positions(spec, weights, grid);
  return rows;
}

namespace {

// The rows of a tower on their way: as they are, or, where patches see only their window, window after
// window.
class TowerRows {
 public:
  TowerRows(const ModelSpec& spec, const PlacedImage& placed, int64_t rows)
      : spec_(spec), axes_(axis_positions(spec, {placed})) {
    if (spec.patches.window == 0) return;
    const WindowOrder order =
        window_order({placed.region.grid_height, placed.region.grid_width}, spec.patches.window);
    order_ = order.patches;
    if (axes_) axes_ = axes_->taken(order_);
    whole_ = {{rows, 0, nullptr, axes()}};
    int64_t begin = 0;
    for (const int64_t size : order.sizes) {
      windows_.push_back({size, begin, nullptr, axes()});
      begin += size;
    }
  }
  // Once, before the first layer.
  void enter(ForwardPass& pass, HostTensor& x) const {
    if (order_.empty())
      pass.set_axes(axes_);
    else
      pass.take({order_, whole_}, x);
  }
  void before_layer(ForwardPass& pass, int32_t layer) const {
    if (!order_.empty()) pass.set_segments(is_windowed(spec_.patches, layer) ? windows_ : whole_);
  }
  // The row among the picture's of a row of the pass.
  [[nodiscard]] int64_t place(int64_t row) const {
    return order_.empty() ? row : order_[static_cast<size_t>(row)];
  }

 private:
  [[nodiscard]] const AxisPositions* axes() const { return axes_ ? &*axes_ : nullptr; }

  const ModelSpec& spec_;
  std::optional<AxisPositions> axes_;  // in the order of the pass
  std::vector<int32_t> order_;
  std::vector<Segment> whole_, windows_;
};

}  // namespace

// The tower's residuals at the layers that are asked for, side by side, then the projector.
Result<HostTensor> Runner::State::tower_rows(const std::shared_ptr<const PreparedImage>& image,
                                             ops::Precision precision, const JobContext& job) {
  if (image->tile_height > 0) return tiled_rows(*image, precision, job);
  const TowerUse& use = model->spec().tower;
  const ModelSpec& spec = tower->model->spec();
  const CapturePlan nothing{false, false, false, false, 1, 8, {}};
  const RunRequest unedited;
  SiteEdits none(unedited, spec, {});
  ForwardPass pass(*tower->model, tower->weights, *kernels, parallel, tower->rotary, none, nothing, job,
                   precision);
  SACCADE_TRY(const TokenSequence alone, place_images(*tower->model, {}, {image}));
  const GivenRows patches = patch_rows(spec, tower->weights, *image);
  const int64_t rows = patches.embedded.shape()[0], dropped = use.drops_prefix ? spec.patches.n_prefix() : 0;
  const auto width = static_cast<int64_t>(use.layers.size()) * spec.d_model;
  HostTensor seen({rows - dropped, width}, false);
  SACCADE_TRY(HostTensor x, pass.embed(std::vector<int32_t>(static_cast<size_t>(rows), 0), 0, {&patches, 1}));
  const TowerRows way(spec, alone.images[0], rows);
  way.enter(pass, x);
  const int32_t last = *std::max_element(use.layers.begin(), use.layers.end());
  for (int32_t l = 0; l <= last; ++l) {
    for (size_t i = 0; i < use.layers.size(); ++i)
      for (int64_t row = 0; use.layers[i] == l && row < rows; ++row)
        if (const int64_t place = way.place(row) - dropped; place >= 0)
          std::copy_n(x.data() + row * spec.d_model, spec.d_model,
                      seen.mutable_values().data() + place * width + static_cast<int64_t>(i) * spec.d_model);
    if (l < last) {
      job.progress(static_cast<double>(l) / (last + 1), "vision tower");
      way.before_layer(pass, l);
      SACCADE_TRY(x, pass.layer(l, std::move(x), {}));
    }
  }
  if (use.final_norm) {
    const Norm& norm = tower->weights.final_norm;
    seen = to_host(ops::normalise(ops::view_of(seen, rows - dropped, width), spec.norm, spec.norm_epsilon,
                                  norm.weight, norm.bias, false)
                       .output);
  }
  if (use.merge > 1) seen = merged(seen, patch_grid(spec.patches, *image), use.merge);
  const ops::DeviceTensor hidden =
      ops::linear(ops::view_of(seen, seen.shape()[0], seen.shape()[1]), weights.projector_in);
  if (!weights.projector_out.defined()) return to_host(hidden);
  ops::activate_in_place(hidden, use.activation);
  return to_host(ops::linear(hidden, weights.projector_out));
}

Result<std::vector<GivenRows>> Runner::State::image_rows(const TokenSequence& tokens,
                                                         const std::string& dtype, const JobContext& job) {
  constexpr size_t most_kept = 32;
  std::vector<GivenRows> given;
  for (const PlacedImage& placed : tokens.images) {
    const std::string key = placed.image->digest + dtype;
    auto known = pictures.find(key);
    if (known == pictures.end()) {
      GivenRows rows;
      if (tower) {
        SACCADE_TRY(rows.embedded, tower_rows(placed.image, precision_of(dtype), job));
      } else {
        rows = patch_rows(model->spec(), weights, *placed.image);
      }
      if (pictures.size() >= most_kept) pictures.clear();
      known = pictures.emplace(key, std::move(rows)).first;
    }
    given.push_back(known->second);
    if (!placed.kept.empty()) {
      SACCADE_TRY(given.back().embedded, rows_of(known->second.embedded, placed.kept));
    }
    given.back().first_row = placed.region.begin;
  }
  return given;
}

}  // namespace saccade
