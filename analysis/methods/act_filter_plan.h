// What act-filter does, read from its parameters, and what its outcomes say. Private to the method.
//
// Outcomes come in this order: a run of every text; an answer for every head and every text to choose on
// where the head has sinks; an answer for every set of heads and every text to judge on where one of them has
// sinks. Where there is no sink the edit does nothing and the run's own answer counts.
#pragma once

#include <vector>

#include "analysis/methods/act.h"
#include "analysis/prompts/labelled_set.h"
#include "core/run/edit.h"

namespace saccade::act {

struct HeadSet {
  std::string name;  // "chosen", "list", "random"
  std::vector<HeadId> heads;
};

struct FilterPlan {
  LabelledSet set;
  Settings settings;
  std::vector<HeadId> heads;          // each calibrated on its own
  std::vector<HeadId> list;           // of a file; calibrated together
  std::vector<size_t> texts;          // of the set, those used
  std::vector<size_t> choose, judge;  // places in `texts`
  size_t controls = 0;
  uint64_t seed = 0;
  bool held_out = false;
};

// Errors: no model, no file, heads or texts that do not fit.
[[nodiscard]] Result<FilterPlan> read_filter_plan(const MethodInput& input);

// "auto": layers 2 to L - 2 (all but the first two and the last), every layer in models of fewer than 8; or a
// target like 5-7.*.
[[nodiscard]] Result<std::vector<HeadId>> heads_to_try(const std::string& text, const ModelSpec& spec);

class Filter {
 public:
  Filter(const FilterPlan& plan, const MethodInput& input) : plan_(plan), input_(input) {}

  [[nodiscard]] size_t runs() const { return plan_.texts.size(); }
  // (head's place, text's place) of every answer of the second round. Needs the runs.
  [[nodiscard]] Result<std::vector<std::pair<size_t, size_t>>> singles() const;
  [[nodiscard]] Result<AnswerWanted> answer(const std::vector<HeadId>& heads, size_t text) const;
  [[nodiscard]] Result<std::vector<Edit>> edits(const std::vector<HeadId>& heads, size_t text) const;
  // The sets of the third round: chosen, list, random controls; those without heads are left out.
  [[nodiscard]] std::vector<HeadSet> sets(const std::vector<double>& changes) const;

  // Whether the run's own answer is right.
  [[nodiscard]] bool right_before(size_t text) const;
  [[nodiscard]] bool right(const KeptAnswer& answer, size_t text) const;
  [[nodiscard]] const Capture* capture(size_t text) const;  // null when it was not run

 private:
  const FilterPlan& plan_;
  const MethodInput& input_;
};

// Accuracy by dataset, and the mean over datasets; NaN where nothing was counted.
struct Accuracies {
  std::vector<double> of;
  double mean = 0.0;
};
// right: 1, 0, or NaN for what was not done, of each of `texts` (places in plan.texts).
[[nodiscard]] Accuracies accuracies(const FilterPlan& plan, const std::vector<size_t>& texts,
                                    const std::vector<double>& right);

}  // namespace saccade::act
