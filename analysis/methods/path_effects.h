// Path patching: what an answer loses when one part's write is corrupted on its way into chosen receivers,
// and nowhere else. The engine behind path-patching, ph3 and the edges of circuits.
//
// For a sender s, a set of receivers R and positions P:
//   1. clean and corrupted run of every pair;
//   2. with every head at its clean value except s, which writes its corrupted value at P: the residual that
//   R
//      would read (MLPs between them read the changed residual too, or keep their clean value);
//   3. the clean tokens again, R reading that residual, everything else computed as usual: the answer.
// Between s and R nothing but MLPs computes anything, so step 2 is a few rows through a few MLPs
// (Runner::residuals_on_paths), and step 3 goes through the layers for all senders together.
// Source: Wang et al. 2023 (arXiv 2211.00593, section 3.1 and appendix B).
#pragma once

#include "analysis/method.h"
#include "analysis/methods/circuit_node.h"
#include "analysis/methods/metric.h"
#include "analysis/prompts/positions.h"

namespace saccade {

// What one sender's path ends in. No receivers: the final residual, which the logits are read from.
struct PathEnd {
  std::vector<HeadReceiver> receivers;
  [[nodiscard]] int32_t lowest_layer(const ModelSpec& spec) const;
  [[nodiscard]] std::string name() const;  // "logits", "9.9.q", "9.9.q+9.6.q"
};
struct Path {
  CircuitNode sender;
  size_t end = 0;  // which of PathPlan::ends
};

struct PathPlan {
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  std::vector<AlignedPositions> positions;  // by pair
  std::vector<CircuitNode> senders;
  std::vector<PathEnd> ends;
  std::vector<Path> paths;
  bool free_mlps = true;
  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
};

// All paths from senders to ends that can carry anything: a sender lies below the end's highest receiver, and
// is no receiver of it.
void add_paths(PathPlan& plan, const ModelSpec& spec);

// Refuses models where heads do not write straight into the residual, prompts without corrupted twins,
// receivers that cannot be told apart (z of grouped heads), and work whose residuals would not fit.
[[nodiscard]] Result<void> check_path_plan(const PathPlan& plan, const Model& model);

// The outcomes that the work leaves: from `runs` on the clean and then the corrupted runs; from `rest` on
// (right after them, unless a method does something else between) residuals, one per pair, then the answers
// of pair 0 for every path, of pair 1, and so on.
class PathWork {
 public:
  PathWork(const PathPlan& plan, const MethodInput& input, size_t runs)
      : PathWork(plan, input, runs, runs + 2 * plan.pairs()) {}
  PathWork(const PathPlan& plan, const MethodInput& input, size_t runs, size_t rest)
      : plan_(plan), input_(input), runs_(runs), rest_(rest) {}

  // What is wanted next, given the outcomes so far; none = all done.
  [[nodiscard]] Result<std::vector<Wanted>> next() const;
  // Where the outcomes of all this end.
  [[nodiscard]] size_t end() const { return rest_ + (1 + plan_.paths.size()) * plan_.pairs(); }
  // What a run must keep for paths through it.
  [[nodiscard]] static RunRequest request(const MethodInput& input, const TokenSequence& tokens);

  [[nodiscard]] const Run* run(size_t pair, bool corrupt) const;  // null: not done
  // Metric of the whole run, and with a path corrupted; NaN where it was not done.
  [[nodiscard]] double metric(size_t pair, bool corrupt) const;
  [[nodiscard]] double patched(size_t pair, size_t path) const;
  [[nodiscard]] const KeptAnswer* answer(size_t pair, size_t path) const;
  // (patched - clean) / (corrupt - clean) of every pair; NaN where the pair does not discriminate.
  [[nodiscard]] std::vector<double> scores(size_t path) const;

 private:
  [[nodiscard]] std::vector<int32_t> layers() const;  // whose entering residual the ends read, ascending
  [[nodiscard]] Result<std::vector<Wanted>> residuals() const;
  [[nodiscard]] Result<Wanted> patched_answer(size_t pair, size_t path) const;
  [[nodiscard]] std::shared_ptr<const Capture> received(size_t pair, const Path& path) const;

  const PathPlan& plan_;
  const MethodInput& input_;
  size_t runs_, rest_;
};

}  // namespace saccade
