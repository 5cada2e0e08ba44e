// A scanpath from any map: the highest place wins, is looked at, and is inhibited so that the next one wins
// (Koch and Ullman 1985; Itti, Koch and Niebur 1998, IEEE TPAMI 20:1254, section 2.3; Itti and Koch 2001).
// Places that are equally high win in reading order. The model knows no dwell times: every fixation lasts
// `dwell_ms`. Thread: any.
#pragma once

#include "analysis/scanpath/saliency_map.h"

namespace saccade {

struct WinnerTakeAllOptions {
  int64_t fixations = 10;  // at most
  double radius = 0.0;     // pixels of the inhibited disc; 0 = a sixth of the shorter side, about their 1/6
  double keeps = 0.0;      // what is left of the map inside the disc: 0 = nothing
  double recovery = 0.0;   // share of the inhibition that wears off with each fixation: 0 = never
  bool begin_at_centre = false;  // the first fixation is the middle of the picture, as in most experiments
  double least = 0.0;            // stops when the winner is not above this share of the first winner
  double dwell_ms = 250.0;
};

struct WinnerStep {
  Pixel pixel;
  double value = 0.0;  // of the inhibited map, its least value being 0
};
struct WinnerPath {
  Scanpath path;  // at pixel centres
  std::vector<WinnerStep> steps;
};
// Errors: a map that check_map() refuses, options out of range.
[[nodiscard]] Result<WinnerPath> winner_take_all(const SaliencyMap& map,
                                                 const WinnerTakeAllOptions& options = {});

}  // namespace saccade
