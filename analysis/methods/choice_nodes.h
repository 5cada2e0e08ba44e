// What output-nodes asks for and finds on multiple-choice prompts. Private to the method.
//
// Outcomes in this order: clean runs of the format, their corrupted twins, clean runs of every other format;
// an answer of every prompt with each node's corrupted value; one with the k strongest nodes' corrupted
// values together, k = 1, 2, ...; one with a head's q, k or v projected onto r directions, head by head, part
// by part.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "analysis/method.h"
#include "analysis/methods/circuit_node.h"
#include "analysis/prompts/multiple_choice.h"

namespace saccade::choices {

constexpr std::array<HeadPart, 3> parts{HeadPart::q, HeadPart::k, HeadPart::v};

struct Plan {
  std::string format;
  std::vector<ChoicePrompt> prompts;
  std::vector<std::pair<std::string, std::vector<ChoicePrompt>>> others;  // by format
  std::vector<std::string> unusable;  // formats that this model cannot read
  std::vector<CircuitNode> nodes;
  size_t most = 0;      // nodes tried together
  double enough = 0.8;  // of the loss change
  size_t subspace_heads = 0;
  int64_t ranks = 0;

  [[nodiscard]] size_t count() const { return prompts.size(); }
  [[nodiscard]] size_t singles() const { return (2 + others.size()) * count(); }
  [[nodiscard]] size_t together() const { return singles() + nodes.size() * count(); }
  [[nodiscard]] size_t subspaces() const { return together() + most * count(); }
};

[[nodiscard]] Result<Plan> read_plan(const MethodInput& input);
[[nodiscard]] std::vector<Wanted> runs(const Plan& plan, const MethodInput& input);
// Every prompt with the corrupted values of each set of nodes put in.
[[nodiscard]] Result<std::vector<Wanted>> patched(const Plan& plan, const MethodInput& input,
                                                  const std::vector<std::vector<size_t>>& sets);
// Refused where the projected values would not fit.
[[nodiscard]] Result<std::vector<Wanted>> projected(const Plan& plan, const MethodInput& input,
                                                    const std::vector<HeadId>& heads);

// Direct effect of every node on the correct label's logit against the mean of all labels, mean over prompts.
// Unsupported where logits are no sum of writes.
[[nodiscard]] Result<std::vector<double>> direct_effects(const Plan& plan, const MethodInput& input);
// What an answer says about the labels. centred: the correct label's logit less the labels' mean; loss in
// nats.
struct Said {
  double centred = 0.0, loss = 0.0;
  bool right = false;  // the correct label is the best of the labels
};
[[nodiscard]] Said said_by(const KeptAnswer& answer, const ChoicePrompt& prompt);
// Means over prompts of the answers that begin at `outcome`; NaN where one is missing. right: their share.
struct MeanSaid {
  double centred = 0.0, loss = 0.0, right = 0.0;
};
[[nodiscard]] MeanSaid mean_said(const Plan& plan, const MethodInput& input, size_t outcome);
// The same of whole runs; asked about the labels and the correct one of `prompts`.
[[nodiscard]] MeanSaid mean_said_by_runs(const std::vector<ChoicePrompt>& prompts, const MethodInput& input,
                                         size_t first_run);
// Nodes by |direct effect|, largest first.
[[nodiscard]] std::vector<size_t> by_direct_effect(const std::vector<double>& effects);
// How many of the strongest nodes reproduce enough of the loss change, and their share of it; all that were
// tried and less than enough otherwise; NaN where the loss does not change.
struct OutputSet {
  size_t size = 0;
  double share = 0.0;
};
[[nodiscard]] OutputSet output_set(const Plan& plan, const MethodInput& input);
[[nodiscard]] std::vector<HeadId> subspace_heads(const Plan& plan, const MethodInput& input,
                                                 const std::vector<double>& direct);

// A head's last row on one prompt.
struct LabelMasses {
  std::vector<double> labels;  // mass on each
  size_t correct = 0;
  double content = 0.0;  // on the options' texts and the prompt's last tokens
};
// "correct-letter", "single-letter", "uniform", "content" or "other"; the rules are own:
//   correct-letter  mass on the correct label exceeds every other label's by 0.2, mean over prompts
//   single-letter   one and the same label gets 0.5 or more in 80 % of the prompts
//   uniform         labels get 0.5 together, with an entropy of at least 0.9 of the largest
//   content         the options' texts and the last tokens get 0.5
[[nodiscard]] std::string category_of(const std::vector<LabelMasses>& masses);
[[nodiscard]] Result<std::vector<LabelMasses>> masses_of(const std::vector<ChoicePrompt>& prompts,
                                                         const MethodInput& input, size_t first_run,
                                                         HeadId head);

}  // namespace saccade::choices
