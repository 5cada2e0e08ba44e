#include "analysis/export/picture_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/export/canvas.h"
#include "analysis/export/figure_parts.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double tallest = 1.35;  // height over the width of the text

struct Layout {
  double page_width = 0.0, page_height = 0.0, text_width = 0.0, caption_top = 0.0;
  Point picture;                                 // top left corner
  double width = 0.0, height = 0.0, zoom = 1.0;  // points per pixel of the original
};

Size original_size(const PictureFigure& figure) {
  if (figure.picture)
    return {static_cast<double>(figure.picture->width), static_cast<double>(figure.picture->height)};
  const ImageGeometry& g = figure.map.region.geometry;
  return {static_cast<double>(g.original_width), static_cast<double>(g.original_height)};
}

Layout lay_out(Canvas& ruler, const PictureFigure& figure, const FigureOptions& options,
               const std::string& caption) {
  const Theme theme = Theme::of(options.dark);
  const Size original = original_size(figure);
  Layout layout;
  layout.page_width = options.width_mm * points_per_mm;
  layout.text_width = layout.page_width - 2 * page_margin;
  const double room = layout.text_width - (figure.map.empty() ? 0.0 : scale_bar_width);
  layout.zoom = std::min(room / original.width, tallest * layout.text_width / original.height);
  layout.width = layout.zoom * original.width;
  layout.height = layout.zoom * original.height;
  layout.picture.x = page_margin + std::max(0.0, (room - layout.width) / 2.0);
  layout.picture.y =
      page_margin + draw_title(ruler, theme, layout.text_width, figure.title, figure.run.model_name, true);
  const double high = figure.map.empty() ? layout.height : std::max(layout.height, shortest_bar + 18.0);
  layout.caption_top = layout.picture.y + high + 10.0;
  layout.page_height = layout.caption_top +
                       ruler.measure(caption, caption_style(theme, layout.text_width)).height + page_margin;
  return layout;
}

void draw_picture(Canvas& canvas, const PictureFigure& figure, const FigureOptions& options,
                  FigureFormat format, const Layout& layout) {
  // As many pixels as the page shows; a vector page as many as one sees.
  const double points = std::max(layout.width, layout.height);
  const auto longest = format == FigureFormat::png
                           ? static_cast<int64_t>(std::lround(points * options.dpi / 72.0))
                           : int64_t{1400};
  const Picture made =
      overlaid(figure.picture.get(), figure.map,
               {options.scale, figure.alpha, figure.smooth, std::clamp<int64_t>(longest, 16, 4096)});
  Pixels pixels(made.width, made.height);
  for (size_t i = 0; i < pixels.colours.size(); ++i)
    pixels.colours[i] = {made.rgb[3 * i], made.rgb[3 * i + 1], made.rgb[3 * i + 2]};
  canvas.image(layout.picture, {layout.width / made.width, layout.height / made.height},
               {layout.width, layout.height}, pixels);
  canvas.frame(layout.picture.x, layout.picture.y, layout.width, layout.height, 0.5,
               Theme::of(options.dark).line);
}

void draw_query(Canvas& canvas, const PictureFigure& figure, const Layout& layout) {
  if (figure.query_patch < 0 || figure.map.region.grid_width < 1) return;
  const PatchRect rect = rect_of(figure.map.region, figure.query_patch);
  const auto draw = [&](double line, Rgb colour) {
    canvas.frame(layout.picture.x + rect.x * layout.zoom + line,
                 layout.picture.y + rect.y * layout.zoom + line, rect.width * layout.zoom - 2 * line,
                 rect.height * layout.zoom - 2 * line, line, colour);
  };
  draw(1.6, {0, 0, 0});
  draw(1.0, {255, 140, 0});
}

