#include "analysis/colour.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace saccade {
namespace {

constexpr std::array<Palette, 6> all_palettes{Palette::viridis, Palette::magma, Palette::grey,
                                              Palette::cividis, Palette::jet,   Palette::red_blue};
constexpr std::array<SinkMode, 4> all_modes{SinkMode::as_is, SinkMode::logarithmic, SinkMode::hide_sinks,
                                            SinkMode::renormalise};

using Colours = std::array<Rgb, 256>;

Colours from_opencv(int map) {
  cv::Mat ramp(1, 256, CV_8UC1);
  for (int i = 0; i < 256; ++i) ramp.at<uint8_t>(0, i) = static_cast<uint8_t>(i);
  cv::Mat coloured;
  cv::applyColorMap(ramp, coloured, map);
  Colours colours;
  for (int i = 0; i < 256; ++i) {
    const auto& bgr = coloured.at<cv::Vec3b>(0, i);
    colours[static_cast<size_t>(i)] = {bgr[2], bgr[1], bgr[0]};
  }
  return colours;
}

Colours grey_ramp() {
  Colours colours;
  for (size_t i = 0; i < 256; ++i) {
    const auto level = static_cast<uint8_t>(i);
    colours[i] = {level, level, level};
  }
  return colours;
}

// Blue below, red above, both ends equally dark so that neither sign looks stronger; told apart by every
// common kind of colour blindness. The two middle entries are white: zero is exactly white.
Colours diverging() {
  using Stops = std::array<std::array<double, 3>, 4>;
  constexpr Stops blue{{{255, 255, 255}, {150, 196, 228}, {44, 112, 184}, {12, 54, 128}}};
  constexpr Stops red{{{255, 255, 255}, {244, 172, 140}, {204, 62, 58}, {136, 10, 34}}};
  Colours colours;
  for (size_t i = 0; i < 256; ++i) {
    const double away = (std::abs(static_cast<double>(i) - 127.5) - 0.5) / 127.0;  // 0 white, 1 end
    const Stops& stops = i < 128 ? blue : red;
    const double at = away * 3.0;
    const auto from = std::min<size_t>(static_cast<size_t>(at), 2);
    const double part = at - static_cast<double>(from);
    const auto mix = [&](size_t channel) {
      const double value = stops[from][channel] * (1.0 - part) + stops[from + 1][channel] * part;
      return static_cast<uint8_t>(std::lround(value));
    };
    colours[i] = {mix(0), mix(1), mix(2)};
  }
  return colours;
}

}  // namespace

std::span<const Palette> palettes() { return all_palettes; }

const char* to_string(Palette palette) {
  switch (palette) {
    case Palette::viridis:
      return "viridis";
    case Palette::magma:
      return "magma";
    case Palette::grey:
      return "grey";
    case Palette::cividis:
      return "cividis";
    case Palette::jet:
      return "jet";
    case Palette::red_blue:
      return "red-blue";
  }
  return "viridis";
}

Result<Palette> parse_palette(std::string_view name) {
  std::string known;
  for (Palette palette : all_palettes) {
    if (name == to_string(palette)) return palette;
    known += known.empty() ? "" : ", ";
    known += to_string(palette);
  }
  if (name == "gray") return Palette::grey;
  if (name == "red_blue") return Palette::red_blue;
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("there is no colour map '{}'; the choices are {}", name, known));
}

const std::array<Rgb, 256>& table_of(Palette palette) {
  static const Colours viridis = from_opencv(cv::COLORMAP_VIRIDIS);
  static const Colours magma = from_opencv(cv::COLORMAP_MAGMA);
  static const Colours cividis = from_opencv(cv::COLORMAP_CIVIDIS);
  static const Colours jet = from_opencv(cv::COLORMAP_JET);
  static const Colours grey = grey_ramp();
  static const Colours red_blue = diverging();
  switch (palette) {
    case Palette::viridis:
      return viridis;
    case Palette::magma:
      return magma;
    case Palette::grey:
      return grey;
    case Palette::cividis:
      return cividis;
    case Palette::jet:
      return jet;
    case Palette::red_blue:
      return red_blue;
  }
  return viridis;
}

const char* to_string(SinkMode mode) {
  switch (mode) {
    case SinkMode::as_is:
      return "as is";
    case SinkMode::logarithmic:
      return "log";
    case SinkMode::hide_sinks:
      return "hide sinks, keep scale";
    case SinkMode::renormalise:
      return "hide sinks, renormalise";
  }
  return "as is";
}

Result<SinkMode> parse_sink_mode(std::string_view name) {
  for (SinkMode mode : all_modes)
    if (name == to_string(mode)) return mode;
  // Short spellings for the command line.
  if (name == "as-is") return SinkMode::as_is;
  if (name == "hide") return SinkMode::hide_sinks;
  if (name == "renormalise" || name == "renormalize") return SinkMode::renormalise;
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("there is no display mode '{}'; the choices are as is, log, hide sinks, keep scale "
                  "(short: hide), hide sinks, renormalise (short: renormalise)",
                  name));
}

double ColourScale::height(double value, double sink_mass) const {
  if (mode == SinkMode::logarithmic) {
    const double span = std::log10(high / log_floor);
    if (!(value > log_floor) || !(span > 0.0)) return 0.0;
    return std::min(std::log10(value / log_floor) / span, 1.0);
  }
  if (mode == SinkMode::renormalise) {
    const double rest = 1.0 - sink_mass;
    // Less than float32's rounding of a row is left: what remains is noise, not attention.
    value = rest > 1e-6 ? value / rest : 0.0;
  }
  const double at = (value - low) / (high - low);
  return at > 0.0 ? std::min(at, 1.0) : 0.0;  // NaN and an empty range are the lowest colour
}

Rgb ColourScale::colour(double value, double sink_mass) const {
  return table_of(palette)[static_cast<size_t>(std::lround(height(value, sink_mass) * 255.0))];
}

}  // namespace saccade
