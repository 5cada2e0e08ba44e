// Two columns over the heads, a point each, on paper.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/export/figure_parts.h"
#include "analysis/export/result_figures.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double left_room = 52.0, below_room = 32.0, dot = 3.2;

std::string quantity_of(const HeadColumn& column) {
  return column.unit.empty() ? column.label : column.label + " (" + column.unit + ")";
}

// The numbers' own range, widened a little so that no point stands on the frame.
ColourScale range_of(const HeadColumn& column) {
  ColourScale range;
  range.low = INFINITY;
  range.high = -INFINITY;
  for (const float value : column.values.values())
    if (std::isfinite(value)) {
      range.low = std::min<double>(range.low, value);
      range.high = std::max<double>(range.high, value);
    }
  if (!(range.low <= range.high)) range.low = 0.0, range.high = 1.0;
  const double pad = range.high > range.low ? 0.05 * (range.high - range.low) : 0.5;
  range.low -= pad;
  range.high += pad;
  return range;
}

struct Frame {
  Point corner;
  double width = 0.0, height = 0.0;
  ColourScale x, y;
  [[nodiscard]] Point at(double a, double b) const {
    return {corner.x + width * x.height(a), corner.y + height * (1.0 - y.height(b))};
  }
};

void draw_axes(Canvas& canvas, const Theme& theme, const Frame& frame, const HeadColumn& x,
               const HeadColumn& y) {
  canvas.frame(frame.corner.x, frame.corner.y, frame.width, frame.height, 0.6, theme.line);
  TextStyle number{.size = small_size, .colour = theme.text, .across = 0.5, .down = 0.0};
  for (const ScaleTick& tick : scale_ticks(frame.x))
    canvas.text(frame.corner.x + frame.width * tick.height, frame.corner.y + frame.height + 3.0, tick.text,
                number);
  number.across = 1.0;
  number.down = 0.5;
  for (const ScaleTick& tick : scale_ticks(frame.y))
    canvas.text(frame.corner.x - 4.0, frame.corner.y + frame.height * (1.0 - tick.height), tick.text, number);
  TextStyle axis{.size = text_size, .colour = theme.text, .across = 0.5};
  canvas.text(frame.corner.x + frame.width / 2, frame.corner.y + frame.height + 22.0, quantity_of(x), axis);
  axis.upward = true;
  canvas.text(frame.corner.x - left_room + 8.0, frame.corner.y + frame.height / 2, quantity_of(y), axis);
}

void draw_points(Canvas& canvas, const Theme& theme, const Frame& frame, const HeadColumn& x,
                 const HeadColumn& y, std::span<const HeadId> named) {
  const int64_t heads = x.values.shape()[1];
  for (int64_t at = 0; at < x.values.size(); ++at) {
    const double a = x.values.data()[at], b = y.values.data()[at];
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const Point centre = frame.at(a, b);
    const HeadId head{LayerIndex{static_cast<int32_t>(at / heads)},
                      HeadIndex{static_cast<int32_t>(at % heads)}};
    const bool is_named = std::find(named.begin(), named.end(), head) != named.end();
    canvas.fill(centre.x - dot / 2, centre.y - dot / 2, dot, dot, is_named ? theme.run_b : theme.run_a);
    if (is_named)
      canvas.text(centre.x + dot, centre.y - dot, to_string(head),
                  {.size = small_size, .colour = theme.text, .down = 1.0});
  }
}

}  // namespace

Result<void> write_scatter_figure(const HeadColumn& x, const HeadColumn& y, std::span<const HeadId> named,
                                  const ResultOrigin& origin, const FigureOptions& options,
                                  const std::filesystem::path& path) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  if (x.values.shape() != y.values.shape() || x.values.shape().size() != 2)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("'{}' and '{}' are not about the same heads", x.label, y.label));
  const Theme theme = Theme::of(options.dark);
  const Correlation both = correlation_of(x, y);
  const std::string title = y.label + " against " + x.label;
  const std::string under = fmt::format("Pearson r {:.2f}, Spearman \u03c1 {:.2f}, {} heads", both.pearson,
                                        both.spearman, both.heads);
  const std::string caption = caption_of(title + " of every head; " + under, origin) + " " +
                              (options.caption.empty() ? "" : options.caption + " ") +
                              origin_sentence(origin.run);
  const double page_width = options.width_mm * points_per_mm, text_width = page_width - 2 * page_margin;
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const double top = page_margin + draw_title(ruler, theme, text_width, title, under, true);
  const double width = std::min(text_width - left_room - 8.0, 360.0);
  const Frame frame{{page_margin + left_room, top}, width, width * 0.72, range_of(x), range_of(y)};
  const double caption_top = top + frame.height + below_room + 8.0;
  const double page_height =
      caption_top + ruler.measure(caption, caption_style(theme, text_width)).height + page_margin;
  SACCADE_TRY(Canvas canvas, Canvas::open(format, {page_width, page_height}, options.dpi, theme.page));
  draw_title(canvas, theme, text_width, title, under, false);
  draw_axes(canvas, theme, frame, x, y);
  draw_points(canvas, theme, frame, x, y, named);
  canvas.text(page_margin, caption_top, caption, caption_style(theme, text_width));
  SACCADE_TRY(const std::string bytes,
              canvas.finish(metadata_of(
                  title, caption, origin.run,
                  {{"figure", "scatter"}, {"x", x.name}, {"y", y.name}, {"method", origin.method}})));
  return write_text_file(path, bytes);
}

}  // namespace saccade
