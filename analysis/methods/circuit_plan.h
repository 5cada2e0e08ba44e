// What the circuit method does, read from its parameters: which nodes, taken out how, ranked by what; and
// what its outcomes say. Private to the method.
//
// Outcomes in this order: clean and corrupted runs of the prompts, then of the second prompts; an answer of
// every prompt without each node, then of the second prompts; the paths between the kept nodes (PathWork); an
// answer of every prompt without each set that the evaluation takes out; the repair's answers.
#pragma once

#include "analysis/methods/path_effects.h"

namespace saccade::circuits {

enum class Ablation { corrupt, mean, mean_by_position, zero };

using NodeSet = std::vector<bool>;  // over Plan::nodes

struct Plan {
  Metric metric = Metric::logit_difference;
  bool by_patching = true;  // ranked by the corrupted value put in; else by taking the node out
  Ablation ablation = Ablation::mean;
  PromptSet prompts, second;  // second: empty without
  std::vector<CircuitNode> nodes;
  double top = 10.0, threshold = 0.0;
  std::string edge_part, position;
  double least_edge = 0.0;
  int draws = 0;
  uint64_t seed = 0;
  std::vector<HeadId> repair_heads;
  std::vector<std::string> repair_keys;

  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
  // Where each part's outcomes begin.
  [[nodiscard]] size_t second_runs() const { return 2 * pairs(); }
  [[nodiscard]] size_t ranking() const { return 2 * (pairs() + second.pairs.size()); }
  [[nodiscard]] size_t second_ranking() const { return ranking() + nodes.size() * pairs(); }
  [[nodiscard]] size_t paths() const { return second_ranking() + nodes.size() * second.pairs.size(); }
};

// Errors: unknown names, prompts that cannot be used, more nodes than can be evaluated.
[[nodiscard]] Result<Plan> read_plan(const MethodInput& input);
[[nodiscard]] Result<PathPlan> path_plan(const Plan& plan, const MethodInput& input, const NodeSet& circuit);

// Nodes taken out of a run.
class Removal {
 public:
  Removal(const Plan& plan, const MethodInput& input) : plan_(plan), input_(input) {}
  // patching: by the corrupted value, whatever the plan's ablation.
  [[nodiscard]] Result<AnswerWanted> without(const NodeSet& removed, const PromptSet& prompts,
                                             size_t first_run, size_t pair, bool patching) const;

 private:
  [[nodiscard]] const std::shared_ptr<const Capture>& mean_of(size_t first_run, size_t pairs) const;
  [[nodiscard]] std::vector<std::string> texts(const NodeSet& removed, Ablation ablation) const;

  const Plan& plan_;
  const MethodInput& input_;
  mutable std::map<size_t, std::shared_ptr<const Capture>> means_;  // by first run
};

// What the outcomes say; NaN for what was not done.
class Results {
 public:
  Results(const Plan& plan, const MethodInput& input) : plan_(plan), input_(input) {}

  [[nodiscard]] double whole(const PromptSet& prompts, size_t first_run, size_t pair, bool corrupt) const;
  [[nodiscard]] double answered(const PromptSet& prompts, size_t outcome, size_t pair) const;
  // Effect of every node, by pair: normalised where ranked by patching, else the change of the metric.
  [[nodiscard]] std::vector<std::vector<double>> effects(bool second) const;
  // Means of those, and their order by |mean|, largest first; what was not done comes last.
  [[nodiscard]] static std::vector<size_t> ranked(const std::vector<std::vector<double>>& effects);
  [[nodiscard]] NodeSet circuit() const;

 private:
  const Plan& plan_;
  const MethodInput& input_;
};

// The sets that the evaluation takes out, in order: everything but the circuit, everything; for each node of
// the circuit, everything but the circuit, and that node; for each draw K of half the circuit, everything but
// the circuit, and K; then K alone.
struct Evaluation {
  std::vector<NodeSet> removed;
  std::vector<size_t> members;  // of the circuit, one per minimality set
  std::vector<NodeSet> drawn;   // K
  static constexpr size_t circuit = 0, nothing = 1, minimality = 2;
  [[nodiscard]] size_t completeness() const { return minimality + members.size(); }
};
[[nodiscard]] Evaluation evaluation_of(const Plan& plan, const NodeSet& circuit);

// Nodes in the k strongest of both orders.
[[nodiscard]] size_t shared_strongest(const std::vector<size_t>& a, const std::vector<size_t>& b, size_t k);

// Forces the chosen heads onto the keys of the prompt at its last row; and the tokens at those keys, whose
// logits the answer keeps after those of ids_of(). `edited` false: the same question without edits.
[[nodiscard]] Result<AnswerWanted> repair(const Plan& plan, const MethodInput& input, size_t pair,
                                          bool edited);

}  // namespace saccade::circuits
