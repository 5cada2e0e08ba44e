#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/export/cells.h"
#include "analysis/export/figure.h"
#include "analysis/export/figure_parts.h"
#include "analysis/export/map_region.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double axis_title = 14.0;  // room for "query token" beside the labels

// Where everything of a map figure goes, in points.
struct Layout {
  double page_width = 0.0, page_height = 0.0, text_width = 0.0;
  double cell_width = 0.0, cell_height = 0.0;
  Point map;  // top left corner
  double map_width = 0.0, map_height = 0.0;
  EdgeLabels rows, columns;
  double caption_top = 0.0;
};

struct Texts {
  std::string title, under, caption;
};

Texts texts_of(const MapFigure& figure, const FigureOptions& options, const std::string& blocks) {
  const Provenance& run = figure.map.capture().provenance;
  Texts texts;
  texts.title = fmt::format("Head {} \u00b7 {}", to_string(figure.map.head()), run.model_name);
  if (figure.difference_from != nullptr) texts.title += " \u00b7 B \u2212 A";
  texts.under = run.edits.empty() ? "" : "edits: " + edits_text(run);
  texts.caption = map_caption(figure, options);
  if (!blocks.empty()) texts.caption += " " + blocks;
  return texts;
}

// Cells as large as the page allows, square unless the region is very flat.
void place_cells(Layout& layout, const MapFigure& figure, PixelGrid grid) {
  const auto rows = static_cast<double>(figure.rows_end - figure.rows_begin);
  const auto columns = static_cast<double>(figure.columns_end - figure.columns_begin);
  constexpr double largest_cell = 26.0, flattest = 24.0;
  const double room = layout.text_width - layout.rows.depth - axis_title - scale_bar_width;
  double cell = std::min({room / columns, 1.25 * room / rows, largest_cell});
  layout.cell_width = grid.cell(cell);
  layout.cell_height = rows * cell < flattest ? flattest / rows : layout.cell_width;
  if (columns * cell < flattest) layout.cell_width = flattest / columns;
  layout.map_width = layout.cell_width * columns;
  layout.map_height = layout.cell_height * rows;
}

Layout lay_out(Canvas& ruler, const MapFigure& figure, const FigureOptions& options, const Texts& texts,
               PixelGrid grid) {
  Layout layout;
  const auto& tokens = figure.map.capture().tokens;
  layout.page_width = options.width_mm * points_per_mm;
  layout.text_width = layout.page_width - 2 * page_margin;
  // The labels' depth decides the cells' size, which decides whether there are token labels: settle it in two
  // rounds.
  layout.rows.depth = 40.0;
  for (int round = 0; round < 2; ++round) {
    place_cells(layout, figure, grid);
    layout.rows = edge_labels(ruler, tokens, figure.rows_begin, figure.rows_end, layout.cell_height, false);
  }
  place_cells(layout, figure, grid);
  layout.columns =
      edge_labels(ruler, tokens, figure.columns_begin, figure.columns_end, layout.cell_width, true);
  const Theme theme = Theme::of(options.dark);
  const double used = axis_title + layout.rows.depth + layout.map_width + scale_bar_width;
  const double left = page_margin + std::max(0.0, (layout.text_width - used) / 2.0);
  layout.map.x = grid.position(left + axis_title + layout.rows.depth);
  layout.map.y = grid.position(page_margin +
                               draw_title(ruler, theme, layout.text_width, texts.title, texts.under, true));
  const double bar_bottom = layout.map.y + std::max(layout.map_height, shortest_bar) + 18.0;
  const double labels_bottom = layout.map.y + layout.map_height + layout.columns.depth + axis_title + 4.0;
  layout.caption_top = std::max(bar_bottom, labels_bottom) + 6.0;
  layout.page_height = layout.caption_top +
                       ruler.measure(texts.caption, caption_style(theme, layout.text_width)).height +
                       page_margin;
  return layout;
}

