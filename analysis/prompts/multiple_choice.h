// Multiple-choice questions from templates written here: "Which of these is a colour?", four options with a
// label each, and the label of the right one as the answer.
#pragma once

#include <string>
#include <vector>

#include "analysis/prompts/prompt_set.h"

namespace saccade {

// How the options are written. "letters": A to D in round brackets; the others change one thing each:
// "random-letters", "later-letters" (W to Z), "numbers", "brackets" (square ones), "no-prelude".
[[nodiscard]] const std::vector<std::string>& choice_formats();

struct ChoicePrompt {
  // right: the correct label; wrong: the other labels. corrupt: the same options in another order, so that
  // another label is correct; the two have one length.
  PromptPair pair;
  std::vector<int32_t> labels;             // token ids, in the order of the options
  std::vector<int64_t> label_positions;    // of the options' labels, in both prompts
  std::vector<int64_t> content_positions;  // last token of each option's text
  size_t correct = 0, correct_corrupted = 0;
};

// `count` questions drawn with `seed`. Unsupported where the model's tokens do not keep a label apart from
// what stands around it.
[[nodiscard]] Result<std::vector<ChoicePrompt>> choice_prompts(const std::string& format, const Model& model,
                                                               int count, uint64_t seed);

}  // namespace saccade
