// Who sees whom by a layer's mask alone, without knocked-out edges (kernels/attention.h). `spec` is that of a
// capture: its prefix is a number of positions. n: positions of the sequence. Thread: any.
#pragma once

#include <algorithm>

#include "core/model/model_spec.h"

namespace saccade {

// The positions of a sequence that see each other in both directions: what a capture's spec says of a prompt.
[[nodiscard]] inline int32_t prefix_of(const ModelSpec& spec, int64_t n, int64_t generated_from) {
  if (spec.prefix >= 0) return spec.prefix;
  return static_cast<int32_t>(generated_from >= 0 ? generated_from : n);
}

struct SeenKeys {
  int64_t begin = 0, end = 0;
};

// The keys that a query sees.
[[nodiscard]] inline SeenKeys seen_keys(const ModelSpec& spec, int32_t layer, int64_t query, int64_t n) {
  const int64_t window = spec.window_of(layer);
  if (query < spec.prefix) return {0, spec.causal ? std::min<int64_t>(n, spec.prefix) : n};
  return {window > 0 ? std::max<int64_t>(0, query - window + 1) : 0, spec.causal ? query + 1 : n};
}

// How many queries see a key.
[[nodiscard]] inline int64_t queries_that_see(const ModelSpec& spec, int32_t layer, int64_t key, int64_t n) {
  const int64_t window = spec.window_of(layer), prefix = std::clamp<int64_t>(spec.prefix, 0, n);
  const int64_t both_ways = key < prefix ? prefix : 0;
  const int64_t first = std::max<int64_t>(spec.causal ? key : 0, both_ways);
  const int64_t end = window > 0 ? std::min(n, key + window) : n;
  return both_ways + std::max<int64_t>(0, end - first);
}

}  // namespace saccade
