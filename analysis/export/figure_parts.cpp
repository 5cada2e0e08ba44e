#include "analysis/export/figure_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

namespace saccade {

Result<void> check_page(const FigureOptions& options, FigureFormat format, double narrowest) {
  if (!(options.width_mm >= narrowest && options.width_mm <= 2000.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a figure's width must be from {} to 2000 mm, found {}", narrowest, options.width_mm));
  if (format != FigureFormat::png) return {};
  if (!(options.dpi >= 36.0 && options.dpi <= 2400.0))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a PNG's resolution must be from 36 to 2400 dots per inch, found {}", options.dpi));
  const double pixels = options.width_mm * options.dpi / 25.4;
  if (pixels > 16000.0)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the PNG would be {:.0f} pixels wide, expected at most 16000; choose a smaller width "
                    "or fewer dots per inch",
                    pixels));
  return {};
}

std::string short_number(double value) {
  if (value == 0.0) return "0";
  const double size = std::abs(value);
  if (size < 1e-3 || size >= 1e5) {
    const std::string text = fmt::format("{:.1e}", value);
    const auto zero = text.find(".0e");  // 1.0e-04 is 1e-04
    return zero == std::string::npos ? text : text.substr(0, zero) + text.substr(zero + 2);
  }
  return fmt::format("{:.3g}", value);
}

double nice_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * (1.0 - 1e-9)) return factor * power;
  return 10.0 * power;
}

namespace {

// A step that puts a tick on both ends where one of 1, 2, 2.5, 5 times a power of ten does; else a nice one.
double tick_step(double low, double high) {
  const double range = high - low;
  const double power = std::pow(10.0, std::floor(std::log10(range)));
  const auto whole = [](double ratio) { return std::abs(ratio - std::round(ratio)) < 1e-6; };
  for (double factor : {1.0, 0.5, 0.2, 2.0, 0.25, 2.5, 0.1}) {
    const double step = factor * power, count = range / step;
    if (count > 3.5 && count < 6.5 && whole(low / step) && whole(high / step)) return step;
  }
  return nice_step(range / 5.0);
}

}  // namespace

std::vector<ScaleTick> scale_ticks(const ColourScale& scale) {
  std::vector<ScaleTick> ticks;
  if (scale.mode == SinkMode::logarithmic) {
    const int first = static_cast<int>(std::ceil(std::log10(scale.log_floor) - 1e-9));
    const int last = static_cast<int>(std::floor(std::log10(scale.high) + 1e-9));
    for (int decade = first; decade <= last; ++decade) {
      const double value = std::pow(10.0, decade);
      // The bar's lowest colour is that of everything at or below the floor.
      ticks.push_back({decade == first && value <= scale.log_floor * 1.0001 ? 0.0 : scale.height(value),
                       (value <= scale.log_floor * 1.0001 ? "\u2264" : "") + short_number(value)});
    }
    return ticks;
  }
  const double range = scale.high - scale.low;
  if (!(range > 0.0)) return ticks;
  const double step = tick_step(scale.low, scale.high);
  int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  if (std::abs(std::round(step * std::pow(10.0, decimals)) - step * std::pow(10.0, decimals)) > 1e-6)
    ++decimals;
  for (double k = std::ceil(scale.low / step - 1e-9); k * step <= scale.high + step * 1e-6; ++k) {
    const double value = std::abs(k) < 0.5 ? 0.0 : k * step;
    const std::string text =
        decimals > 4 ? short_number(std::abs(value)) : fmt::format("{:.{}f}", std::abs(value), decimals);
    ticks.push_back({(value - scale.low) / range, (value < 0.0 ? "\u2212" : "") + text});
  }
  return ticks;
}

std::string describe(const ColourScale& scale) {
  const double low = scale.mode == SinkMode::logarithmic ? scale.log_floor : scale.low;
  return fmt::format("{}, {}, {} to {}", to_string(scale.palette), to_string(scale.mode), short_number(low),
                     short_number(scale.high));
}

