#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/export/cells.h"
#include "analysis/export/figure.h"
#include "analysis/export/figure_parts.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double label_room = 22.0, header_room = 12.0, axis_room = 11.0;

struct Layout {
  double page_width = 0.0, page_height = 0.0, text_width = 0.0;
  Point grid;                      // top left of the first cell
  double pitch = 0.0, cell = 0.0;  // distance of two cells, side of one, points
  double grid_width = 0.0, grid_height = 0.0;
  double caption_top = 0.0;
};

struct Grid {
  std::shared_ptr<const Capture> capture;
  const KernelSet* kernels = nullptr;
  const Field* score = nullptr;
  FigureOptions options;
  std::string title, under, caption;
  int64_t lod = 1;  // side of the block one cell of a thumbnail stands for

  [[nodiscard]] int64_t layers() const { return static_cast<int64_t>(capture->layers.size()); }
  [[nodiscard]] int64_t heads() const { return capture->spec.n_head; }
};

std::string caption_of(const Grid& grid) {
  const Capture& run = *grid.capture;
  std::string text = grid.score != nullptr
                         ? fmt::format("{} of every head of {}", grid.score->label, run.provenance.model_name)
                         : fmt::format("Attention of every head of {}", run.provenance.model_name);
  text += fmt::format(" on {} tokens", run.n_token());
  text += run.provenance.edits.empty() ? ", no edits." : "; edits: " + edits_text(run.provenance) + ".";
  text += " Layers from top to bottom, heads from left to right.";
  if (grid.score == nullptr)
    text += " In each map rows are queries and columns are keys, the first token at the top left.";
  text += fmt::format(" Colour: {}, one scale for all heads.", describe(grid.options.scale));
  if (!grid.options.caption.empty()) text += " " + grid.options.caption;
  const std::string origin = origin_sentence(run.provenance);
  return origin.empty() ? text : text + " " + origin;
}

Layout lay_out(Canvas& ruler, const Grid& grid, PixelGrid pixels) {
  Layout layout;
  const Theme theme = Theme::of(grid.options.dark);
  layout.page_width = grid.options.width_mm * points_per_mm;
  layout.text_width = layout.page_width - 2 * page_margin;
  const double room = layout.text_width - axis_room - label_room - scale_bar_width;
  const auto heads = static_cast<double>(grid.heads()), layers = static_cast<double>(grid.layers());
  const double largest = grid.score != nullptr ? 34.0 : 110.0;
  layout.pitch = pixels.cell(std::min({room / heads, 1.3 * room / layers, largest}));
  const double gap = std::clamp(layout.pitch * 0.06, 0.8, 4.0);
  layout.cell = pixels.cell(layout.pitch - gap);
  layout.grid_width = layout.pitch * (heads - 1) + layout.cell;
  layout.grid_height = layout.pitch * (layers - 1) + layout.cell;
  const double used = axis_room + label_room + layout.grid_width + scale_bar_width;
  const double left = page_margin + std::max(0.0, (layout.text_width - used) / 2.0);
  layout.grid.x = pixels.position(left + axis_room + label_room);
  layout.grid.y = pixels.position(page_margin + axis_room + header_room +
                                  draw_title(ruler, theme, layout.text_width, grid.title, grid.under, true));
  layout.caption_top = layout.grid.y + std::max(layout.grid_height, shortest_bar) + 18.0 + 6.0;
  layout.page_height = layout.caption_top +
                       ruler.measure(grid.caption, caption_style(theme, layout.text_width)).height +
                       page_margin;
  return layout;
}

void draw_labels(Canvas& canvas, const Theme& theme, const Layout& layout, const Grid& grid) {
  TextStyle style{.size = small_size, .colour = theme.text, .across = 0.5, .down = 1.0};
  const int64_t every = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(9.0 / layout.pitch)));
  for (int64_t head = 0; head < grid.heads(); head += every)
    canvas.text(layout.grid.x + static_cast<double>(head) * layout.pitch + layout.cell / 2.0,
                layout.grid.y - 3.0, std::to_string(head), style);
  style.across = 1.0;
  style.down = 0.5;
  for (int64_t layer = 0; layer < grid.layers(); layer += every)
    canvas.text(layout.grid.x - 4.0,
                layout.grid.y + static_cast<double>(layer) * layout.pitch + layout.cell / 2.0,
                fmt::format("L{}", layer), style);
  TextStyle axis{.size = text_size, .colour = theme.muted, .across = 0.5};
  canvas.text(layout.grid.x + layout.grid_width / 2.0, layout.grid.y - header_room - axis_room / 2.0, "head",
              axis);
  axis.upward = true;
  canvas.text(layout.grid.x - label_room - axis_room / 2.0, layout.grid.y + layout.grid_height / 2.0, "layer",
              axis);
}

// The number in the cell too, where it fits: colour never carries meaning alone.
void draw_score(Canvas& canvas, const Layout& layout, const Grid& grid, Point corner, double value) {
  const Theme theme = Theme::of(grid.options.dark);
  const bool number = std::isfinite(value);
  const Rgb colour = number ? grid.options.scale.colour(value) : theme.masked;
  canvas.fill(corner.x, corner.y, layout.cell, layout.cell, colour);
  TextStyle style{.size = std::min(small_size, layout.cell * 0.34), .across = 0.5};
  if (style.size < 4.0) return;
  const double light = 0.299 * colour.r + 0.587 * colour.g + 0.114 * colour.b;
  style.colour = light > 140.0 ? Rgb{16, 16, 16} : Rgb{255, 255, 255};
  canvas.text(
      corner.x + layout.cell / 2.0, corner.y + layout.cell / 2.0,
      number ? (std::abs(value) < 10.0 ? fmt::format("{:.2f}", value) : short_number(value)) : "\u2013",
      style);
}

