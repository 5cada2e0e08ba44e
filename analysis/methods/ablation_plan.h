// What an ablation sweep does, read from its parameters: which heads are taken out together, how, on which
// prompts; and what its outcomes say. Private to the method.
//
// Outcomes come in this order: a run of every clean prompt (and of every corrupted one, to resample from), an
// answer of every prompt without each group, an answer of every prompt without each joint set.
#pragma once

#include <memory>
#include <vector>

#include "analysis/method.h"
#include "analysis/methods/metric.h"

namespace saccade::ablation {

enum class Kind { zero, mean, mean_by_position, resample, uniform, identity };

struct Plan {
  Kind kind = Kind::zero;
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  std::vector<std::vector<HeadId>> groups;  // ablated together: a head, the heads of a KV head, or a layer
  size_t strongest = 0, controls = 0;
  uint64_t seed = 0;

  [[nodiscard]] size_t runs() const { return prompts.pairs.size() * (kind == Kind::resample ? 2 : 1); }
  [[nodiscard]] size_t singles() const { return groups.size() * prompts.pairs.size(); }
};

// Errors: unknown names, prompts that cannot be used; not a model at hand.
[[nodiscard]] Result<Plan> read_plan(const MethodInput& input);

// The edits that ablate heads, and what they refer to.
class Ablation {
 public:
  Ablation(const Plan& plan, const MethodInput& input) : plan_(plan), input_(input) {}

  // Makes the mean that heads are replaced by, where the kind wants one.
  Result<void> prepare();
  [[nodiscard]] Result<AnswerWanted> without(const std::vector<HeadId>& heads, size_t pair) const;

 private:
  [[nodiscard]] std::string text_of(HeadId head) const;

  const Plan& plan_;
  const MethodInput& input_;
  std::shared_ptr<const Capture> mean_;
};

// What the outcomes say; NaN for what was not done.
class Results {
 public:
  Results(const Plan& plan, const MethodInput& input) : plan_(plan), input_(input) {}

  [[nodiscard]] double baseline(size_t pair) const;
  // Metric without the heads minus metric with them, of every pair; the answers begin at first_outcome.
  [[nodiscard]] std::vector<double> effects(size_t first_outcome) const;
  [[nodiscard]] std::vector<double> effects_of_group(size_t group) const {
    return effects(plan_.runs() + group * plan_.prompts.pairs.size());
  }
  // Groups by |mean effect|, strongest first; those not done come last.
  [[nodiscard]] std::vector<size_t> ranking() const;

 private:
  const Plan& plan_;
  const MethodInput& input_;
};

// The strongest groups, then the control sets: as many others, drawn without replacement.
[[nodiscard]] std::vector<std::vector<size_t>> joint_sets(const Plan& plan,
                                                          const std::vector<size_t>& ranking);
[[nodiscard]] std::vector<HeadId> heads_of_groups(const Plan& plan, const std::vector<size_t>& groups);

}  // namespace saccade::ablation
