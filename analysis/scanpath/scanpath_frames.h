// Scanpaths in time: when each fixation begins and ends, and pictures of what has been looked at so far:
// discs whose area grows with the dwell, numbered in order, joined by lines, as in write_scanpath.h. For the
// window and for animation files. Thread: any.
#pragma once

#include "analysis/images/animation.h"
#include "analysis/scanpath/scanpath.h"
#include "analysis/scanpath/write_scanpath.h"

namespace saccade {

// A path with its times in ms from its first fixation. A fixation begins at its `start` where all have one
// and they are in order, otherwise when the one before ends; one without a duration lasts `dwell_ms`.
struct TimedPath {
  Scanpath path;
  std::string label;
  std::vector<double> begins, ends;
  double dwell_ms = 250.0;

  static TimedPath of(Scanpath path, std::string label, double dwell_ms = 250.0);
  [[nodiscard]] double end() const { return ends.empty() ? 0.0 : ends.back(); }
  [[nodiscard]] size_t begun(double ms) const;  // how many fixations have begun
  // The radius of a disc that has been there until `ms`, a full `dwell_ms` being 1.
  [[nodiscard]] double size_at(size_t fixation, double ms) const;
};

struct ScanpathAnimation {
  std::vector<DrawnPath> paths;                  // all of one picture size; the first is drawn first
  Picture picture;                               // what lies below, stretched onto that size; empty = grey
  double frames_per_second = 12.5, speed = 1.0;  // speed 2: twice as fast as it was
  double hold_ms = 1200.0;                       // how long the whole path stays at the end
  double dwell_ms = 250.0;
  int64_t longest_side = 720;  // of a frame
};
// Errors: no path, unknown or different sizes, a speed or a rate that makes no sense.
[[nodiscard]] Result<Animation> animate(const ScanpathAnimation& animation);

}  // namespace saccade
