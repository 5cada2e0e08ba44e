#include "analysis/export/field_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/export/figure_parts.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr int64_t most_cells = 400;
constexpr double narrowest_field_mm = 110.0;
constexpr double axis_room = 11.0, bars_height = 120.0;

struct Sheet {
  const Field* field = nullptr;
  int64_t rows = 1, columns = 1;
  double cell = 0.0, row_pitch = 0.0;                       // width and height of a cell, points
  double left = 0.0, top = 0.0, width = 0.0, height = 0.0;  // of the cells
  double text_width = 0.0, caption_top = 0.0;
  Size page;
  std::string title, under, caption;
};

std::string label_of(const Axis& axis, int64_t index) {
  if (index < static_cast<int64_t>(axis.labels.size())) return axis.labels[static_cast<size_t>(index)];
  return axis.kind == AxisKind::layer ? fmt::format("L{}", index) : std::to_string(index);
}

// Labels at every n-th cell, so that they do not run into each other; `depth` is how far they reach.
struct Ruled {
  int64_t every = 1;
  double depth = 0.0;
  bool upward = false;
};
constexpr double longest_label = 76.0;

Ruled rule(Canvas& ruler, const Axis& axis, int64_t count, double pitch, bool columns) {
  Ruled ruled;
  double longest = 0.0, height = 0.0;
  const TextStyle style{.size = small_size};
  for (int64_t i = 0; i < count; ++i) {
    const Size size = ruler.measure(label_of(axis, i), style);
    longest = std::max(longest, std::min(size.width, longest_label));
    height = std::max(height, size.height);
  }
  ruled.upward = columns && longest + 2.0 > pitch && !axis.labels.empty();
  const double along = columns && !ruled.upward ? longest + 3.0 : height;
  ruled.every = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(along / pitch)));
  ruled.depth = columns && !ruled.upward ? height : longest;
  return ruled;
}

void draw_labels(Canvas& canvas, const Theme& theme, const Sheet& sheet, const Ruled& rows,
                 const Ruled& columns) {
  const auto& axes = sheet.field->axes;
  TextStyle style{.size = small_size, .colour = theme.text};
  style.shorten = longest_label;
  style.upward = columns.upward;
  style.across = columns.upward ? 0.0 : 0.5;
  style.down = columns.upward ? 0.5 : 1.0;
  for (int64_t c = 0; c < sheet.columns; c += columns.every)
    canvas.text(sheet.left + (static_cast<double>(c) + 0.5) * sheet.cell, sheet.top - 3.0,
                label_of(axes.back(), c), style);
  style.upward = false;
  style.across = 1.0;
  style.down = 0.5;
  if (axes.size() == 2)
    for (int64_t r = 0; r < sheet.rows; r += rows.every)
      canvas.text(sheet.left - 4.0, sheet.top + (static_cast<double>(r) + 0.5) * sheet.row_pitch,
                  label_of(axes.front(), r), style);
  TextStyle name{.size = text_size, .colour = theme.muted, .across = 0.5};
  canvas.text(sheet.left + sheet.width / 2.0, sheet.top - columns.depth - 4.0 - axis_room / 2.0,
              axes.back().name, name);
  if (axes.size() < 2) return;
  name.upward = true;
  canvas.text(sheet.left - rows.depth - 6.0 - axis_room / 2.0, sheet.top + sheet.height / 2.0,
              axes.front().name, name);
}