std::string bar_label(const MapFigure& figure, const ColourScale& scale, int64_t lod) {
  if (figure.difference_from != nullptr) return "change of attention weight, B \u2212 A";
  return fmt::format("{} \u00b7 {}", lod > 1 ? "largest attention weight in block" : "attention weight",
                     to_string(scale.mode));
}

void draw(Canvas& canvas, const Layout& layout, const MapFigure& figure, const FigureOptions& options,
          const Texts& texts, const Pixels& cells, int64_t lod) {
  const Theme theme = Theme::of(options.dark);
  draw_title(canvas, theme, layout.text_width, texts.title, texts.under, false);
  // A last block that reaches past the region is cut with it.
  const auto block = static_cast<double>(lod);
  canvas.image(layout.map, {layout.cell_width * block, layout.cell_height * block},
               {layout.map_width, layout.map_height}, cells);
  canvas.frame(layout.map.x, layout.map.y, layout.map_width, layout.map_height, 0.5, theme.line);
  draw_row_labels(canvas, theme, layout.map, layout.cell_height, layout.rows);
  const double bottom = layout.map.y + layout.map_height;
  draw_column_labels(canvas, theme, {layout.map.x, bottom}, layout.cell_width, layout.columns);
  TextStyle axis{.size = text_size, .colour = theme.muted, .across = 0.5};
  canvas.text(layout.map.x + layout.map_width / 2.0, bottom + layout.columns.depth + axis_title / 2.0 + 4.0,
              layout.columns.tokens.empty() ? "key position" : "key token", axis);
  axis.upward = true;
  const char* rows = layout.rows.tokens.empty() ? "query position" : "query token";
  if (canvas.measure(rows, axis).width <=
      layout.map_height + 10.0)  // a few rows leave no room for their axis's name
    canvas.text(layout.map.x - layout.rows.depth - axis_title + 5.0, layout.map.y + layout.map_height / 2.0,
                rows, axis);
  const ColourScale scale = effective_scale(figure, options);
  draw_scale_bar(canvas, theme, {layout.map.x + layout.map_width, layout.map.y},
                 std::max(layout.map_height, shortest_bar), scale, bar_label(figure, scale, lod),
                 scale.hides(0) ? "masked, hidden" : "masked");
  canvas.text(page_margin, layout.caption_top, texts.caption, caption_style(theme, layout.text_width));
}

nlohmann::json details_of(const MapFigure& figure, const FigureOptions& options, int64_t lod) {
  nlohmann::json details{{"figure", "map"},
                         {"head", to_string(figure.map.head())},
                         {"rows", {figure.rows_begin, figure.rows_end}},
                         {"columns", {figure.columns_begin, figure.columns_end}},
                         {"block", lod},
                         {"colour", describe(effective_scale(figure, options))}};
  if (figure.difference_from != nullptr)
    details["difference_from"] = to_json(figure.difference_from->capture().provenance);
  return details;
}

}  // namespace

ColourScale effective_scale(const MapFigure& figure, const FigureOptions& options) {
  ColourScale scale = options.scale;
  if (figure.difference_from == nullptr) return scale;
  scale.palette = Palette::red_blue;
  scale.mode = SinkMode::as_is;
  scale.high = std::max(std::abs(scale.low), std::abs(scale.high));
  scale.low = -scale.high;
  return scale;
}

Result<void> check_region(const MapFigure& figure) {
  const int64_t size = figure.map.size();
  if (figure.rows_begin < 0 || figure.rows_begin >= figure.rows_end || figure.rows_end > size ||
      figure.columns_begin < 0 || figure.columns_begin >= figure.columns_end || figure.columns_end > size)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the map of head {} has {} rows and columns; rows {}:{} and columns {}:{} are not "
                    "inside it",
                    to_string(figure.map.head()), size, figure.rows_begin, figure.rows_end,
                    figure.columns_begin, figure.columns_end));
  if (figure.difference_from != nullptr && figure.difference_from->size() != size)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the two maps have {} and {} tokens; a difference needs equally many",
                                  figure.difference_from->size(), size));
  return {};
}

