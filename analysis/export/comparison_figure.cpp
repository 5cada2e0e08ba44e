#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/export/figure.h"
#include "analysis/export/figure_parts.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double heading_room = 16.0, bar_pitch = 17.0, bar_height = 6.2, panel_gap = 22.0;
constexpr size_t most_bars = 10;

struct Sheet {
  const Comparison& comparison;
  const Capture& a;
  const Capture& b;
  FigureOptions options;
  Theme theme;
  std::vector<NextTokenChange> bars;  // the most probable of either run, by probability in A
  std::string title, under, caption, numbers;
  double text_width = 0.0;
  double numbers_top = 0.0, panels_top = 0.0, panels_height = 0.0, heads_top = 0.0, heads_height = 0.0;
  double caption_top = 0.0, page_height = 0.0;

  [[nodiscard]] bool has_heads() const { return !comparison.pattern_change.values.empty(); }
  [[nodiscard]] bool has_loss() const {
    return comparison.same_tokens && !a.loss.empty() && a.loss.size() == b.loss.size();
  }
};

std::vector<NextTokenChange> choose_bars(const Comparison& comparison) {
  const auto higher = [](const NextTokenChange& change) {
    return std::max(change.probability_a, change.probability_b);
  };
  std::vector<NextTokenChange> bars = comparison.top;
  std::stable_sort(bars.begin(), bars.end(),
                   [&](const auto& x, const auto& y) { return higher(x) > higher(y); });
  if (bars.size() > most_bars) bars.resize(most_bars);
  std::stable_sort(bars.begin(), bars.end(),
                   [](const auto& x, const auto& y) { return x.probability_a > y.probability_a; });
  return bars;
}

std::string edits_or_none(const Capture& run) {
  return run.provenance.edits.empty() ? "no edits" : edits_text(run.provenance);
}

// "Mean loss 1.234 in A, 1.3 in B"; nothing without losses.
std::string numbers_text(const Sheet& sheet) {
  std::string text = fmt::format("KL(A \u2016 B) = {:.3g} nats     JS = {:.3g} nats", sheet.comparison.kl,
                                 sheet.comparison.js);
  if (sheet.has_loss())
    text += fmt::format("     mean loss: A {:.3f}, B {:.3f} nats", sheet.a.mean_loss(), sheet.b.mean_loss());
  return text;
}

std::string caption_text(const Sheet& sheet, const ColourScale& heads) {
  const Provenance &a = sheet.a.provenance, &b = sheet.b.provenance;
  std::string text = a.model_name == b.model_name
                         ? fmt::format("Two runs of {} on {} tokens", a.model_name, sheet.a.n_token())
                         : fmt::format("Runs of {} (A) and {} (B)", a.model_name, b.model_name);
  text += fmt::format(". A: {}; B: {}.", edits_or_none(sheet.a), edits_or_none(sheet.b));
  text += " Next tokens: the most probable ones of either run.";
  if (sheet.has_loss()) text += " Loss: \u2212ln p of each token given those before it.";
  if (sheet.has_heads())
    text += fmt::format(
        " Heads: share of attention that moved to other keys, half the absolute change of the mass each "
        "key receives, mean over queries; colour: {}.",
        describe(heads));
  if (!sheet.options.caption.empty()) text += " " + sheet.options.caption;
  for (const auto& [name, run] : {std::pair{"A", &a}, std::pair{"B", &b}})
    if (const std::string origin = origin_sentence(*run); !origin.empty())
      text += fmt::format(" {}: {}", name, origin);
  return text;
}

ColourScale heads_scale(const Sheet& sheet) {
  ColourScale scale;
  scale.palette =
      sheet.options.scale.palette == Palette::red_blue ? Palette::viridis : sheet.options.scale.palette;
  double most = 0.0;
  for (float value : sheet.comparison.pattern_change.values.values())
    if (std::isfinite(value)) most = std::max<double>(most, value);
  scale.high = most > 0.0 ? std::min(nice_step(most), 1.0) : 1.0;
  return scale;
}

void draw_heading(Canvas& canvas, const Sheet& sheet, Point at, const std::string& text) {
  canvas.text(at.x, at.y, text, {.size = 8.0, .colour = sheet.theme.text, .bold = true, .down = 0.0});
}

