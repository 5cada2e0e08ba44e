// What a method may ask for beside the run being looked at, and what it gets back. Plain values: whoever runs
// a method (run_method) batches answers, keeps them over a restart, and hands back what there was time for.
//
// A captured run is kept whole. An answer is only the next-token logits of a few tokens: a sweep over every
// head asks for thousands, and they go through the layers together (Runner::answers). A generation is kept
// whole: it is small unless it keeps logits, and then it is made again after a restart.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/run/runner.h"

namespace saccade {

struct RunWanted {
  RunRequest request;
  std::shared_ptr<const Run> base = nullptr;  // to resume from; null: the run being looked at
};

struct AnswerWanted {
  RunRequest request;
  std::vector<int32_t> ids;  // whose logits are kept, in this order
  std::shared_ptr<const HostTensor>
      reference;        // [n_vocab] logits; with it KL(reference || answer) is kept too
  bool spread = false;  // the entropy and the ranks of `ids` are kept too
};

// Residuals on frozen paths through a run (core/run/frozen_paths.h); quick, and not kept over a restart.
struct PathsWanted {
  std::shared_ptr<const Run> run;
  PathQuestion question;
};
using PathResiduals = std::shared_ptr<const HostTensor>;  // [write, layer, d_model]

// Tokens decoded after a prompt, with what the heads did at each where options.keep_heads asks for it.
struct GenerationWanted {
  RunRequest request;
  SamplingOptions options;
};

// Values and gradients at hook sites (core/run/gradient.h), kept whole like a run.
struct GradientWanted {
  GradientRequest request;
};

// A picture through the model's vision tower alone (Runner::run_tower), kept whole like a run.
struct TowerWanted {
  std::shared_ptr<const PreparedImage> image;
  CapturePlan capture;
  int32_t layers = 0;  // so many at least; 0: as far as the decoder reads
};

// Numbers that several runs are needed for, none of which is kept: what a sweep over pictures wants to know
// of each before it asks. Kept over a restart under `name`, which must say everything that they depend on.
struct NumbersWanted {
  std::string name;
  std::function<Result<std::vector<double>>(Runner& runner, const JobContext& job)> make;
};
using Numbers = std::shared_ptr<const std::vector<double>>;

using Wanted = std::variant<RunWanted, AnswerWanted, PathsWanted, GenerationWanted, GradientWanted,
                            TowerWanted, NumbersWanted>;

struct KeptAnswer {
  std::vector<float> logits;  // of AnswerWanted::ids
  double log_sum_exp = 0.0;   // over the vocabulary: log p(id) = logit - log_sum_exp
  int32_t top_id = 0;         // the most probable token; ties go to the lowest id
  double kl = std::numeric_limits<double>::quiet_NaN();       // nats
  double entropy = std::numeric_limits<double>::quiet_NaN();  // nats; with AnswerWanted::spread
  std::vector<int32_t> ranks;  // of AnswerWanted::ids, 0 = the most probable; likewise
};

// monostate: not done (cancelled before it was its turn).
using Outcome =
    std::variant<std::monostate, std::shared_ptr<const Run>, KeptAnswer, PathResiduals,
                 std::shared_ptr<const Generation>, std::shared_ptr<const GradientCapture>, Numbers>;

// An outcome as what it is; null where it is not there or something else.
template <class T>
[[nodiscard]] const T* outcome_as(const std::vector<Outcome>& outcomes, size_t at) {
  return at < outcomes.size() ? std::get_if<T>(&outcomes[at]) : nullptr;
}
template <class T>
[[nodiscard]] const T* shared_outcome_as(const std::vector<Outcome>& outcomes, size_t at) {
  const auto* made = outcome_as<std::shared_ptr<const T>>(outcomes, at);
  return made == nullptr ? nullptr : made->get();
}
[[nodiscard]] inline const Run* run_in(const std::vector<Outcome>& outcomes, size_t at) {
  return shared_outcome_as<Run>(outcomes, at);
}
[[nodiscard]] inline std::shared_ptr<const Capture> capture_in(const std::vector<Outcome>& outcomes,
                                                               size_t at) {
  const Run* run = run_in(outcomes, at);
  return run == nullptr ? nullptr : run->capture;
}
[[nodiscard]] inline const Generation* generation_in(const std::vector<Outcome>& outcomes, size_t at) {
  return shared_outcome_as<Generation>(outcomes, at);
}
[[nodiscard]] inline const GradientCapture* gradient_in(const std::vector<Outcome>& outcomes, size_t at) {
  return shared_outcome_as<GradientCapture>(outcomes, at);
}
[[nodiscard]] inline const std::vector<double>* numbers_in(const std::vector<Outcome>& outcomes, size_t at) {
  return shared_outcome_as<std::vector<double>>(outcomes, at);
}
[[nodiscard]] inline const KeptAnswer* answer_in(const std::vector<Outcome>& outcomes, size_t at) {
  return outcome_as<KeptAnswer>(outcomes, at);
}

// The numbers that AnswerWanted asks for, of a row of logits. reference: empty or [n_vocab].
[[nodiscard]] KeptAnswer keep_answer(const HostTensor& logits, const std::vector<int32_t>& ids,
                                     const HostTensor* reference, bool spread = false);

// What an answer or a generation is known by over a restart: 32 hex digits.
[[nodiscard]] std::string name_of(const AnswerWanted& wanted);
[[nodiscard]] std::string name_of(const GenerationWanted& wanted);

}  // namespace saccade
