// A circuit on paper: the window's layout, scaled to the page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/export/figure_parts.h"
#include "analysis/export/result_figures.h"
#include "core/base/files.h"

namespace saccade {
namespace {

ColourScale scale_of(const CircuitGraph& graph) {
  ColourScale scale;
  scale.palette = Palette::red_blue;
  scale.high = std::max(graph.strongest(), 1e-12);
  scale.low = -scale.high;
  return scale;
}

struct Page {
  const CircuitGraph& graph;
  const CircuitLayout& layout;
  ColourScale scale;
  Theme theme;
  Point origin;       // of the layout
  double unit = 1.0;  // points for one of the layout's

  [[nodiscard]] Point at(CircuitPoint point) const {
    return {origin.x + point.x * unit, origin.y + point.y * unit};
  }
};

// Strong colours only: the middle of a diverging map is the page's white.
Rgb ink_of(const Page& page, double effect) {
  const double share = page.scale.high > 0.0 ? effect / page.scale.high : 0.0;
  const double shown = std::copysign(0.45 + 0.55 * std::abs(share), effect);
  return page.scale.colour(shown * page.scale.high);
}

void draw_edges(Canvas& canvas, const Page& page) {
  for (const CircuitLayout::Edge& edge : page.layout.edges) {
    const double effect = page.graph.edges()[edge.edge].effect;
    std::vector<Point> points;
    for (const CircuitPoint point : edge.path) points.push_back(page.at(point));
    canvas.path(points, edge.width * page.unit, ink_of(page, effect), effect < 0.0);
  }
}

void draw_nodes(Canvas& canvas, const Page& page) {
  const double width = CircuitLayout::node_width * page.unit, height = CircuitLayout::node_height * page.unit;
  for (const CircuitLayout::Row& row : page.layout.rows)
    canvas.text(page.origin.x, page.origin.y + row.y * page.unit, row.label,
                {.size = std::min(small_size, 9.0 * page.unit), .colour = page.theme.muted});
  for (const CircuitLayout::Node& node : page.layout.nodes) {
    const Point centre = page.at(node.centre);
    canvas.fill(centre.x - width / 2, centre.y - height / 2, width, height, page.theme.page);
    canvas.frame(centre.x - width / 2, centre.y - height / 2, width, height, 0.8, page.theme.text);
    canvas.text(centre.x, centre.y, page.graph.nodes()[node.node].name,
                {.size = std::min(text_size, 10.0 * page.unit),
                 .colour = page.theme.text,
                 .across = 0.5,
                 .shorten = width - 2.0});
  }
}

}  // namespace

Result<void> write_circuit_figure(const CircuitGraph& graph, size_t edges, const ResultOrigin& origin,
                                  const FigureOptions& options, const std::filesystem::path& path) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format));
  if (graph.edges().empty())
    return make_error(ErrorCode::invalid_argument, "the circuit has no edges to draw");
  edges = std::clamp<size_t>(edges, 1, graph.edges().size());
  const double page_width = options.width_mm * points_per_mm, text_width = page_width - 2 * page_margin;
  const double room = text_width - scale_bar_width;
  const CircuitLayout layout = lay_out(graph, edges, room);
  Page page{graph, layout, scale_of(graph), Theme::of(options.dark), {}, std::min(1.0, room / layout.width)};
  const std::string title = "Circuit \u00b7 " + origin.title;
  const std::string caption =
      caption_of(fmt::format("The {} strongest of {} edges, from {} on", edges, graph.edges().size(),
                             short_number(std::abs(graph.edges()[edges - 1].effect))),
                 origin) +
      " Inputs at the bottom, the answer at the top; width and colour give the effect, dashed is negative." +
      (options.caption.empty() ? "" : " " + options.caption) + " " + origin_sentence(origin.run);
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  const double top = page_margin + draw_title(ruler, page.theme, text_width, title, {}, true);
  const double height = std::max(layout.height * page.unit, shortest_bar);
  const double caption_top = top + height + 10.0;
  const double page_height =
      caption_top + ruler.measure(caption, caption_style(page.theme, text_width)).height + page_margin;
  page.origin = {page_margin, top};
  SACCADE_TRY(Canvas canvas, Canvas::open(format, {page_width, page_height}, options.dpi, page.theme.page));
  draw_title(canvas, page.theme, text_width, title, {}, false);
  draw_edges(canvas, page);
  draw_nodes(canvas, page);
  draw_scale_bar(canvas, page.theme, {page_margin + room, top}, std::min(height, 150.0), page.scale, "effect",
                 {});
  canvas.text(page_margin, caption_top, caption, caption_style(page.theme, text_width));
  SACCADE_TRY(const std::string bytes, canvas.finish(metadata_of(title, caption, origin.run,
                                                                 {{"figure", "circuit"},
                                                                  {"method", origin.method},
                                                                  {"parameters", origin.parameters},
                                                                  {"edges", edges}})));
  return write_text_file(path, bytes);
}

}  // namespace saccade
