// The page beside demo:shapes-vlm: data, training, what it sees and what it invents, all from the run that
// made it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/shapes_vlm.h"
#include "resources/models/talk_measure.h"

namespace saccade {

struct TalkPoint {
  int32_t step = 0;
  VlmLoss loss;
  TalkGlance seen;
};

struct TalkTraining {
  std::vector<TalkPoint> curve;
  int32_t naming_steps = 0, naming_pictures = 0, steps = 0, pictures = 0;  // pictures of one step
  double naming_loss = 0;                                                  // mean of the last naming steps
  double seconds = 0;
  uint64_t seed = 0;
};

[[nodiscard]] std::string describe_talk(const TalkMeasurement& many, const TalkMeasurement& shipped);
[[nodiscard]] std::string write_talk_page(const VlmShape& shape, const TalkTraining& training,
                                          const TalkMeasurement& many, const TalkMeasurement& shipped);

}  // namespace saccade
