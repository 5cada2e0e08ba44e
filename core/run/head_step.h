// HeadStep: what the heads did while one token was generated. What retrieval heads are scored from.
#pragma once

#include <cstdint>
#include <vector>

namespace saccade {

// What every head did for one new token, [layer, head]: the row that the token was read from.
struct HeadStep {
  std::vector<int32_t> max_key;   // the key with the largest weight; ties go to the lowest
  std::vector<float> max_weight;  // its weight
  std::vector<float> key_mass;    // weight on SamplingOptions::watched; empty without
};

}  // namespace saccade
