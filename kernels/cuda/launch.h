// One call's kernels on a stream, for each type of q, k and v. Private to kernels/cuda: the files that
// include it are compiled by nvcc.
#pragma once

#include "kernels/cuda/parameters.h"

namespace saccade::cuda {

// Gives nullptr, or the driver's message; nothing is enqueued after the first failure. stream: a
// cudaStream_t.
struct Launches {
  const char* (*forward)(const Parameters&, void* stream);
  const char* (*tiles)(const Parameters&, const TileParameters&, void* stream);
  const char* (*cells)(const Parameters&, const CellParameters&, void* stream);
};
extern const Launches float_launches, bfloat16_launches;

}  // namespace saccade::cuda
