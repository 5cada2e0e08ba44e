// The attention kernels of a device beside LibTorch's there, for `bench attention --device`.
#pragma once

#include <vector>

#include "core/run/device.h"
#include "kernels/attention.h"

namespace saccade {

// Causal, 12 heads of 64, bfloat16, random inputs that lie on the device, results left there. Seconds are the
// best of several, each until the device has finished.
struct DeviceAttentionBench {
  int64_t n_token = 0;
  double plain_seconds = 0.0;       // output only
  double statistics_seconds = 0.0;  // every row and column statistic
  double peer_seconds = 0.0;  // scaled_dot_product_attention, before LibTorch 2.0 with every map written
  double largest_difference = 0.0;  // of the two outputs
};
// Errors: the device's (core/run/device.h); out_of_memory with what was asked for. Thread: the engine thread.
Result<std::vector<DeviceAttentionBench>> measure_device_attention(const Device& device,
                                                                   const std::vector<int64_t>& lengths);

}  // namespace saccade
