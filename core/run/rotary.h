// Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34), tables in double, applied in float32.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/model_spec.h"

namespace saccade {

// Angular frequency of each rotated pair, after the family's scaling. [dimensions / 2], radians per position
[[nodiscard]] std::vector<double> rotary_frequencies(const RotarySpec& rotary);

class RotaryTable {
 public:
  explicit RotaryTable(const RotarySpec& rotary);
  // Makes positions [0, n) available.
  void extend(int64_t n);
  // Copies one head's vector [d_head] from `in` to `out`, rotating its first `dimensions` for `position`.
  void rotate(const float* in, float* out, int64_t d_head, int64_t position) const;

 private:
  RotarySpec rotary_;
  std::vector<double> frequencies_;
  std::vector<float> cos_, sin_;  // [position, dimensions / 2]
};

}  // namespace saccade
