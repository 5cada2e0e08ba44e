#include "analysis/export/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>
#include <fmt/format.h>
#include <pango/pangocairo.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace saccade {
namespace {

struct Release {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* cairo) const { cairo_destroy(cairo); }
  void operator()(PangoLayout* layout) const { g_object_unref(layout); }
  void operator()(PangoFontDescription* font) const { pango_font_description_free(font); }
  void operator()(cairo_font_options_t* options) const { cairo_font_options_destroy(options); }
  void operator()(char* text) const { g_free(text); }
};
template <class T>
using Held = std::unique_ptr<T, Release>;

cairo_status_t append_bytes(void* closure, const unsigned char* bytes, unsigned int count) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(bytes), count);
  return CAIRO_STATUS_SUCCESS;
}

Error cairo_error(cairo_status_t status, const char* step) {
  const auto code = status == CAIRO_STATUS_NO_MEMORY ? ErrorCode::out_of_memory : ErrorCode::internal;
  return make_error(
      code, fmt::format("drawing the figure failed while {}: {}", step, cairo_status_to_string(status)));
}

void set_colour(cairo_t* cairo, Rgb colour) {
  cairo_set_source_rgb(cairo, colour.r / 255.0, colour.g / 255.0, colour.b / 255.0);
}

}  // namespace

Theme Theme::of(bool dark) {
  if (dark)
    return {{22, 24, 28},       {232, 234, 237}, {160, 166, 173}, {92, 96, 102},
            masked_colour_dark, {120, 170, 240}, {244, 152, 72}};
  return {{255, 255, 255}, {26, 28, 32},  {92, 98, 106}, {176, 180, 186},
          masked_colour,   {38, 84, 158}, {226, 122, 40}};
}

struct Canvas::State {
  FigureFormat format = FigureFormat::png;
  bool ruler = false;
  double dpi = 72.0;
  std::string bytes;  // what the surface streams into; outlives it
  Held<cairo_surface_t> surface;
  Held<cairo_t> cairo;

  [[nodiscard]] Held<PangoLayout> layout(const std::string& text, const TextStyle& style) const {
    Held<PangoLayout> made(pango_cairo_create_layout(cairo.get()));
    PangoContext* context = pango_layout_get_context(made.get());
    // One pango point is one unit of the page, and no hinting: line breaks are the same in every format.
    pango_cairo_context_set_resolution(context, 72.0);
    Held<cairo_font_options_t> options(cairo_font_options_create());
    cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(context, options.get());
    pango_context_set_round_glyph_positions(context, FALSE);
    Held<PangoFontDescription> font(pango_font_description_from_string("DejaVu Sans, Sans"));
    pango_font_description_set_size(font.get(), static_cast<int>(std::lround(style.size * PANGO_SCALE)));
    if (style.bold) pango_font_description_set_weight(font.get(), PANGO_WEIGHT_BOLD);
    pango_layout_set_font_description(made.get(), font.get());
    Held<char> valid(g_utf8_make_valid(text.data(), static_cast<gssize>(text.size())));
    pango_layout_set_text(made.get(), valid.get(), -1);
    if (style.wrap > 0.0) {
      pango_layout_set_width(made.get(), static_cast<int>(style.wrap * PANGO_SCALE));
      pango_layout_set_wrap(made.get(), PANGO_WRAP_WORD_CHAR);
      pango_layout_set_line_spacing(made.get(), 1.15F);
    } else {
      pango_layout_set_single_paragraph_mode(made.get(), TRUE);
    }
    if (style.shorten > 0.0) {
      pango_layout_set_width(made.get(), static_cast<int>(style.shorten * PANGO_SCALE));
      pango_layout_set_ellipsize(made.get(), PANGO_ELLIPSIZE_END);
    }
    return made;
  }
};

Canvas::Canvas(std::unique_ptr<State> state) : state_(std::move(state)) {}
Canvas::~Canvas() = default;
Canvas::Canvas(Canvas&&) noexcept = default;
Canvas& Canvas::operator=(Canvas&&) noexcept = default;

Result<Canvas> Canvas::ruler() {
  auto state = std::make_unique<State>();
  state->ruler = true;
  state->surface.reset(cairo_recording_surface_create(CAIRO_CONTENT_COLOR, nullptr));
  state->cairo.reset(cairo_create(state->surface.get()));
  if (const auto status = cairo_status(state->cairo.get()); status != CAIRO_STATUS_SUCCESS)
    return cairo_error(status, "measuring text");
  return Canvas(std::move(state));
}

