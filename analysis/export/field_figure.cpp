// A field on paper: two axes as a heatmap, one as a curve.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/export/figure_parts.h"
#include "analysis/export/result_figures.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double axis_room = 12.0, curve_height = 150.0, curve_left = 44.0;

struct Picture {
  const Field& field;
  FieldSlice slice;
  ColourScale scale;
  Theme theme;
  std::string title, caption;
};

std::string quantity_of(const Field& field) {
  const std::string& label = field.label.empty() ? field.name : field.label;
  return field.unit.empty() ? label : label + " (" + field.unit + ")";
}

// Every so many labels, so that they do not touch.
int64_t label_step(double cell, double text) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(text / std::max(cell, 1e-6))));
}

struct HeatLayout {
  double left = 0.0, cell_width = 0.0, cell_height = 0.0, below = 0.0;
  bool upward = false;
};

HeatLayout lay_out_heat(Canvas& ruler, const Picture& picture, double text_width) {
  HeatLayout layout;
  const TextStyle style{.size = small_size, .colour = {}};
  double widest = 0.0, deepest = 0.0;
  for (int64_t r = 0; r < picture.slice.rows; ++r)
    widest = std::max(widest, ruler.measure(label_of(picture.slice.row_axis, r), style).width);
  for (int64_t c = 0; c < picture.slice.columns; ++c)
    deepest = std::max(deepest, ruler.measure(label_of(picture.slice.column_axis, c), style).width);
  layout.left = axis_room + std::min(widest, 80.0) + 5.0;
  const double room = text_width - layout.left - scale_bar_width;
  layout.cell_width = std::min(room / static_cast<double>(std::max<int64_t>(picture.slice.columns, 1)), 34.0);
  layout.cell_height = std::clamp(300.0 / static_cast<double>(std::max<int64_t>(picture.slice.rows, 1)), 1.0,
                                  std::max(layout.cell_width, 9.0));
  layout.upward = deepest > layout.cell_width - 2.0;
  layout.below = (layout.upward ? std::min(deepest, 80.0) : small_size * 1.4) + 5.0 + axis_room;
  return layout;
}

void draw_heat_labels(Canvas& canvas, const Picture& picture, const HeatLayout& layout, Point origin,
                      double width, double height) {
  TextStyle style{.size = small_size, .colour = picture.theme.text, .across = 1.0, .shorten = 80.0};
  const int64_t rows = label_step(layout.cell_height, small_size * 1.25);
  for (int64_t r = 0; r < picture.slice.rows; r += rows)
    canvas.text(origin.x - 4.0, origin.y + (static_cast<double>(r) + 0.5) * layout.cell_height,
                label_of(picture.slice.row_axis, r), style);
  style.upward = layout.upward;
  style.across = layout.upward ? 1.0 : 0.5;
  style.down = layout.upward ? 0.5 : 0.0;
  const int64_t columns = label_step(layout.cell_width, layout.upward ? small_size * 1.25 : 1.0);
  for (int64_t c = 0; c < picture.slice.columns; c += columns)
    canvas.text(origin.x + (static_cast<double>(c) + 0.5) * layout.cell_width, origin.y + height + 4.0,
                label_of(picture.slice.column_axis, c), style);
  TextStyle axis{.size = text_size, .colour = picture.theme.muted, .across = 0.5};
  canvas.text(origin.x + width / 2, origin.y + height + layout.below - axis_room / 2,
              name_of(picture.slice.column_axis), axis);
  axis.upward = true;
  canvas.text(origin.x - layout.left + axis_room / 2, origin.y + height / 2, name_of(picture.slice.row_axis),
              axis);
}

// The number in the cell too, where it fits: colour never carries meaning alone.
void draw_numbers(Canvas& canvas, const Picture& picture, const HeatLayout& layout, Point origin) {
  TextStyle style{.size = std::min({small_size, layout.cell_width * 0.34, layout.cell_height * 0.7}),
                  .across = 0.5};
  if (style.size < 4.0) return;
  const FieldSlice& slice = picture.slice;
  for (int64_t r = 0; r < slice.rows; ++r)
    for (int64_t c = 0; c < slice.columns; ++c) {
      const double value = slice.at(r, c);
      const bool number = std::isfinite(value);
      const Rgb colour = number ? picture.scale.colour(value) : picture.theme.masked;
      const double light = 0.299 * colour.r + 0.587 * colour.g + 0.114 * colour.b;
      style.colour = light > 140.0 ? Rgb{16, 16, 16} : Rgb{255, 255, 255};
      canvas.text(origin.x + (static_cast<double>(c) + 0.5) * layout.cell_width,
                  origin.y + (static_cast<double>(r) + 0.5) * layout.cell_height,
                  !number                  ? "\u2013"
                  : std::abs(value) < 10.0 ? fmt::format("{:.2f}", value)
                                           : short_number(value),
                  style);
    }
}

