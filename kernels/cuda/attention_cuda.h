// The CUDA kernels (compute capability 8.0 and newer): what they are for, where they run, and the entries
// that take device memory. Compiles without a CUDA toolkit; without one there is no device, and
// cuda_status() says so. kernels/cuda/README.md tells how the kernels work and what they were checked by.
// Thread: any. Entries work on the device that is current on the calling thread (select_device).
#pragma once

#include <string>
#include <vector>

#include "kernels/attention.h"

namespace saccade::cuda {

struct Device {
  int index = 0;
  std::string name;
  int64_t memory = 0;        // bytes
  int major = 0, minor = 0;  // compute capability
};

// Those these kernels can run on; empty where there is none, and status() then says why.
[[nodiscard]] std::vector<Device> devices();
// "ready: NVIDIA A100 (8.0, 40 GiB)", "no CUDA toolkit at build time", "no device: <the driver's message>",
// "no device of compute capability 8.0 or newer: Tesla T4 (7.5)".
[[nodiscard]] std::string status();
// Makes a device the calling thread's; not_found with the choices, or with status(), where there is no such.
[[nodiscard]] Result<void> select_device(int index);

// Host pointers in and out, as the CPU's kernels: inputs are copied to the device and results back, so that
// any session may use any kernels. Inputs were checked at the boundary (kernels/attention.cpp). Errors:
// out_of_memory with what was asked for and what was free, and nothing is left behind; internal with the
// driver's message; unsupported for more tokens than 32 bits count.
[[nodiscard]] Result<void> forward(const AttentionInput& in, const AttentionOutput& out);
[[nodiscard]] Result<void> tile(const TileInput& in, const TileRequest& request, const TileOutput& out);
[[nodiscard]] Result<void> weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                                      std::span<const int32_t> key, float* out);

// For a model whose tensors live on the device: every float, int32 and bfloat16 pointer of q, k, v, lse, the
// statistics, key_masses[n].mass and row_factors[h] is the device's; knockouts, slopes, key sets and edits
// stay on the host. `stream` is a cudaStream_t (null: the default stream). Work is only enqueued: results are
// there when the stream has come so far. Errors as above, besides those the device meets while it works,
// which the stream reports.
[[nodiscard]] Result<void> forward_on_device(const AttentionInput& in, const AttentionOutput& out,
                                             void* stream);
[[nodiscard]] Result<void> tile_on_device(const TileInput& in, const TileRequest& request,
                                          const TileOutput& out, void* stream);

}  // namespace saccade::cuda