Result<Canvas> Canvas::open(FigureFormat format, Size page, double dpi, Rgb background) {
  auto state = std::make_unique<State>();
  state->format = format;
  state->dpi = dpi;
  switch (format) {
    case FigureFormat::png: {
      const auto pixels = [&](double points) { return static_cast<int>(std::lround(points * dpi / 72.0)); };
      state->surface.reset(
          cairo_image_surface_create(CAIRO_FORMAT_RGB24, pixels(page.width), pixels(page.height)));
      break;
    }
    case FigureFormat::svg:
      state->surface.reset(
          cairo_svg_surface_create_for_stream(append_bytes, &state->bytes, page.width, page.height));
      cairo_svg_surface_set_document_unit(state->surface.get(), CAIRO_SVG_UNIT_PT);
      break;
    case FigureFormat::pdf:
      state->surface.reset(
          cairo_pdf_surface_create_for_stream(append_bytes, &state->bytes, page.width, page.height));
      break;
  }
  state->cairo.reset(cairo_create(state->surface.get()));
  if (const auto status = cairo_status(state->cairo.get()); status != CAIRO_STATUS_SUCCESS)
    return cairo_error(status, "making the page");
  if (format == FigureFormat::png) cairo_scale(state->cairo.get(), dpi / 72.0, dpi / 72.0);
  set_colour(state->cairo.get(), background);
  cairo_paint(state->cairo.get());
  return Canvas(std::move(state));
}

Size Canvas::measure(const std::string& text, const TextStyle& style) {
  const auto layout = state_->layout(text, style);
  int width = 0, height = 0;
  pango_layout_get_size(layout.get(), &width, &height);
  return {static_cast<double>(width) / PANGO_SCALE, static_cast<double>(height) / PANGO_SCALE};
}

void Canvas::text(double x, double y, const std::string& text, const TextStyle& style) {
  const auto layout = state_->layout(text, style);
  // An ellipsized layout is as wide as its limit; the ink is what the anchor is about.
  PangoRectangle logical;
  pango_layout_get_extents(layout.get(), nullptr, &logical);
  const double left = static_cast<double>(logical.x) / PANGO_SCALE;
  const double width = static_cast<double>(logical.width) / PANGO_SCALE;
  const double height = static_cast<double>(logical.height) / PANGO_SCALE;
  cairo_t* cairo = state_->cairo.get();
  cairo_save(cairo);
  cairo_translate(cairo, x, y);
  if (style.upward) cairo_rotate(cairo, -M_PI / 2.0);
  cairo_translate(cairo, -left - style.across * width, -style.down * height);
  set_colour(cairo, style.colour);
  pango_cairo_show_layout(cairo, layout.get());
  cairo_restore(cairo);
}

void Canvas::fill(double x, double y, double width, double height, Rgb colour) {
  set_colour(state_->cairo.get(), colour);
  cairo_rectangle(state_->cairo.get(), x, y, width, height);
  cairo_fill(state_->cairo.get());
}

void Canvas::frame(double x, double y, double width, double height, double line, Rgb colour) {
  set_colour(state_->cairo.get(), colour);
  cairo_set_line_width(state_->cairo.get(), line);
  cairo_rectangle(state_->cairo.get(), x - line / 2, y - line / 2, width + line, height + line);
  cairo_stroke(state_->cairo.get());
}

void Canvas::line(Point from, Point to, double width, Rgb colour) {
  const std::array<Point, 2> points{from, to};
  path(points, width, colour, false);
}

void Canvas::path(std::span<const Point> points, double width, Rgb colour, bool dashed) {
  cairo_t* cairo = state_->cairo.get();
  cairo_save(cairo);
  set_colour(cairo, colour);
  cairo_set_line_width(cairo, width);
  cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
  const std::array<double, 2> dashes{3.0, 1.8};
  if (dashed) cairo_set_dash(cairo, dashes.data(), 2, 0.0);
  bool pen_down = false;
  for (const Point& point : points) {
    if (!std::isfinite(point.y)) {  // a gap in a curve
      pen_down = false;
    } else if (pen_down) {
      cairo_line_to(cairo, point.x, point.y);
    } else {
      cairo_move_to(cairo, point.x, point.y);
      pen_down = true;
    }
  }
  cairo_stroke(cairo);
  cairo_restore(cairo);
}