void draw_heat(Canvas& canvas, const Picture& picture, const HeatLayout& layout, Point origin) {
  const FieldSlice& slice = picture.slice;
  Pixels cells(slice.columns, slice.rows);
  for (int64_t r = 0; r < slice.rows; ++r)
    for (int64_t c = 0; c < slice.columns; ++c) {
      const float value = slice.at(r, c);
      cells.at(c, r) = std::isfinite(value) ? picture.scale.colour(value) : picture.theme.masked;
    }
  const double width = layout.cell_width * static_cast<double>(slice.columns),
               height = layout.cell_height * static_cast<double>(slice.rows);
  canvas.image(origin, {layout.cell_width, layout.cell_height}, {width, height}, cells);
  canvas.frame(origin.x, origin.y, width, height, 0.5, picture.theme.line);
  draw_numbers(canvas, picture, layout, origin);
  draw_heat_labels(canvas, picture, layout, origin, width, height);
  const double bar = std::clamp(height, shortest_bar, 160.0);
  const std::string quantity = quantity_of(picture.field);  // the title has it too
  const bool fits = canvas.measure(quantity, {.size = text_size, .colour = {}}).width <= bar;
  draw_scale_bar(canvas, picture.theme, {origin.x + width, origin.y}, bar, picture.scale,
                 fits ? quantity : picture.field.unit, "no value");
}

void draw_curve(Canvas& canvas, const Picture& picture, Point origin, double width) {
  const FieldSlice& slice = picture.slice;
  // The numbers' own range, with 0 in it.
  double low = 0.0, high = 0.0;
  for (const float value : slice.values)
    if (std::isfinite(value)) low = std::min<double>(low, value), high = std::max<double>(high, value);
  if (high <= low) high = low + 1.0;
  ColourScale axis = picture.scale;
  axis.low = low;
  axis.high = high;
  const double step = width / static_cast<double>(std::max<int64_t>(slice.columns, 1));
  const auto y_of = [&](double value) { return origin.y + curve_height * (high - value) / (high - low); };
  canvas.line({origin.x, origin.y}, {origin.x, origin.y + curve_height}, 0.6, picture.theme.line);
  canvas.line({origin.x, y_of(0.0)}, {origin.x + width, y_of(0.0)}, 0.6, picture.theme.line);
  const TextStyle number{.size = small_size, .colour = picture.theme.text, .across = 1.0};
  for (const ScaleTick& tick : scale_ticks(axis))
    canvas.text(origin.x - 4.0, origin.y + curve_height * (1.0 - tick.height), tick.text, number);
  std::vector<Point> points;
  for (int64_t c = 0; c < slice.columns; ++c)
    points.push_back({origin.x + (static_cast<double>(c) + 0.5) * step, y_of(slice.at(0, c))});
  canvas.path(points, 1.2, picture.theme.run_a, false);
  TextStyle label{.size = small_size,
                  .colour = picture.theme.text,
                  .across = 1.0,
                  .down = 0.5,
                  .upward = true,
                  .shorten = 70.0};
  const int64_t every = label_step(step, small_size * 1.25);
  for (int64_t c = 0; c < slice.columns; c += every)
    canvas.text(points[static_cast<size_t>(c)].x, origin.y + curve_height + 4.0,
                label_of(slice.column_axis, c), label);
}

}  // namespace

Result<void> write_field_figure(const Field& field, std::span<const int64_t> held, const ResultOrigin& origin,
                                const FigureOptions& options, const std::filesystem::path& path) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  Picture picture{field,
                  slice_of(field, held),
                  scale_of(field.kind, field.values.values(), options.scale.palette),
                  Theme::of(options.dark),
                  {},
                  {}};
  if (picture.slice.values.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the field '{}' holds no numbers to draw", field.name));
  const std::string where = picture.slice.where.empty() ? "" : ", " + picture.slice.where;
  picture.title = quantity_of(field) + where;
  picture.caption = caption_of(quantity_of(field) + where, origin) +
                    (options.caption.empty() ? "" : " " + options.caption) + " " +
                    origin_sentence(origin.run);
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const double page_width = options.width_mm * points_per_mm, text_width = page_width - 2 * page_margin;
  const double top =
      page_margin + draw_title(ruler, picture.theme, text_width, picture.title, origin.title, true);
  const HeatLayout heat = lay_out_heat(ruler, picture, text_width);
  const double height =
      picture.slice.has_rows
          ? std::max(heat.cell_height * static_cast<double>(picture.slice.rows), shortest_bar + 16.0) +
                heat.below
          : curve_height + 78.0;
  const double caption_top = top + height + 8.0;
  const double page_height = caption_top +
                             ruler.measure(picture.caption, caption_style(picture.theme, text_width)).height +
                             page_margin;
  SACCADE_TRY(Canvas canvas,
              Canvas::open(format, {page_width, page_height}, options.dpi, picture.theme.page));
  draw_title(canvas, picture.theme, text_width, picture.title, origin.title, false);
  if (picture.slice.has_rows)
    draw_heat(canvas, picture, heat, {page_margin + heat.left, top});
  else
    draw_curve(canvas, picture, {page_margin + curve_left, top}, text_width - curve_left);
  canvas.text(page_margin, caption_top, picture.caption, caption_style(picture.theme, text_width));
  SACCADE_TRY(const std::string bytes, canvas.finish(metadata_of(picture.title, picture.caption, origin.run,
                                                                 {{"figure", "field"},
                                                                  {"field", field.name},
                                                                  {"method", origin.method},
                                                                  {"parameters", origin.parameters}})));
  return write_text_file(path, bytes);
}

}  // namespace saccade
