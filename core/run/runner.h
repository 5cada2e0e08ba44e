// Runner: executes RunRequests on one model. The only user of LibTorch.
//
// Thread: one at a time (the engine thread). A Run is immutable and may be shared with any thread.
// Determinism: same request, kernel set and thread count give bit-equal results. A run that is given a `base`
// run of the same tokens reuses every layer below the first edit that differs, and gives the same bits as
// a run from scratch.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/model/model.h"
#include "core/run/contrast.h"
#include "core/run/frozen_paths.h"
#include "core/run/gradient.h"
#include "core/run/head_step.h"
#include "core/run/run_request.h"
#include "kernels/attention.h"

namespace saccade {

struct Run {
  RunRequest request;
  std::string digest;  // of the request
  std::shared_ptr<const Capture> capture;
  double seconds = 0.0;
  int64_t peak_bytes = 0;             // the process's highest resident size when the run ended
  int32_t reused_layers = 0;          // taken from the base run
  std::vector<std::string> findings;  // "layer 3 produced NaN at token 12"
};

struct NextToken {
  int32_t id = 0;
  std::string text;
  float logit = 0.0f;
  double probability = 0.0;
};
// The k most probable next tokens of a logit row [n_vocab]; ties go to the lowest id.
[[nodiscard]] std::vector<NextToken> top_next(const HostTensor& logits, const Tokenizer& tokenizer, int k);

struct SamplingOptions {
  int max_tokens = 32;
  double temperature = 0.0;  // 0 = greedy
  int top_k = 0;             // 0 = all
  double top_p = 1.0;
  uint64_t seed = 0;
  bool stop_at_eos = true;
  std::vector<int32_t> stop_ids = {};  // after one of these nothing more is drawn; it is kept
  bool keep_heads = false;             // Generation::steps
  PositionSet watched = {};            // keys whose mass the steps keep: a needle
  bool keep_logits = false;            // Generation::logits
  Contrast contrast = {};              // a second stream that the answer is steered away from
};
struct Generation {
  std::vector<Token> tokens;       // the new ones
  std::vector<HostTensor> logits;  // that each was drawn from, [n_vocab]; only when asked for
  std::string text;                // decoded together
  std::vector<HeadStep> steps;     // with SamplingOptions::keep_heads: one per new token
  bool stopped_at_eos = false;
  bool cancelled = false;  // what was made until then is kept
  double seconds = 0.0;
};

struct RunnerOptions {
  const KernelSet* kernels = nullptr;
  int threads = 0;             // 0 = all cores
  std::string device = "cpu";  // of its requests, unless they name another (core/run/device.h)
};

class Runner {
 public:
  static Result<std::unique_ptr<Runner>> create(std::shared_ptr<const Model> model,
                                                const RunnerOptions& options);
  ~Runner();

  [[nodiscard]] const Model& model() const;
  [[nodiscard]] const KernelSet& kernels() const;
  [[nodiscard]] int threads() const;
  // A request for these tokens on this model, no edits.
  [[nodiscard]] RunRequest request(TokenSequence tokens) const;
  [[nodiscard]] MemoryForecast forecast(const RunRequest& request) const;

  // The next-token logits [n_vocab] of every request, all of them through the layers together and without
  // captures. Requests of the same tokens share what lies below their first edit; in the last layer only the
  // rows that the answer needs go on. The same numbers as run() to float32 rounding, whatever the lengths.
  // Refuses what run() refuses, and requests of different dtypes.
  Result<std::vector<HostTensor>> answers(std::span<const RunRequest> requests, const JobContext& job);

  // The residuals that the question asks for, [write, layer, d_model]: those of `run` plus what the writes
  // become on the way. run: of this model, without edits.
  Result<HostTensor> residuals_on_paths(const Capture& run, const PathQuestion& question,
                                        const JobContext& job);

  // Refused before any work: no tokens, more tokens than positions, ids outside the vocabulary, edits that
  // name what does not exist, a forecast that does not fit. `base` may be null or any run; it is used only
  // where it is provably the same computation.
  Result<std::shared_ptr<const Run>> run(const RunRequest& request, const std::shared_ptr<const Run>& base,
                                         const JobContext& job);

  // A picture through the vision tower alone, as a run of its own: what the encoder's heads look at. Its
  // layers are those up to the last whose output the decoder reads, or `layers` where these are more; it has
  // no answer. Unsupported for a model without a tower.
  Result<std::shared_ptr<const Run>> run_tower(const std::shared_ptr<const PreparedImage>& image,
                                               const CapturePlan& plan, const JobContext& job,
                                               int32_t layers = 0);

  // Values and gradients at hook sites of one number made of the logits (core/run/gradient.h). `base` as for
  // run(). Refuses what run() refuses, and besides: bfloat16, an empty scalar, sites without a gradient, two
  // kinds of edits (gate, and mean over the run's own positions, which depend on the values they change), and
  // lengths whose maps do not fit, with the length that would.
  Result<std::shared_ptr<const GradientCapture>> gradients(const GradientRequest& request,
                                                           const std::shared_ptr<const Run>& base,
                                                           const JobContext& job);

  // Decodes with a KV cache under the request's edits. on_token is called after every new token, on this
  // thread. Positions of edits are absolute, so the text under them comes out as if it had been a prompt. Two
  // edits are frozen instead: a mean over positions at its value over the prompt, and replace and pattern act
  // on the positions the other run has.
  // A contrast's request is decoded beside it, under its own edits, and refused as this one is.
  Result<Generation> generate(
      const RunRequest& request, const SamplingOptions& options,
      const std::function<void(const Token&, const std::string& text_so_far)>& on_token,
      const JobContext& job);

  // Times of this model's matrix products alone, for `bench`: the same shapes, no attention, no capture.
  [[nodiscard]] Result<double> matrix_products_seconds(int64_t n_token, int repeats);

 private:
  struct State;
  explicit Runner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What a run of that many tokens would need with the usual captures; for a model that has no runner yet.
// Touches no weights. Thread: any.
[[nodiscard]] MemoryForecast forecast_run(const Model& model, int64_t n_token);

}  // namespace saccade