void draw_paths(Canvas& canvas, const PictureFigure& figure, const Layout& layout) {
  const Size original = original_size(figure);
  const double radius = 0.022 * std::hypot(original.width, original.height) * layout.zoom;
  for (size_t p = 0; p < figure.paths.size(); ++p) {
    const auto& fixations = figure.paths[p].path.fixations;
    const Rgb colour = scanpath_colour(p);
    std::vector<Point> points;
    for (const Fixation& f : fixations)
      points.push_back({layout.picture.x + f.x * layout.zoom, layout.picture.y + f.y * layout.zoom});
    canvas.path(points, 2.4, {0, 0, 0}, false);
    canvas.path(points, 1.4, colour, false);
    for (size_t i = 0; i < points.size(); ++i)
      canvas.disc(points[i], radius * std::max(0.25, std::sqrt(fixations[i].duration / 250.0)), colour, 0.65);
    for (size_t i = 0; i < points.size(); ++i) {
      TextStyle style{.size = std::max(5.0, 0.9 * radius), .bold = true, .across = 0.5};
      for (const Point shift : {Point{0.4, 0}, Point{-0.4, 0}, Point{0, 0.4}, Point{0, -0.4}})
        canvas.text(points[i].x + shift.x, points[i].y + shift.y, std::to_string(i + 1), style);
      style.colour = {255, 255, 255};
      canvas.text(points[i].x, points[i].y, std::to_string(i + 1), style);
    }
  }
}

}  // namespace

std::string picture_caption(const PictureFigure& figure, const FigureOptions& options) {
  const ImageRegion& region = figure.map.region;
  std::string text = figure.title + ", over " + (region.name.empty() ? "the picture" : region.name);
  const std::string edits = edits_text(figure.run);
  if (!figure.run.model_name.empty()) text += " in " + figure.run.model_name;
  text += edits.empty() ? ", no edits." : "; edits: " + edits + ".";
  if (!figure.map.empty()) {
    text += fmt::format(" {} \u00d7 {} patches, {}.", region.grid_height, region.grid_width,
                        figure.smooth ? "bilinear between their middles" : "each in its own colour");
    if (figure.attention)
      text += fmt::format(" {:.1f} % of the row's attention is on the picture.", 100.0 * figure.map.sum());
    text += fmt::format(" Colour: {}; opacity {:.2g}.", describe(options.scale), figure.alpha);
    if (figure.query_patch >= 0) text += " The outlined patch is the query.";
  }
  for (size_t i = 0; i < figure.paths.size(); ++i)
    text += fmt::format(" Scanpath {}: {}, {} fixations; a disc's area is its dwell.", i + 1,
                        figure.paths[i].label, figure.paths[i].path.fixations.size());
  if (!figure.picture) text += " The picture itself was not kept.";
  if (!options.caption.empty()) text += " " + options.caption;
  const std::string origin = origin_sentence(figure.run);
  return origin.empty() ? text : text + " " + origin;
}

Result<void> write_picture_figure(const PictureFigure& figure, const FigureOptions& options,
                                  const std::filesystem::path& path) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  const Size original = original_size(figure);
  if (original.width < 1.0 || original.height < 1.0)
    return make_error(ErrorCode::invalid_argument, "there is no picture to draw: its size is not known");
  const std::string caption = picture_caption(figure, options);
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const Layout layout = lay_out(ruler, figure, options, caption);
  const Theme theme = Theme::of(options.dark);
  SACCADE_TRY(Canvas canvas,
              Canvas::open(format, {layout.page_width, layout.page_height}, options.dpi, theme.page));
  draw_title(canvas, theme, layout.text_width, figure.title, figure.run.model_name, false);
  draw_picture(canvas, figure, options, format, layout);
  draw_query(canvas, figure, layout);
  draw_paths(canvas, figure, layout);
  if (!figure.map.empty())
    draw_scale_bar(canvas, theme, {layout.picture.x + layout.width, layout.picture.y},
                   std::clamp(layout.height, shortest_bar, 200.0), options.scale, figure.quantity, "");
  canvas.text(page_margin, layout.caption_top, caption, caption_style(theme, layout.text_width));
  SACCADE_TRY(
      const std::string bytes,
      canvas.finish(metadata_of(figure.title, caption, figure.run,
                                {{"figure", "picture"},
                                 {"picture", figure.map.region.name},
                                 {"grid", {figure.map.region.grid_height, figure.map.region.grid_width}},
                                 {"colour", describe(options.scale)},
                                 {"opacity", figure.alpha}})));
  return write_text_file(path, bytes);
}

}  // namespace saccade