void draw_scale_bar(Canvas& canvas, const Theme& theme, Point top_left, double height,
                    const ColourScale& scale, const std::string& label, const std::string& masked) {
  constexpr double bar = 8.0, gap = 12.0;
  const double x = top_left.x + gap, y = top_left.y;
  Pixels ramp(1, 256);
  const auto& table = table_of(scale.palette);
  for (int64_t i = 0; i < 256; ++i) ramp.at(0, i) = table[static_cast<size_t>(255 - i)];
  canvas.image({x, y}, {bar, height / 256.0}, {bar, height}, ramp);
  canvas.frame(x, y, bar, height, 0.5, theme.line);
  double widest = 0.0;
  TextStyle number{.size = small_size, .colour = theme.text};
  for (const ScaleTick& tick : scale_ticks(scale)) {
    const double at = y + height * (1.0 - tick.height);
    canvas.line({x + bar, at}, {x + bar + 2.5, at}, 0.5, theme.text);
    canvas.text(x + bar + 4.5, at, tick.text, number);
    widest = std::max(widest, canvas.measure(tick.text, number).width);
  }
  TextStyle along{.size = small_size, .colour = theme.muted, .across = 0.5, .down = 0.5, .upward = true};
  // Beside a short bar the quantity alone; the caption names the mode.
  const bool fits = canvas.measure(label, along).width <= height + 12.0;
  canvas.text(x + bar + 4.5 + widest + 8.0, y + height / 2.0,
              fits ? label : label.substr(0, label.find(" \u00b7 ")), along);
  if (masked.empty()) return;
  const double below = y + height + 9.0;
  canvas.fill(x, below, bar, 6.0, theme.masked);
  canvas.text(x + bar + 4.5, below + 3.0, masked, {.size = small_size, .colour = theme.muted});
}

EdgeLabels edge_labels(Canvas& ruler, const std::vector<Token>& tokens, int64_t begin, int64_t end,
                       double cell, bool columns) {
  constexpr double smallest = 4.6, deepest = 62.0;
  EdgeLabels labels;
  labels.begin = begin;
  labels.end = end;
  labels.size = std::min(text_size, cell * 0.82);
  if (labels.size < smallest) {
    labels.size = small_size;
    const TextStyle style{.size = labels.size, .colour = {}};
    labels.depth = (columns ? 8.0 : ruler.measure(std::to_string(end), style).width) + 5.0;
    return labels;
  }
  TextStyle style{.size = labels.size, .colour = {}};
  double widest = 0.0;
  for (int64_t at = begin; at < end; ++at) {
    labels.tokens.push_back(display_text(tokens[static_cast<size_t>(at)], true, 16));
    widest = std::max(widest, ruler.measure(labels.tokens.back(), style).width);
  }
  labels.upward = columns && widest > cell - 3.0;
  labels.depth = columns && !labels.upward ? labels.size * 1.3 + 3.0 : std::min(widest, deepest) + 4.0;
  return labels;
}

void draw_row_labels(Canvas& canvas, const Theme& theme, Point top_right, double cell,
                     const EdgeLabels& labels) {
  TextStyle style{.size = labels.size, .colour = theme.text, .across = 1.0};
  style.shorten = labels.depth;
  const auto middle = [&](int64_t at) {
    return top_right.y + (static_cast<double>(at - labels.begin) + 0.5) * cell;
  };
  if (!labels.tokens.empty()) {
    for (int64_t at = labels.begin; at < labels.end; ++at)
      canvas.text(top_right.x - 4.0, middle(at), labels.tokens[static_cast<size_t>(at - labels.begin)],
                  style);
    return;
  }
  const auto step = static_cast<int64_t>(std::max(nice_step(24.0 / cell), 1.0));
  for (int64_t at = (labels.begin + step - 1) / step * step; at < labels.end; at += step) {
    canvas.line({top_right.x - 3.0, middle(at)}, {top_right.x, middle(at)}, 0.5, theme.text);
    canvas.text(top_right.x - 5.0, middle(at), std::to_string(at), style);
  }
}