void Canvas::disc(Point centre, double radius, Rgb colour, double opacity) {
  cairo_t* cairo = state_->cairo.get();
  cairo_save(cairo);
  cairo_arc(cairo, centre.x, centre.y, radius, 0.0, 2.0 * M_PI);
  cairo_set_source_rgba(cairo, colour.r / 255.0, colour.g / 255.0, colour.b / 255.0, opacity);
  cairo_fill_preserve(cairo);
  cairo_set_source_rgba(cairo, 0.0, 0.0, 0.0, 0.8);
  cairo_set_line_width(cairo, 0.5);
  cairo_stroke(cairo);
  cairo_restore(cairo);
}

void Canvas::image(Point at, Size cell, Size clip, const Pixels& pixels) {
  if (pixels.width == 0 || pixels.height == 0) return;
  Held<cairo_surface_t> surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(pixels.width),
                                                           static_cast<int>(pixels.height)));
  if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS) {
    // Cairo's way: the error sticks to the drawing and finish() reports it.
    cairo_set_source_surface(state_->cairo.get(), surface.get(), 0, 0);
    return;
  }
  unsigned char* data = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int64_t row = 0; row < pixels.height; ++row) {
    auto* out = reinterpret_cast<uint32_t*>(data + row * stride);
    const Rgb* in = pixels.colours.data() + row * pixels.width;
    for (int64_t column = 0; column < pixels.width; ++column)
      out[column] = static_cast<uint32_t>(in[column].r) << 16 | static_cast<uint32_t>(in[column].g) << 8 |
                    static_cast<uint32_t>(in[column].b);
  }
  cairo_surface_mark_dirty(surface.get());
  cairo_t* cairo = state_->cairo.get();
  cairo_save(cairo);
  cairo_translate(cairo, at.x, at.y);
  cairo_set_antialias(cairo, CAIRO_ANTIALIAS_NONE);
  const double width = cell.width * static_cast<double>(pixels.width);
  const double height = cell.height * static_cast<double>(pixels.height);
  if (width > clip.width * 1.0001 || height > clip.height * 1.0001) {
    cairo_rectangle(cairo, 0, 0, clip.width, clip.height);
    cairo_clip(cairo);
  }
  // Painted, not filled: in an SVG that is a plain placed image, where a fill would be a pattern that viewers
  // blur.
  cairo_scale(cairo, cell.width, cell.height);
  cairo_set_source_surface(cairo, surface.get(), 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
  cairo_paint(cairo);
  cairo_restore(cairo);
}

Result<std::string> Canvas::finish(const FigureMetadata& given) {
  State& state = *state_;
  const auto valid = [](const std::string& text) {
    return std::string(Held<char>(g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()))).get());
  };
  const FigureMetadata metadata{valid(given.title), valid(given.caption), valid(given.provenance),
                                valid(given.program), valid(given.created)};
  if (state.ruler) return make_error(ErrorCode::internal, "a measuring canvas has no page to finish");
  if (const auto status = cairo_status(state.cairo.get()); status != CAIRO_STATUS_SUCCESS)
    return cairo_error(status, "drawing");
  cairo_surface_t* surface = state.surface.get();
  if (state.format == FigureFormat::pdf) {
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, metadata.title.c_str());
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_SUBJECT, metadata.caption.c_str());
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_KEYWORDS, metadata.provenance.c_str());
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, metadata.program.c_str());
    if (!metadata.created.empty())
      cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, metadata.created.c_str());
  }
  if (state.format == FigureFormat::png)
    cairo_surface_write_to_png_stream(surface, append_bytes, &state.bytes);
  cairo_surface_finish(surface);
  if (const auto status = cairo_surface_status(surface); status != CAIRO_STATUS_SUCCESS)
    return cairo_error(status, "writing the page");
  switch (state.format) {
    case FigureFormat::png:
      return png_with_metadata(state.bytes, metadata, state.dpi);
    case FigureFormat::svg:
      return svg_with_metadata(state.bytes, metadata);
    case FigureFormat::pdf:
      break;
  }
  return std::move(state.bytes);
}

}  // namespace saccade
