// Scanpath: where one viewer looked, in order. Points are in pixels of the picture that was shown, x to the
// right, y down, the top left corner of the top left pixel at (0, 0): pixel (column, row) holds the points
// with column <= x < column + 1. Times are in milliseconds. Values; thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct Fixation {
  double x = 0.0, y = 0.0;      // pixels
  double duration = 0.0;        // ms; 0 where the recording has none
  std::optional<double> start;  // ms since the trial or the recording began
  std::optional<int64_t> word;  // zero-based index of the word or area looked at
};

struct PictureSize {
  int64_t width = 0, height = 0;  // pixels; 0 = not known
  [[nodiscard]] bool known() const { return width > 0 && height > 0; }
  [[nodiscard]] double diagonal() const;
  [[nodiscard]] bool holds(double x, double y) const {  // false for what is not a number
    return x >= 0.0 && y >= 0.0 && x < static_cast<double>(width) && y < static_cast<double>(height);
  }
  bool operator==(const PictureSize&) const = default;
};
[[nodiscard]] std::string to_string(PictureSize size);  // "800 x 600"

struct Scanpath {
  std::string stimulus, subject, trial;  // empty = not said
  PictureSize size;
  std::vector<Fixation> fixations;  // in order; coordinates are finite, durations finite and not negative
};

struct ScanpathSet {
  std::vector<Scanpath> paths;
  std::vector<std::string> findings;  // what was left out or assumed on the way in, one sentence each

  [[nodiscard]] std::vector<const Scanpath*> of_stimulus(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> stimuli() const;  // each once, in order of appearance
  [[nodiscard]] int64_t fixation_count() const;
};

// The path without the fixations outside its picture, and how many those were. Error: the size is not known.
struct InsidePath {
  Scanpath path;
  int64_t outside = 0;
};
[[nodiscard]] Result<InsidePath> inside_picture(const Scanpath& path);

// Two paths can be compared only on one picture: both sizes known and equal, and `least` fixations in each.
// The error says which path, what it has and what to do.
[[nodiscard]] Result<void> check_comparable(const Scanpath& a, const Scanpath& b, int64_t least);

// The path on a picture of another size: coordinates scaled, everything else kept. Error: unknown sizes.
[[nodiscard]] Result<Scanpath> rescaled(const Scanpath& path, PictureSize to);

// "subject 3 on 1001.jpg", for messages.
[[nodiscard]] std::string describe(const Scanpath& path);

}  // namespace saccade