void draw_legend(Canvas& canvas, const Sheet& sheet, double right, double y, bool lines) {
  double x = right;
  const TextStyle style{.size = small_size, .colour = sheet.theme.text};
  for (const auto& [name, colour] : {std::pair{"B", sheet.theme.run_b}, std::pair{"A", sheet.theme.run_a}}) {
    x -= canvas.measure(name, style).width;
    canvas.text(x, y, name, style);
    x -= lines ? 17.0 : 11.0;
    const std::array<Point, 2> sample{{{x, y}, {x + 14.0, y}}};
    if (lines)
      canvas.path(sample, 1.2, colour, name[0] == 'B');
    else
      canvas.fill(x, y - 3.0, 8.0, 6.0, colour);
    x -= 8.0;
  }
}

std::string probability_text(double p) {
  return p >= 0.0005 || p == 0.0 ? fmt::format("{:.3f}", p) : short_number(p);
}

void draw_bars(Canvas& canvas, const Sheet& sheet, Point corner, double width) {
  draw_heading(canvas, sheet, corner, "Next token, probability");
  draw_legend(canvas, sheet, corner.x + width, corner.y + 5.0, false);
  const double widest = std::min(74.0, width * 0.4);
  const TextStyle label{.size = text_size, .colour = sheet.theme.text, .across = 1.0, .shorten = widest};
  const TextStyle number{.size = small_size, .colour = sheet.theme.text};
  std::vector<std::string> names;
  double label_room = 20.0, highest = 0.0;
  for (size_t i = 0; i < sheet.bars.size(); ++i) {
    const NextTokenChange& change = sheet.bars[i];
    names.push_back(display_text(Token{change.id, change.text}, true, 14));
    label_room = std::max(label_room, std::min(canvas.measure(names.back(), label).width, widest));
    highest = std::max({highest, change.probability_a, change.probability_b});
  }
  const double left = corner.x + label_room + 5.0, longest = width - label_room - 5.0 - 30.0;
  const double per_unit = highest > 0.0 ? longest / highest : 0.0;
  for (size_t i = 0; i < sheet.bars.size(); ++i) {
    const NextTokenChange& change = sheet.bars[i];
    const double y = corner.y + heading_room + static_cast<double>(i) * bar_pitch;
    canvas.text(left - 5.0, y + bar_height, names[i], label);
    const auto bar = [&](double top, double p, Rgb colour) {
      canvas.fill(left, top, std::max(p * per_unit, 0.4), bar_height, colour);
      canvas.text(left + p * per_unit + 3.0, top + bar_height / 2.0, probability_text(p), number);
    };
    bar(y, change.probability_a, sheet.theme.run_a);
    bar(y + bar_height + 0.4, change.probability_b, sheet.theme.run_b);
  }
  canvas.line({left, corner.y + heading_room - 2.0},
              {left, corner.y + heading_room + static_cast<double>(sheet.bars.size()) * bar_pitch - 2.0}, 0.5,
              sheet.theme.text);
}

// The curve of one run: loss[i] stands at token i + 1.
void draw_curve(Canvas& canvas, std::span<const float> loss, Point origin, Size step, Rgb colour,
                bool dashed) {
  std::vector<Point> points;
  for (size_t i = 0; i < loss.size(); ++i)
    points.push_back({origin.x + (static_cast<double>(i) + 0.5) * step.width,
                      origin.y - static_cast<double>(loss[i]) * step.height});
  if (points.size() == 1)
    points.push_back({points[0].x + 2.0, points[0].y});  // a curve of one point is a dash
  canvas.path(points, 1.1, colour, dashed);
}