// As many map cells as the thumbnail has pixels, 256 in a vector figure.
int64_t thumbnail_lod(const Layout& layout, const Grid& grid, double pixel) {
  return block_side(grid.capture->n_token(), pixel > 0.0 ? static_cast<int64_t>(layout.cell / pixel) : 256);
}

Result<void> draw_cells(Canvas& canvas, const Layout& layout, const Grid& grid, const JobContext& job) {
  const Theme theme = Theme::of(grid.options.dark);
  const int64_t all = grid.layers() * grid.heads(), n = grid.capture->n_token();
  for (int64_t at = 0; at < all; ++at) {
    SACCADE_CHECK(job.check());
    const HeadId head{LayerIndex{static_cast<int32_t>(at / grid.heads())},
                      HeadIndex{static_cast<int32_t>(at % grid.heads())}};
    job.progress(static_cast<double>(at) / static_cast<double>(all), "head " + to_string(head));
    const Point corner{layout.grid.x + static_cast<double>(head.head.value) * layout.pitch,
                       layout.grid.y + static_cast<double>(head.layer.value) * layout.pitch};
    if (grid.score != nullptr) {
      draw_score(canvas, layout, grid, corner, grid.score->values.data()[at]);
      continue;
    }
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(grid.capture, head, *grid.kernels));
    const CellRequest request{&map, nullptr, 0, n, 0, n, grid.lod, grid.options.scale, theme.masked};
    SACCADE_TRY(const Pixels cells, render_cells(request, JobContext{job.cancel, {}}));
    const double block = layout.cell * static_cast<double>(grid.lod) / static_cast<double>(n);
    canvas.image(corner, {block, block}, {layout.cell, layout.cell}, cells);
  }
  return {};
}

Result<void> check_grid(const Grid& grid) {
  if (!grid.capture || grid.layers() == 0 || grid.heads() == 0 || grid.capture->n_token() == 0)
    return make_error(ErrorCode::invalid_argument, "the run has no heads or no tokens to draw");
  if (grid.score == nullptr) return {};
  if (!grid.score->has_axes({AxisKind::layer, AxisKind::head}) ||
      grid.score->values.size() != grid.layers() * grid.heads())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the field '{}' has {} values, expected one for each of {} x {} heads",
                                  grid.score->name, grid.score->values.size(), grid.layers(), grid.heads()));
  return {};
}

}  // namespace

Result<void> write_grid_figure(const std::shared_ptr<const Capture>& capture, const KernelSet& kernels,
                               const Field* score, const FigureOptions& options,
                               const std::filesystem::path& path, const JobContext& job) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  Grid grid{capture, &kernels, score, options, {}, {}, {}, 1};
  SACCADE_CHECK(check_grid(grid));
  const Provenance& run = capture->provenance;
  grid.title = fmt::format("{} \u00b7 {}", score != nullptr ? score->label : "Every head", run.model_name);
  grid.under = run.edits.empty() ? "" : "edits: " + edits_text(run);
  grid.caption = caption_of(grid);
  const Theme theme = Theme::of(options.dark);
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const PixelGrid pixels(format, options.dpi);
  Layout layout = lay_out(ruler, grid, pixels);
  grid.lod = score == nullptr ? thumbnail_lod(layout, grid, pixels.pixel) : 1;
  if (grid.lod > 1) {
    grid.caption += fmt::format(" Each cell is the largest weight in a block of {0} \u00d7 {0}.", grid.lod);
    layout = lay_out(ruler, grid, pixels);
  }
  SACCADE_TRY(Canvas canvas,
              Canvas::open(format, {layout.page_width, layout.page_height}, options.dpi, theme.page));
  draw_title(canvas, theme, layout.text_width, grid.title, grid.under, false);
  draw_labels(canvas, theme, layout, grid);
  SACCADE_CHECK(draw_cells(canvas, layout, grid, job));
  const std::string quantity = score == nullptr
                                   ? fmt::format("attention weight \u00b7 {}", to_string(options.scale.mode))
                                   : score->label + (score->unit.empty() ? "" : " (" + score->unit + ")");
  draw_scale_bar(canvas, theme, {layout.grid.x + layout.grid_width, layout.grid.y},
                 std::max(layout.grid_height, shortest_bar), options.scale, quantity,
                 score == nullptr ? "masked" : "no value");
  canvas.text(page_margin, layout.caption_top, grid.caption, caption_style(theme, layout.text_width));
  nlohmann::json details{{"figure", "grid"}, {"block", grid.lod}, {"colour", describe(options.scale)}};
  if (score != nullptr) details["field"] = score->name;
  SACCADE_TRY(const std::string bytes,
              canvas.finish(metadata_of(grid.title, grid.caption, run, std::move(details))));
  return write_text_file(path, bytes);
}

}  // namespace saccade
