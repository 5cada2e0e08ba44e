// Numbers stored in blocks of a few bits with scales of their own, as GGUF files have them, widened to
// float32. Layouts: ggml's block structures (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: 32 numbers; Q2_K to Q6_K: 256).
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/model/checkpoint.h"

namespace saccade {

// Widens `count` numbers, whole blocks, of a dtype with block_of(dtype).numbers > 1.
void widen_blocks(DType dtype, const std::byte* blocks, int64_t count, float* out);

}  // namespace saccade