void draw_loss(Canvas& canvas, const Sheet& sheet, Point corner, double width) {
  draw_heading(canvas, sheet, corner, "Loss of each token, nats");
  if (!sheet.has_loss()) {
    const TextStyle note{.size = text_size, .colour = sheet.theme.muted, .down = 0.0, .wrap = width};
    canvas.text(corner.x, corner.y + heading_room,
                sheet.comparison.same_tokens
                    ? "The runs kept no losses."
                    : "The runs read different tokens: their losses have no common positions.",
                note);
    return;
  }
  draw_legend(canvas, sheet, corner.x + width, corner.y + 5.0, true);
  double highest = 0.0;
  for (const auto* losses : {&sheet.a.loss, &sheet.b.loss})
    for (float loss : *losses)
      if (std::isfinite(loss)) highest = std::max<double>(highest, loss);
  const double step = nice_step(std::max(highest, 1e-3) / 5.0);
  const double top_value = std::max(step, std::ceil(highest / step - 1e-9) * step);
  const double axis_room = 20.0, left = corner.x + axis_room, plot_width = width - axis_room;
  const auto count = static_cast<int64_t>(sheet.a.loss.size());
  const double cell = plot_width / static_cast<double>(count);
  const EdgeLabels labels = edge_labels(canvas, sheet.a.tokens, 1, count + 1, cell, true);
  const double top = corner.y + heading_room;
  const double axis = labels.tokens.empty() ? 10.0 : 0.0;  // positions need to be called so, tokens do not
  const double bottom = corner.y + sheet.panels_height - labels.depth - axis - 2.0;
  const TextStyle number{.size = small_size, .colour = sheet.theme.text, .across = 1.0};
  for (double value = 0.0; value <= top_value + step * 1e-6; value += step) {
    const double y = bottom - (bottom - top) * value / top_value;
    canvas.line({left, y}, {left + plot_width, y}, 0.35, sheet.theme.line);
    canvas.text(left - 3.0, y, short_number(value), number);
  }
  draw_column_labels(canvas, sheet.theme, {left, bottom}, cell, labels);
  if (axis > 0.0)
    canvas.text(left + plot_width / 2.0, bottom + labels.depth + 2.0, "token position",
                {.size = small_size, .colour = sheet.theme.muted, .across = 0.5, .down = 0.0});
  const Size scale{cell, (bottom - top) / top_value};
  draw_curve(canvas, sheet.a.loss, {left, bottom}, scale, sheet.theme.run_a, false);
  draw_curve(canvas, sheet.b.loss, {left, bottom}, scale, sheet.theme.run_b, true);
}

double head_cell(const Sheet& sheet) {
  const auto& shape = sheet.comparison.pattern_change.values.shape();
  const double room = sheet.text_width * 0.55 - scale_bar_width - 22.0;
  return std::min({room / static_cast<double>(shape[1]), 260.0 / static_cast<double>(shape[0]), 24.0});
}

void draw_heads(Canvas& canvas, const Sheet& sheet) {
  draw_heading(canvas, sheet, {page_margin, sheet.heads_top}, "Attention moved, head by head");
  const auto& values = sheet.comparison.pattern_change.values;
  const int64_t layers = values.shape()[0], heads = values.shape()[1];
  const ColourScale scale = heads_scale(sheet);
  const double cell = head_cell(sheet);
  const Point corner{page_margin + 22.0, sheet.heads_top + heading_room + 10.0};
  Pixels cells(heads, layers);
  for (int64_t at = 0; at < values.size(); ++at)
    cells.colours[static_cast<size_t>(at)] =
        std::isfinite(values.data()[at]) ? scale.colour(values.data()[at]) : sheet.theme.masked;
  const Size all{cell * static_cast<double>(heads), cell * static_cast<double>(layers)};
  canvas.image(corner, {cell, cell}, all, cells);
  canvas.frame(corner.x, corner.y, all.width, all.height, 0.5, sheet.theme.line);
  TextStyle label{.size = small_size, .colour = sheet.theme.text, .across = 0.5, .down = 1.0};
  const auto every = static_cast<int64_t>(std::ceil(9.0 / cell));
  for (int64_t head = 0; head < heads; head += every)
    canvas.text(corner.x + (static_cast<double>(head) + 0.5) * cell, corner.y - 2.0, std::to_string(head),
                label);
  label.across = 1.0;
  label.down = 0.5;
  for (int64_t layer = 0; layer < layers; layer += every)
    canvas.text(corner.x - 4.0, corner.y + (static_cast<double>(layer) + 0.5) * cell,
                fmt::format("L{}", layer), label);
  draw_scale_bar(canvas, sheet.theme, {corner.x + all.width, corner.y}, std::max(all.height, 50.0), scale,
                 "share moved", "");
}

// One paragraph per finding; gives the height of all.
double draw_findings(Canvas& canvas, const Sheet& sheet, Point at, double width, bool measure_only) {
  const TextStyle style = caption_style(sheet.theme, width);
  double height = 0.0;
  for (const std::string& finding : sheet.comparison.findings) {
    if (!measure_only) canvas.text(at.x, at.y + height, finding, style);
    height += canvas.measure(finding, style).height + 4.0;
  }
  return height;
}

