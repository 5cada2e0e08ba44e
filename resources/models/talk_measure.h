// How a ShapesVlm sees and what it invents, on scenes drawn apart from training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/talk_batch.h"
#include "resources/models/talk_score.h"

namespace saccade {

struct TalkMeasurement {
  int32_t pictures = 0;
  CaptionScore captions;
  PresenceScores presence;
  double blank_accuracy = 0;      // of the same questions when the picture is plain
  double colour = 0;              // of the questions after a colour, right
  std::vector<std::string> said;  // captions of the first few pictures
};

Result<TalkMeasurement> measure_talk(const ShapesVlm& model, const TalkTokens& tokens,
                                     const std::vector<EvaluationScene>& scenes);
// The short form, for the curve during training.
struct TalkGlance {
  double chair_i = 0, recall = 0, presence = 0, colour = 0;
};
Result<TalkGlance> glance_talk(const ShapesVlm& model, const TalkTokens& tokens, uint64_t seed);

}  // namespace saccade
