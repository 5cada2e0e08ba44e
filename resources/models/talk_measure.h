// How a ShapesVlm sees and what it invents, on scenes drawn apart from training.
//
// CHAIR (Rohrbach et al. 2018, arXiv 1809.02156): CHAIR_I, of the objects a caption names, the share that is
// not in the picture; CHAIR_S, the share of captions that name at least one. POPE (Li et al. 2023, arXiv
// 2305.10355): yes/no questions, half of them about absent objects; F1 takes "yes" as the positive answer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/evaluation_scenes.h"
#include "resources/models/talk_batch.h"

namespace saccade {

struct PresenceScore {
  double accuracy = 0, f1 = 0, said_yes = 0;
};

struct TalkMeasurement {
  int32_t pictures = 0;
  double chair_s = 0, chair_i = 0;
  double recall = 0;    // of the objects in the picture, named
  double by_habit = 0;  // of the invented objects, the expected one of a habit
  double gave_in = 0;   // of the scenes with a pair whose third is missing, those where it is named
  int32_t tempted = 0;  // such scenes
  std::array<PresenceScore, 3> presence;  // by AskedKind
  PresenceScore presence_all;
  double blank_accuracy = 0;          // of the same questions when the picture is plain
  double colour = 0;                  // of the questions after a colour, right
  std::vector<std::string> captions;  // of the first few pictures
};

// Kinds of objects that a caption names, in its order, repeats left out.
[[nodiscard]] std::vector<int32_t> named_kinds(const std::string& caption);

Result<TalkMeasurement> measure_talk(const ShapesVlm& model, const TalkTokens& tokens,
                                     const std::vector<EvaluationScene>& scenes);
// The short form, for the curve during training.
struct TalkGlance {
  double chair_i = 0, recall = 0, presence = 0, colour = 0;
};
Result<TalkGlance> glance_talk(const ShapesVlm& model, const TalkTokens& tokens, uint64_t seed);

}  // namespace saccade
