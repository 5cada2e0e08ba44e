// Canvas: one page drawn with cairo and pango, in points (1/72 inch), x to the right, y down. The same calls
// make a PNG, an SVG or a PDF; the bytes come out of finish(). Text that is not UTF-8 is repaired, never
// refused. Thread: one canvas per thread. Errors: out_of_memory and internal from cairo, named.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/colour.h"
#include "analysis/export/figure.h"
#include "analysis/export/metadata.h"

namespace saccade {

// Row-major opaque pixels.
struct Pixels {
  int64_t width = 0, height = 0;
  std::vector<Rgb> colours;

  Pixels() = default;
  Pixels(int64_t w, int64_t h) : width(w), height(h), colours(static_cast<size_t>(w * h)) {}
  Rgb& at(int64_t x, int64_t y) { return colours[static_cast<size_t>(y * width + x)]; }
};

struct Theme {
  Rgb page, text, muted, line, masked;
  Rgb run_a, run_b;  // told apart by lightness too

  static Theme of(bool dark);
};

struct TextStyle {
  double size = 7.5;  // points
  Rgb colour = {};
  bool bold = false;
  double across = 0.0;   // which part of the text stands at x: 0 left end, 0.5 middle, 1 right end
  double down = 0.5;     // which part stands at y: 0 top, 0.5 middle, 1 bottom
  bool upward = false;   // turned by 90 degrees, reading from bottom to top, about (x, y)
  double wrap = 0.0;     // wrap at this width; 0 = one line
  double shorten = 0.0;  // cut with an ellipsis at this width; 0 = never
};

struct Size {
  double width = 0.0, height = 0.0;
};
struct Point {
  double x = 0.0, y = 0.0;
};

class Canvas {
 public:
  // A canvas that only measures; finish() on it is an error.
  static Result<Canvas> ruler();
  static Result<Canvas> open(FigureFormat format, Size page, double dpi, Rgb background);
  ~Canvas();
  Canvas(Canvas&&) noexcept;
  Canvas& operator=(Canvas&&) noexcept;

  [[nodiscard]] Size measure(const std::string& text, const TextStyle& style);
  void text(double x, double y, const std::string& text, const TextStyle& style);
  void fill(double x, double y, double width, double height, Rgb colour);
  void frame(double x, double y, double width, double height, double line, Rgb colour);
  void line(Point from, Point to, double width, Rgb colour);
  void path(std::span<const Point> points, double width, Rgb colour, bool dashed);
  // A filled circle with a thin dark rim; opacity 0 to 1.
  void disc(Point centre, double radius, Rgb colour, double opacity);
  // Every pixel becomes a sharp rectangle of `cell` (nearest neighbour); what reaches past `clip` is cut.
  void image(Point at, Size cell, Size clip, const Pixels& pixels);

  // The finished file.
  Result<std::string> finish(const FigureMetadata& metadata);

 private:
  struct State;
  explicit Canvas(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace saccade
