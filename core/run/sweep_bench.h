// Zeroing every head in turn, beside as many full forward passes of LibTorch: for `bench sweep`.
#pragma once

#include <cstdint>

#include "core/run/runner.h"

namespace saccade {

struct SweepBench {
  int64_t n_token = 0, n_run = 0;   // one run a head
  double seconds = 0.0;             // Runner::answers() for all of them
  double one_by_one_seconds = 0.0;  // Runner::run() for each, from the unedited run
  double eager_seconds = 0.0;       // LibTorch's operators: every layer, row and logit of every run
  double largest_difference = 0.0;  // of next-token logits, ours to LibTorch's
};

// unsupported: a model that is not of GPT-2's plain shape. Takes a minute with 144 heads.
Result<SweepBench> measure_sweep(Runner& runner, const std::vector<int32_t>& ids, const JobContext& job);

}  // namespace saccade
