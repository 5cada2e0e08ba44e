// The CPU kernels as Highway compiles them: one body, one namespace per instruction set. Private to kernels/.
// Inputs were checked at the boundary (kernels/attention.cpp); these functions trust them.
#pragma once

#include "kernels/attention.h"

namespace saccade::cpu {

struct Functions {
  void (*forward)(const AttentionInput&, const AttentionOutput&, const Parallel&);
  void (*tile)(const TileInput&, const TileRequest&, const TileOutput&);
  void (*weights_at)(const TileInput&, int64_t head, std::span<const int32_t> query,
                     std::span<const int32_t> key, float* out);
};

struct Target {
  const char* name;
  const char* description;
  Functions functions;
};

constexpr size_t most_targets = 8;
// Those compiled in that this machine can run, best first; the last one always can.
[[nodiscard]] std::span<const Target> targets();

}  // namespace saccade::cpu
