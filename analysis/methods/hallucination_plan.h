// One picture of an object set, asked in one way: what hallucination() makes of it. Thread: that of the
// runner.
#pragma once

#include <string>
#include <vector>

#include "analysis/images/object_set.h"
#include "analysis/methods/damro.h"
#include "analysis/methods/var.h"
#include "analysis/methods/vhd.h"

namespace saccade::hallucination {

// baseline: no edits; edits: the current ones; the others: those of the method alone, found anew for every
// prompt; damro: contrasted.
enum class Way { baseline, edits, var, vhr, damro };
[[nodiscard]] const char* to_string(Way way);

struct Asking {
  ObjectSet set;
  std::vector<Way> ways;
  bool captions = true, questions = true;
  std::string caption_prompt, question_prompt;
  int caption_tokens = 64, question_tokens = 8;
  RunRequest base;  // current edits, references, dtype; its tokens do not count
  var::Settings var_settings;
  vhd::Options vhd_options;
  damro::Options damro_options;

  [[nodiscard]] std::vector<std::string> prompts(const ObjectPicture& picture) const;  // captions first
};

// The answers to all prompts of a picture, in order, as one list: per answer its length, then its token ids.
[[nodiscard]] NumbersWanted wanted_of(std::shared_ptr<const Asking> asking, size_t picture, Way way);
// The lists of ids back; no value where the numbers are not `count` answers.
[[nodiscard]] std::optional<std::vector<std::vector<int32_t>>> answers_from(std::span<const double> numbers,
                                                                            size_t count);

}  // namespace saccade::hallucination