// The number in the cell too, where it fits: colour never carries meaning alone.
void draw_cells(Canvas& canvas, const Theme& theme, const Sheet& sheet, const ColourScale& scale) {
  const double size = std::min({small_size, sheet.cell * 0.34, sheet.row_pitch * 0.6});
  for (int64_t r = 0; r < sheet.rows; ++r)
    for (int64_t c = 0; c < sheet.columns; ++c) {
      const double value = sheet.field->values.data()[r * sheet.columns + c];
      const Rgb colour = std::isfinite(value) ? scale.colour(value) : theme.masked;
      const double x = sheet.left + static_cast<double>(c) * sheet.cell;
      const double y = sheet.top + static_cast<double>(r) * sheet.row_pitch;
      const double gap = std::min(1.0, 0.06 * std::min(sheet.cell, sheet.row_pitch));
      canvas.fill(x, y, sheet.cell - gap, sheet.row_pitch - gap, colour);
      if (size < 4.0) continue;
      const double light = 0.299 * colour.r + 0.587 * colour.g + 0.114 * colour.b;
      TextStyle style{.size = size, .across = 0.5};
      style.colour = light > 140.0 ? Rgb{16, 16, 16} : Rgb{255, 255, 255};
      canvas.text(x + sheet.cell / 2.0, y + sheet.row_pitch / 2.0,
                  std::isfinite(value)
                      ? (std::abs(value) < 10.0 ? fmt::format("{:.2f}", value) : short_number(value))
                      : "\u2013",
                  style);
    }
}

void draw_bars(Canvas& canvas, const Theme& theme, const Sheet& sheet, const ColourScale& scale) {
  const double low = std::min(0.0, scale.low), high = std::max(scale.high, low + 1e-12);
  const auto height_of = [&](double value) {
    return sheet.top + sheet.height * (1.0 - (std::clamp(value, low, high) - low) / (high - low));
  };
  const double zero = height_of(0.0);
  for (int64_t c = 0; c < sheet.columns; ++c) {
    const double value = sheet.field->values.data()[c];
    if (!std::isfinite(value)) continue;
    const double y = height_of(value), x = sheet.left + static_cast<double>(c) * sheet.cell;
    canvas.fill(x + 0.1 * sheet.cell, std::min(y, zero), 0.8 * sheet.cell, std::max(0.4, std::abs(zero - y)),
                value < 0.0 ? theme.run_b : theme.run_a);
  }
  canvas.line({sheet.left, zero}, {sheet.left + sheet.width, zero}, 0.5, theme.line);
  const TextStyle style{.size = small_size, .colour = theme.text, .across = 0.0};
  for (const double value : {low, high})
    canvas.text(sheet.left + sheet.width + 4.0, height_of(value), short_number(value), style);
}

std::string quantity_of(const Field& field) {
  return field.unit.empty() ? field.label : fmt::format("{} ({})", field.label, field.unit);
}

Result<void> check_field(const Field& field) {
  if (field.axes.empty() || field.axes.size() > 2 || field.values.shape().size() != field.axes.size())
    return make_error(ErrorCode::unsupported,
                      fmt::format("a figure of '{}' needs a field of one or two axes, this one has {}",
                                  field.name, field.axes.size()));
  for (const int64_t side : field.values.shape())
    if (side < 1 || side > most_cells)
      return make_error(ErrorCode::unsupported,
                        fmt::format("a figure of '{}' shows from 1 to {} cells on a side, the field has {}",
                                    field.name, most_cells, side));
  return {};
}

}  // namespace

