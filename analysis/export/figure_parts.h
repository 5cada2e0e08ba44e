// What the figures share: page measures, numbers as text, axis ticks, the scale bar, the caption block,
// provenance.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "analysis/export/canvas.h"
#include "analysis/export/figure.h"

namespace saccade {

constexpr double points_per_mm = 72.0 / 25.4;
constexpr double page_margin = 12.0;  // points, all sides
constexpr double title_size = 10.5;
constexpr double text_size = 7.5;
constexpr double small_size = 6.5;

// Refuses sizes that are not numbers, too narrow for the figure, absurd, or would not fit a PNG.
constexpr double narrowest_mm = 80.0, narrowest_comparison_mm = 130.0;
[[nodiscard]] Result<void> check_page(const FigureOptions& options, FigureFormat format,
                                      double narrowest = narrowest_mm);

// A value with the digits it deserves: 0.25, 12.4, 1.2e-05.
[[nodiscard]] std::string short_number(double value);
// 1, 2 or 5 times a power of ten, at least `least`.
[[nodiscard]] double nice_step(double least);

struct ScaleTick {
  double height = 0.0;  // [0, 1] along the bar
  std::string text;
};
[[nodiscard]] std::vector<ScaleTick> scale_ticks(const ColourScale& scale);
// "viridis, log, 0.0001 to 1"
[[nodiscard]] std::string describe(const ColourScale& scale);

// The vertical colour bar with numbers at its right and `label` (quantity, unit, mode) along it; a swatch
// named `masked` under it when that is not empty.
constexpr double scale_bar_width = 66.0;  // with everything beside it
constexpr double shortest_bar = 64.0;
void draw_scale_bar(Canvas& canvas, const Theme& theme, Point top_left, double height,
                    const ColourScale& scale, const std::string& label, const std::string& masked);

// Labels of one edge of a map: the tokens, or positions where tokens would not fit.
struct EdgeLabels {
  std::vector<std::string> tokens;  // shortened, one per cell; empty = positions
  int64_t begin = 0, end = 0;
  double size = text_size;  // of the text
  double depth = 0.0;       // how far the labels reach from the map
  bool upward = false;      // tokens of columns, turned
};
[[nodiscard]] EdgeLabels edge_labels(Canvas& ruler, const std::vector<Token>& tokens, int64_t begin,
                                     int64_t end, double cell, bool columns);
void draw_row_labels(Canvas& canvas, const Theme& theme, Point top_right, double cell,
                     const EdgeLabels& labels);
void draw_column_labels(Canvas& canvas, const Theme& theme, Point top_left, double cell,
                        const EdgeLabels& labels);

// Title and, when not empty, the line under it; the height both take with the gap below.
double draw_title(Canvas& canvas, const Theme& theme, double width, const std::string& title,
                  const std::string& under, bool measure_only);
[[nodiscard]] TextStyle caption_style(const Theme& theme, double width);

// The edits of a run, the first few when there are many; "" without edits.
[[nodiscard]] std::string edits_text(const Provenance& provenance);
// "Request 0123..., kernels avx2, f32, cpu; saccade 0.1.0, 2026-01-02T03:04:05Z."
[[nodiscard]] std::string origin_sentence(const Provenance& provenance);
[[nodiscard]] nlohmann::json to_json(const Provenance& provenance);
[[nodiscard]] FigureMetadata metadata_of(const std::string& title, const std::string& caption,
                                         const Provenance& provenance, nlohmann::json details);

// Lengths that become whole device pixels in a PNG, so that equal cells are equally large.
struct PixelGrid {
  double pixel = 0.0;  // points per device pixel; 0 = vector
  PixelGrid(FigureFormat format, double dpi) : pixel(format == FigureFormat::png ? 72.0 / dpi : 0.0) {}
  [[nodiscard]] double position(double at) const;
  [[nodiscard]] double cell(double size) const;  // rounded down when that costs little
};

}  // namespace saccade
