// The CUDA kernels as one more kernel set. Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention.h"

namespace saccade::cuda {

// Adds the set "cuda" where a device is there. Last: with host pointers every call pays for the way to the
// device and back, so that "auto" never means it.
void append_sets(std::vector<KernelSet>& sets);
// Where `name` is "cuda": why there is no such set, in brackets; otherwise empty.
[[nodiscard]] std::string why_not(std::string_view name);

}  // namespace saccade::cuda