ColourScale scale_of(const Field& field) {
  double low = 0.0, high = 0.0;
  for (int64_t i = 0; i < field.values.size(); ++i) {
    const double value = field.values.data()[i];
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  ColourScale scale;
  if (field.kind == ValueKind::signed_difference) {
    scale.palette = Palette::red_blue;
    scale.high = std::max({-low, high, 1e-12});
    scale.low = -scale.high;
  } else if (field.kind == ValueKind::magnitude) {
    scale.low = low;
    scale.high = std::max(high, low + 1e-12);
  }
  return scale;
}

Result<void> write_field_figure(const Field& field, const Provenance& run, const FigureOptions& options,
                                const std::filesystem::path& path) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  SACCADE_CHECK(check_field(field));
  const bool bars = field.axes.size() == 1;
  Sheet sheet;
  sheet.field = &field;
  sheet.columns = field.values.shape().back();
  sheet.rows = bars ? 1 : field.values.shape().front();
  sheet.title = fmt::format("{} \u00b7 {}", field.label, run.model_name);
  sheet.under = run.edits.empty() ? "" : "edits: " + edits_text(run);
  sheet.caption =
      fmt::format("{}{}. {}", quantity_of(field),
                  bars ? fmt::format(" by {}", field.axes[0].name)
                       : fmt::format(": {} down, {} across", field.axes[0].name, field.axes[1].name),
                  bars ? "" : fmt::format("Colour: {}. ", describe(options.scale)));
  if (!options.caption.empty()) sheet.caption += options.caption + " ";
  sheet.caption += origin_sentence(run);
  const Theme theme = Theme::of(options.dark);
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const PixelGrid pixels(format, options.dpi);
  sheet.text_width = options.width_mm * points_per_mm - 2 * page_margin;
  const Ruled rows = bars ? Ruled{} : rule(ruler, field.axes.front(), sheet.rows, 9.0, false);
  const double left_room = bars ? 4.0 : rows.depth + 6.0 + axis_room;
  const double room = sheet.text_width - left_room - scale_bar_width;
  sheet.cell = pixels.cell(std::min(room / static_cast<double>(sheet.columns), 34.0));
  // A field of few columns does not need the whole width.
  sheet.text_width =
      std::clamp(left_room + sheet.cell * static_cast<double>(sheet.columns) + scale_bar_width,
                 std::min(narrowest_field_mm * points_per_mm, sheet.text_width), sheet.text_width);
  // Few columns make large cells; many rows keep the page from growing without end.
  sheet.row_pitch = bars ? bars_height
                         : pixels.cell(std::clamp(std::max(sheet.cell, 11.0), 3.0,
                                                  500.0 / static_cast<double>(sheet.rows) + 3.0));
  const Ruled row_rule = bars ? Ruled{} : rule(ruler, field.axes.front(), sheet.rows, sheet.row_pitch, false);
  const Ruled columns = rule(ruler, field.axes.back(), sheet.columns, sheet.cell, true);
  sheet.width = sheet.cell * static_cast<double>(sheet.columns);
  sheet.height = sheet.row_pitch * static_cast<double>(sheet.rows);
  sheet.left = pixels.position(page_margin + left_room);
  sheet.top = pixels.position(page_margin + columns.depth + axis_room + 6.0 +
                              draw_title(ruler, theme, sheet.text_width, sheet.title, sheet.under, true));
  sheet.caption_top = sheet.top + std::max(sheet.height, shortest_bar) + 24.0;
  sheet.page = {sheet.text_width + 2 * page_margin,
                sheet.caption_top +
                    ruler.measure(sheet.caption, caption_style(theme, sheet.text_width)).height +
                    page_margin};
  SACCADE_TRY(Canvas canvas, Canvas::open(format, sheet.page, options.dpi, theme.page));
  draw_title(canvas, theme, sheet.text_width, sheet.title, sheet.under, false);
  draw_labels(canvas, theme, sheet, row_rule, columns);
  if (bars) {
    draw_bars(canvas, theme, sheet, options.scale);
  } else {
    draw_cells(canvas, theme, sheet, options.scale);
    canvas.frame(sheet.left, sheet.top, sheet.width, sheet.height, 0.4, theme.line);
    const double bar = std::max(sheet.height, shortest_bar);
    const bool fits = ruler.measure(quantity_of(field), {.size = text_size}).width <= bar;
    const std::string beside_bar = fits ? quantity_of(field) : field.unit;  // the whole name is in the title
    draw_scale_bar(canvas, theme, {sheet.left + sheet.width, sheet.top}, bar, options.scale, beside_bar,
                   "no value");
  }
  canvas.text(page_margin, sheet.caption_top, sheet.caption, caption_style(theme, sheet.text_width));
  const nlohmann::json details{
      {"figure", "field"}, {"field", field.name}, {"colour", describe(options.scale)}};
  SACCADE_TRY(const std::string bytes, canvas.finish(metadata_of(sheet.title, sheet.caption, run, details)));
  return write_text_file(path, bytes);
}

}  // namespace saccade
