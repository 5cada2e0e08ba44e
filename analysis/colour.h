// Colour maps and the display modes for attention, shared by the window and the figures so that they never
// differ. Thread: any, no state. Sources: viridis and magma are van der Walt and Smith's (matplotlib),
// cividis is Nunez, Anderton and Renslow 2018, all three and jet as OpenCV tabulates them; red_blue is ours.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade {

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
};

enum class Palette { viridis, magma, grey, cividis, jet, red_blue };
[[nodiscard]] std::span<const Palette> palettes();
[[nodiscard]] const char* to_string(Palette palette);
[[nodiscard]] Result<Palette> parse_palette(std::string_view name);
[[nodiscard]] const std::array<Rgb, 256>& table_of(Palette palette);

// How probabilities become heights of the colour map. Sinks swamp everything, hence the modes; each one's
// name is written on every figure.
enum class SinkMode { as_is, logarithmic, hide_sinks, renormalise };
[[nodiscard]] const char* to_string(
    SinkMode mode);  // "as is", "log", "hide sinks, keep scale", "hide sinks, renormalise"
[[nodiscard]] Result<SinkMode> parse_sink_mode(std::string_view name);

struct ColourScale {
  Palette palette = Palette::viridis;
  SinkMode mode = SinkMode::as_is;
  double low = 0.0, high = 1.0;  // in probability (or value) units
  double log_floor = 1e-4;       // log mode: everything below shows as the lowest colour
  int64_t sink_keys = 1;         // keys hidden by the hide modes
  // Height in [0, 1] of a value; sink_mass is the row's mass on the hidden keys (renormalise divides by 1 -
  // it).
  [[nodiscard]] double height(double value, double sink_mass = 0.0) const;
  [[nodiscard]] Rgb colour(double value, double sink_mass = 0.0) const;
  // Whether this mode takes the column of `key` out of the picture (drawn as masked).
  [[nodiscard]] bool hides(int64_t key) const {
    return (mode == SinkMode::hide_sinks || mode == SinkMode::renormalise) && key < sink_keys;
  }
};

constexpr Rgb masked_colour{214, 214, 214};    // cells no query may see
constexpr Rgb masked_colour_dark{70, 73, 78};  // the same on a dark page

}  // namespace saccade