// Where the findings stand: beside the heads, or on the whole width without them.
std::pair<Point, double> findings_place(const Sheet& sheet) {
  if (!sheet.has_heads()) return {{page_margin, sheet.heads_top}, sheet.text_width};
  const auto heads = static_cast<double>(sheet.comparison.pattern_change.values.shape()[1]);
  const double used = 22.0 + head_cell(sheet) * heads + scale_bar_width + 14.0;
  return {{page_margin + used, sheet.heads_top}, sheet.text_width - used};
}

void lay_out(Canvas& ruler, Sheet& sheet) {
  sheet.text_width = sheet.options.width_mm * points_per_mm - 2 * page_margin;
  sheet.numbers_top =
      page_margin + draw_title(ruler, sheet.theme, sheet.text_width, sheet.title, sheet.under, true);
  sheet.panels_top = sheet.numbers_top + 20.0;
  sheet.panels_height = heading_room + std::max(static_cast<double>(sheet.bars.size()) * bar_pitch, 120.0);
  sheet.heads_top = sheet.panels_top + sheet.panels_height + 14.0;
  if (sheet.has_heads()) {
    const auto layers = static_cast<double>(sheet.comparison.pattern_change.values.shape()[0]);
    sheet.heads_height = heading_room + 10.0 + std::max(head_cell(sheet) * layers, 50.0) + 8.0;
  }
  const double findings = heading_room + draw_findings(ruler, sheet, {}, findings_place(sheet).second, true);
  sheet.caption_top = sheet.heads_top + std::max(sheet.heads_height, findings) + 12.0;
  sheet.page_height = sheet.caption_top +
                      ruler.measure(sheet.caption, caption_style(sheet.theme, sheet.text_width)).height +
                      page_margin;
}

void draw(Canvas& canvas, const Sheet& sheet) {
  draw_title(canvas, sheet.theme, sheet.text_width, sheet.title, sheet.under, false);
  canvas.text(page_margin, sheet.numbers_top, sheet.numbers,
              {.size = 8.5, .colour = sheet.theme.text, .down = 0.0, .shorten = sheet.text_width});
  const double left = sheet.text_width * 0.42;
  draw_bars(canvas, sheet, {page_margin, sheet.panels_top}, left);
  draw_loss(canvas, sheet, {page_margin + left + panel_gap, sheet.panels_top},
            sheet.text_width - left - panel_gap);
  if (sheet.has_heads()) draw_heads(canvas, sheet);
  const auto [corner, width] = findings_place(sheet);
  draw_heading(canvas, sheet, corner, "In words");
  draw_findings(canvas, sheet, {corner.x, corner.y + heading_room}, width, false);
  canvas.text(page_margin, sheet.caption_top, sheet.caption, caption_style(sheet.theme, sheet.text_width));
}

}  // namespace

Result<void> write_comparison_figure(const Comparison& comparison, const Capture& a, const Capture& b,
                                     const FigureOptions& options, const std::filesystem::path& path) {
  SACCADE_TRY(const FigureFormat format, figure_format_of(path));
  SACCADE_CHECK(check_page(options, format, narrowest_comparison_mm));
  Sheet sheet{comparison, a, b, options, Theme::of(options.dark), choose_bars(comparison), {}, {}, {}, {}};
  sheet.title = fmt::format("What changed \u00b7 {}", a.provenance.model_name);
  sheet.under = fmt::format("A: {}     B: {}", edits_or_none(a), edits_or_none(b));
  sheet.numbers = numbers_text(sheet);
  sheet.caption = caption_text(sheet, heads_scale(sheet));
  SACCADE_TRY(Canvas ruler, Canvas::ruler());
  lay_out(ruler, sheet);
  SACCADE_TRY(Canvas canvas, Canvas::open(format, {options.width_mm * points_per_mm, sheet.page_height},
                                          options.dpi, sheet.theme.page));
  draw(canvas, sheet);
  nlohmann::json details{{"figure", "comparison"},
                         {"kl", comparison.kl},
                         {"js", comparison.js},
                         {"run_b", to_json(b.provenance)}};
  SACCADE_TRY(const std::string bytes,
              canvas.finish(metadata_of(sheet.title, sheet.caption, a.provenance, std::move(details))));
  return write_text_file(path, bytes);
}

}  // namespace saccade
