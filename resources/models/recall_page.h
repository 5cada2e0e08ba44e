// The page beside demo:recall: data, training, and which heads do what, all from the run that made it.
#pragma once

#include <string>
#include <vector>

#include "resources/models/facts.h"
#include "resources/models/llama.h"
#include "resources/models/recall_measure.h"

namespace saccade {

struct RecallPoint {
  int32_t step = 0;
  double train_loss = 0;  // mean since the point before, nats, weighted as in training
  RecallScore near, far;  // in texts of 128 and of 512 tokens
};

struct RecallTraining {
  uint64_t seed = 0;
  int64_t tokens = 0;
  double seconds = 0;
  std::vector<RecallPoint> curve;
  // Steps at which the learning was over and at which the other heads of `stay`'s layer had faded.
  int32_t learned_at = 0, faded_at = 0;
  std::vector<Head> stay;
};

// Markdown.
std::string write_recall_page(const LlamaShape& shape, const FactLanguage& language,
                              const RecallTraining& training, const RecallMeasurement& measurement);
// The measured part alone, as the trainer prints it.
std::string describe_recall(const RecallMeasurement& measurement);

}  // namespace saccade