void draw_column_labels(Canvas& canvas, const Theme& theme, Point top_left, double cell,
                        const EdgeLabels& labels) {
  const auto middle = [&](int64_t at) {
    return top_left.x + (static_cast<double>(at - labels.begin) + 0.5) * cell;
  };
  TextStyle style{.size = labels.size, .colour = theme.text};
  if (!labels.tokens.empty()) {
    style.upward = labels.upward;
    style.across = labels.upward ? 1.0 : 0.5;
    style.down = labels.upward ? 0.5 : 0.0;
    if (labels.upward) style.shorten = labels.depth;
    for (int64_t at = labels.begin; at < labels.end; ++at)
      canvas.text(middle(at), top_left.y + 4.0, labels.tokens[static_cast<size_t>(at - labels.begin)], style);
    return;
  }
  style.across = 0.5;
  style.down = 0.0;
  const auto step = static_cast<int64_t>(std::max(nice_step(30.0 / cell), 1.0));
  for (int64_t at = (labels.begin + step - 1) / step * step; at < labels.end; at += step) {
    canvas.line({middle(at), top_left.y}, {middle(at), top_left.y + 3.0}, 0.5, theme.text);
    canvas.text(middle(at), top_left.y + 4.5, std::to_string(at), style);
  }
}

double draw_title(Canvas& canvas, const Theme& theme, double width, const std::string& title,
                  const std::string& under, bool measure_only) {
  TextStyle style{.size = title_size, .colour = theme.text, .bold = true, .down = 0.0};
  style.shorten = width;
  double height = canvas.measure(title, style).height;
  if (!measure_only) canvas.text(page_margin, page_margin, title, style);
  if (!under.empty()) {
    TextStyle second{.size = text_size, .colour = theme.muted, .down = 0.0};
    second.wrap = width;
    if (!measure_only) canvas.text(page_margin, page_margin + height + 2.0, under, second);
    height += 2.0 + canvas.measure(under, second).height;
  }
  return height + 8.0;
}

TextStyle caption_style(const Theme& theme, double width) {
  TextStyle style{.size = text_size, .colour = theme.text, .down = 0.0};
  style.wrap = width;
  return style;
}

std::string edits_text(const Provenance& provenance) {
  // A sweep's list would fill the page; the metadata holds all of it.
  constexpr size_t most = 8;
  const auto shown = std::span(provenance.edits).first(std::min(most, provenance.edits.size()));
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (shown.size() < provenance.edits.size())
    text += fmt::format(" and {} more", provenance.edits.size() - shown.size());
  return text;
}

std::string origin_sentence(const Provenance& provenance) {
  std::string text;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) text += (text.empty() ? "" : ", ") + part;
  };
  if (!provenance.request.empty()) add(fmt::format("request {}", provenance.request));
  add(provenance.program);
  if (!provenance.kernels.empty()) add(fmt::format("{} kernels", provenance.kernels));
  add(provenance.dtype);
  add(provenance.device);
  add(provenance.created);
  if (text.empty()) return text;
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

nlohmann::json to_json(const Provenance& provenance) {
  return {{"request", provenance.request},
          {"model", provenance.model_name},
          {"model_where", provenance.model_where},
          {"model_digest", provenance.model_digest},
          {"edits", provenance.edits},
          {"prompt", provenance.prompt},
          {"kernels", provenance.kernels},
          {"dtype", provenance.dtype},
          {"device", provenance.device},
          {"program", provenance.program},
          {"created", provenance.created},
          {"seconds", provenance.seconds}};
}

FigureMetadata metadata_of(const std::string& title, const std::string& caption, const Provenance& provenance,
                           nlohmann::json details) {
  details["title"] = title;
  details["run"] = to_json(provenance);
  return {title, caption, details.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
          provenance.program, provenance.created};
}

double PixelGrid::position(double at) const { return pixel > 0.0 ? std::round(at / pixel) * pixel : at; }

double PixelGrid::cell(double size) const {
  return pixel > 0.0 && size / pixel >= 6.0 ? std::floor(size / pixel) * pixel : size;
}

}  // namespace saccade
