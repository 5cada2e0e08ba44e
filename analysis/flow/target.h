// What paths through a model are followed from: which of the tokens that leave the last layer, with what
// share. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "core/capture/capture.h"

namespace saccade {

struct PathTarget {
  std::vector<double> start;  // [token], summing to 1
  int64_t query = -1;         // the one token, or -1 where there are several
  std::string text;           // "token 5 (' cat')", "CLS", "the mean of all patches": for sentences
};

// asked >= 0: that position. -1: where the model's answer is read: the last token, the mask, or as the model
// pools: CLS; the mean of what several heads read; all patches; all positions. Error: a position beyond the
// run.
[[nodiscard]] Result<PathTarget> path_target(const Capture& capture, int64_t asked);

// "token 5 (' cat')", or as it is called in a picture: "patch 2,3", "CLS".
[[nodiscard]] std::string token_text(const Capture& capture, int64_t position);

}  // namespace saccade
