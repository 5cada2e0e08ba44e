// What the methods that hide needles share: parameters, the prompts they make, what was decoded after them.
// Private to those methods.
//
// A needle method's first outcomes are one generation of every case, in order.
#pragma once

#include <string>
#include <vector>

#include "analysis/head_lists.h"
#include "analysis/method.h"
#include "analysis/methods/retrieval_score.h"
#include "analysis/prompts/needles.h"

namespace saccade::needles {

constexpr double least_recall = 0.5;  // a sample counts when more of its answer came back (ROUGE-1 recall)

struct Case {
  size_t needle = 0, length = 0, depth = 0;  // indices
  NeedlePrompt prompt;
};

struct Plan {
  NeedleSet set;
  std::vector<int64_t> lengths;
  std::vector<double> depths;
  SamplingOptions sampling;  // greedy; watched is the case's span
  std::vector<Case> cases;

  [[nodiscard]] const Needle& needle(const Case& one) const { return set.needles[one.needle]; }
};

// needles, haystack, lengths, depths, shortest, tokens.
[[nodiscard]] std::vector<ParameterInfo> needle_parameters();

// Errors: a model that does not generate, lengths that do not fit the model, the needle or the haystack.
[[nodiscard]] Result<Plan> read_plan(const MethodInput& input);

// The case's prompt under `edits`, decoded greedily; the heads' rows are kept where `keep_heads`.
[[nodiscard]] GenerationWanted generation(const Plan& plan, const Case& one, const MethodInput& input,
                                          const std::vector<Edit>& edits, bool keep_heads);

// Null when the outcome is not there.
[[nodiscard]] const Generation* decoded(const MethodInput& input, size_t outcome);
// Of the answer of a case; NaN when it was not decoded.
[[nodiscard]] double recall_of(const Plan& plan, const Case& one, const Generation* generation);

// One score of every head for every kept sample.
struct Samples {
  ScoresOfHeads scores;                         // [layer * n_head + head][kept sample]
  std::vector<size_t> kept;                     // cases
  size_t failed = 0, unfound = 0, missing = 0;  // too little recalled; no span; not decoded
  std::vector<double> recall;                   // of every case that scores; NaN: not decoded
};
enum class ScoreKind { count, set, semantic };
// Of the cases whose needle is not only for the test.
[[nodiscard]] Samples score_samples(const Plan& plan, const MethodInput& input, ScoreKind kind);

// Heads by mean score, highest first; ties to the lower index.
[[nodiscard]] std::vector<size_t> ranking(const std::vector<double>& means);
// `count` indices of [0, heads) that are not among `excluded`, drawn without replacement (SplitMix64),
// sorted.
[[nodiscard]] std::vector<size_t> draw_others(size_t heads, const std::vector<size_t>& excluded, size_t count,
                                              uint64_t seed);

// What the samples were, as a sentence; and where they cannot tell anything, that.
[[nodiscard]] std::string describe(const Plan& plan, const Samples& samples);

}  // namespace saccade::needles
