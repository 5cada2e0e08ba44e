// The page beside a trained demo model: data, loss, time, and which heads do what, all from the run that made
// it.
#pragma once

#include <string>
#include <vector>

#include "resources/models/gpt2.h"
#include "resources/models/language.h"
#include "resources/models/measure.h"

namespace saccade {

struct CurvePoint {
  int32_t step = 0;
  double train_loss = 0;  // mean since the point before, nats, weighted as in training
  Glance glance;
};

struct TrainingRecord {
  uint64_t seed = 0;
  int64_t tokens = 0;  // seen in training
  double seconds = 0;
  std::vector<CurvePoint> curve;
};

// Markdown.
std::string write_page(const Gpt2Shape& shape, const Language& language, const TrainingRecord& training,
                       const Measurement& measurement);
// The measured part alone, as the trainer prints it.
std::string describe_heads(const Measurement& measurement);

}  // namespace saccade
