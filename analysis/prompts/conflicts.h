// Prompts whose context contradicts what a model knows: the memory answer is what it says without the
// context, the context answer what the context says.
#pragma once

#include <string>
#include <vector>

#include "analysis/prompts/prompt_set.h"

namespace saccade {

struct ConflictSet {
  // clean: context and question; corrupt: another pair's; right: the memory answer; wrong: the context
  // answer.
  PromptSet prompts;
  std::vector<TokenSequence> closed;  // the questions alone
};

// "capitals", or a JSON file: [{"context": text, "question": text, "memory": text, "answer": text}...], at
// least two; "answer" is what the context says. `count` conflicts are drawn from the preset with `seed`.
// Errors name file, entry and key; answers of the preset must be single tokens of the model.
[[nodiscard]] Result<ConflictSet> conflict_set(const std::string& name_or_file, const Model& model, int count,
                                               uint64_t seed);

}  // namespace saccade
