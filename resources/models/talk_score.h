// What a model said about scenes, in numbers. Plain values: whoever made the answers.
//
// CHAIR (Rohrbach et al. 2018, arXiv 1809.02156): CHAIR_I, of the objects a caption names, the share that is
// not in the picture; CHAIR_S, the share of captions that name at least one. POPE (Li et al. 2023, arXiv
// 2305.10355): yes/no questions, half of them about absent objects; F1 takes "yes" as the positive answer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/evaluation_scenes.h"

namespace saccade {

struct CaptionScore {
  double chair_s = 0, chair_i = 0;
  double recall = 0;    // of the objects in the pictures, named
  double by_habit = 0;  // of the invented objects, the expected one of a habit
  double gave_in = 0;   // of the scenes with a pair whose third is missing, those where it is named
  int32_t tempted = 0;  // such scenes
};

struct PresenceScore {
  double accuracy = 0, f1 = 0, said_yes = 0;
};
struct PresenceScores {
  std::array<PresenceScore, 3> by_kind;  // by AskedKind
  PresenceScore all;
};

// Kinds of objects that a caption names, in its order, repeats left out.
[[nodiscard]] std::vector<int32_t> named_kinds(const std::string& caption);
// captions[i] was said of scenes[i].
[[nodiscard]] CaptionScore score_captions(const std::vector<EvaluationScene>& scenes,
                                          const std::vector<std::string>& captions);
// said[i] answers the i-th of all the scenes' questions.
[[nodiscard]] PresenceScores score_answers(const std::vector<EvaluationScene>& scenes,
                                           const std::vector<std::string>& said);

}  // namespace saccade