std::string map_caption(const MapFigure& figure, const FigureOptions& options) {
  const Capture& run = figure.map.capture();
  std::string text =
      figure.difference_from == nullptr
          ? fmt::format("Attention of head {} of {} on {} tokens", to_string(figure.map.head()),
                        run.provenance.model_name, run.n_token())
          : fmt::format("Change of the attention of head {} of {} on {} tokens, B \u2212 A",
                        to_string(figure.map.head()), run.provenance.model_name, run.n_token());
  const std::string edits = run.provenance.edits.empty() ? "none" : edits_text(run.provenance);
  if (figure.difference_from == nullptr) {
    text += run.provenance.edits.empty() ? ", no edits" : "; edits: " + edits;
  } else {
    const Provenance& other = figure.difference_from->capture().provenance;
    text += fmt::format("; edits of A: {}; edits of B: {}", other.edits.empty() ? "none" : edits_text(other),
                        edits);
  }
  text += ". Rows are queries, the first token on top; columns are keys.";
  if (figure.rows_begin != 0 || figure.columns_begin != 0 || figure.rows_end != run.n_token() ||
      figure.columns_end != run.n_token())
    text += fmt::format(" Shown: queries {} to {}, keys {} to {}.", figure.rows_begin, figure.rows_end - 1,
                        figure.columns_begin, figure.columns_end - 1);
  const ColourScale scale = effective_scale(figure, options);
  text += fmt::format(" Colour: {}.", describe(scale));
  if (scale.hides(0))
    text += scale.sink_keys == 1 ? std::string(" Hidden: the first key.")
                                 : fmt::format(" Hidden: the first {} keys.", scale.sink_keys);
  if (!options.caption.empty()) text += " " + options.caption;
  const std::string origin = origin_sentence(run.provenance);
  return origin.empty() ? text : text + " " + origin;
}

Result<void> write_map_figure(const MapFigure& figure, const FigureOptions& options,
                              const std::filesystem::path& path, const JobContext& job) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  SACCADE_CHECK(check_region(figure));
  const PixelGrid grid(format, options.dpi);
  const int64_t longer =
      std::max(figure.rows_end - figure.rows_begin, figure.columns_end - figure.columns_begin);
  // A PNG cannot show more cells than it has pixels; a vector figure need not hold more than a page resolves.
  const double room = options.width_mm * points_per_mm - 2 * page_margin - scale_bar_width - 40.0;
  const int64_t most = format == FigureFormat::png ? static_cast<int64_t>(room / grid.pixel) : 2048;
  const int64_t lod = block_side(longer, most);
  const Texts texts = texts_of(
      figure, options,
      lod == 1
          ? ""
          : fmt::format("Each cell of the picture is the largest weight in a block of {0} \u00d7 {0}.", lod));
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const Layout layout = lay_out(ruler, figure, options, texts, grid);
  const Theme theme = Theme::of(options.dark);
  SACCADE_TRY(const Pixels cells, render_cells({&figure.map, figure.difference_from, figure.rows_begin,
                                                figure.rows_end, figure.columns_begin, figure.columns_end,
                                                lod, effective_scale(figure, options), theme.masked},
                                               job));
  SACCADE_TRY(Canvas canvas,
              Canvas::open(format, {layout.page_width, layout.page_height}, options.dpi, theme.page));
  draw(canvas, layout, figure, options, texts, cells, lod);
  SACCADE_TRY(const std::string bytes,
              canvas.finish(metadata_of(texts.title, texts.caption, figure.map.capture().provenance,
                                        details_of(figure, options, lod))));
  return write_text_file(path, bytes);
}

}  // namespace saccade
