// What is counted of a model's words about a picture whose objects are known, and the measures made of the
// counts. Pure; thread: any.
//
//   CHAIR_S: captions that name at least one object that is not there / captions; CHAIR_I: such mentions /
//   all mentions of objects (Rohrbach et al. 2018, arXiv 1809.02156). Yes-or-no questions as in POPE (Li et
//   al. 2023, arXiv 2305.10355): accuracy, and precision, recall and F1 of "yes", and how often yes is said.
//   An answer in which neither word stands first is unclear: it counts as wrong, and as no yes.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "analysis/images/object_set.h"
#include "analysis/statistics/bootstrap.h"

namespace saccade::hallucination {

// The first of the words yes and no (or not) in a text; no value where there is neither.
[[nodiscard]] std::optional<bool> says_yes(const std::string& answer);

enum Count {
  captions,
  false_captions,  // that name something that is not there
  mentions,
  false_mentions,
  questions,
  right,
  yes_said,
  yes_true,   // the answer is yes
  yes_right,  // both
  unclear,
  n_count
};
using Counts = std::vector<double>;  // [n_count]

[[nodiscard]] Counts count_caption(const std::string& caption, const ObjectPicture& picture,
                                   const std::map<std::string, std::vector<std::string>>& vocabulary);
[[nodiscard]] Counts count_answer(const std::string& answer, const ObjectQuestion& question);
void add(Counts& sums, const Counts& counts);

struct Measure {
  const char* name;
  const char* label;
  bool less_is_better;
  bool of_captions;
  double (*value)(std::span<const double> sums);  // NaN where it is undefined
};
[[nodiscard]] std::span<const Measure> measures();

}  // namespace saccade::hallucination
