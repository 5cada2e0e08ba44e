// One new token behind a long context, beside reading what it needs once: for `bench decode`.
#pragma once

#include <cstdint>

#include "core/run/runner.h"

namespace saccade {

struct DecodeBench {
  int64_t n_token = 0;            // of the context
  double seconds = 0.0;           // of one token, every head's strongest key kept
  double seconds_plain = 0.0;     // the same without
  int64_t bytes = 0;              // weights and cache that one token reads
  double bytes_per_second = 0.0;  // read rate of the machine, measured in the same run
  [[nodiscard]] double limit() const { return static_cast<double>(bytes) / bytes_per_second; }
};

// unsupported: contexts longer than the model's.
Result<DecodeBench> measure_decode(Runner& runner, const std::vector<int32_t>& prompt, const JobContext& job);

// How fast this machine reads memory with all of a runner's threads, bytes per second: the best of several
// passes over a buffer that no cache holds.
[[nodiscard]] double measure_read_rate(int threads);

}  // namespace saccade
