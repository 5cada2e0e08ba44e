// A capture of one layer made of nothing but arithmetic, for looking at maps that are longer than a demo
// model reaches: a text of a few thousand words that comes back again and again. Head 0.0 looks for what
// followed the same word before (stripes), head 0.1 at what is near, at its own chapter and at the first
// token.
#pragma once

#include <memory>

#include "core/capture/capture.h"

namespace saccade {

// q and k are drawn from a fixed seed, lse and the statistics by the kernels' own forward pass: the map is as
// true as any. n_token: at least 16. parallel: see kernels/base/parallel.h.
Result<std::shared_ptr<const Capture>> make_long_capture(int64_t n_token, const KernelSet& kernels,
                                                         const Parallel& parallel);

}  // namespace saccade
