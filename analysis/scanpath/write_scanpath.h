// Scanpaths on their way out: CSV that read_scanpaths() reads back the same, and an SVG figure of one or more
// paths over the picture: discs whose area grows with the dwell, numbered in order, joined by lines.
// Files are written whole or not at all. Thread: any.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "analysis/colour.h"
#include "analysis/scanpath/scanpath.h"

namespace saccade {

// subject, stimulus, trial, index, x, y, duration_ms, start_ms, word_index, image_width, image_height.
[[nodiscard]] std::string scanpaths_csv(std::span<const Scanpath> paths);
[[nodiscard]] Result<void> write_scanpaths_csv(std::span<const Scanpath> paths,
                                               const std::filesystem::path& path);

struct DrawnPath {
  Scanpath path;
  std::string label;  // in the legend; empty = describe(path)
};
struct ScanpathFigure {
  std::vector<DrawnPath> paths;             // all of one picture size; the first is drawn first
  std::span<const std::byte> picture = {};  // a JPEG, PNG, GIF or WebP file, embedded as it is; empty = grey
  std::string title;
  double radius = 0.0;  // pixels of a fixation of `dwell_ms`; 0 = 2.2 % of the diagonal
  double dwell_ms = 250.0;
};
// Errors: no path, unknown or different sizes, a picture of another kind.
[[nodiscard]] Result<std::string> scanpath_svg(const ScanpathFigure& figure);
[[nodiscard]] Result<void> write_scanpath_svg(const ScanpathFigure& figure,
                                              const std::filesystem::path& path);

// The colour of the i-th path of a figure: told apart by colour-blind people (Okabe and Ito 2008).
[[nodiscard]] Rgb scanpath_colour(size_t i);

}  // namespace saccade
