// What the heads of a trained demo:recall do, in numbers, on texts drawn apart from training.
//
// Retrieval score of a head (Wu et al. 2024, arXiv 2404.15574, its set form, answers given rather than
// decoded): share of the answer's words whose row's strongest key is that word in its fact. Recall: mean
// probability of the answer's words.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/facts.h"
#include "resources/models/llama.h"

namespace saccade {

struct RecallScore {
  double first = 0, later = 0;  // mean probability of an answer's first word, of its other words
};

// At one text length, among a few other facts.
struct RecallAtLength {
  int32_t length = 0;
  RecallScore recall;
};

struct RecallHead {
  Head head;
  double retrieval = 0;        // score above
  double previous = 0;         // mean attention from a token to the one before
  RecallScore recall_without;  // with this head zeroed
};

struct RecallMeasurement {
  int32_t texts = 0, length = 0, questions = 0;
  RecallScore intact;
  std::vector<RecallAtLength> lengths;
  std::vector<RecallHead> heads;      // [layer * n_head + head]
  std::vector<Head> retrieval_heads;  // score of at least 0.1
  RecallScore without_retrieval;      // all of them zeroed
  RecallScore without_others;         // as many others, mean over draws
  int32_t draws = 0;
};

// The short form, for what is decided and shown during training; the heads in `zeroed` contribute nothing.
Result<RecallScore> recall_glance(const Llama& model, const FactLanguage& language, int32_t length,
                                  uint64_t seed, const std::vector<Head>& zeroed = {});
Result<RecallMeasurement> measure_recall(const Llama& model, const FactLanguage& language, int32_t length,
                                         uint64_t seed);

}  // namespace saccade
