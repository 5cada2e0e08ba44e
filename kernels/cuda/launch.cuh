// The Launcher of sequence.cuh that starts kernels on a stream.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/sequence.cuh"

namespace saccade::cuda {

class StreamLauncher {
 public:
  explicit StreamLauncher(void* stream) : stream_(static_cast<cudaStream_t>(stream)) {}

  void zero(void* pointer, size_t bytes) {
    if (error_ == cudaSuccess) error_ = cudaMemsetAsync(pointer, 0, bytes, stream_);
  }
  template <class... Wanted, class... Given>
  void launch(void (*kernel)(Wanted...), Grid grid, int threads, size_t shared_bytes, const Given&... given) {
    if (error_ != cudaSuccess || grid.x < 1 || grid.y < 1 || grid.z < 1) return;
    constexpr size_t granted_to_all = 48 * 1024;
    if (shared_bytes > granted_to_all)
      error_ = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shared_bytes));
    if (error_ != cudaSuccess) return;
    const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                      static_cast<unsigned>(grid.z));
    kernel<<<blocks, static_cast<unsigned>(threads), shared_bytes, stream_>>>(given...);
    error_ = cudaGetLastError();
  }
  [[nodiscard]] const char* message() const {
    return error_ == cudaSuccess ? nullptr : cudaGetErrorString(error_);
  }

 private:
  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

template <class Element>
constexpr Launches launches_of() {
  return {[](const Parameters& p, void* stream) {
            StreamLauncher launcher(stream);
            run_forward<Element>(launcher, p);
            return launcher.message();
          },
          [](const Parameters& p, const TileParameters& t, void* stream) {
            StreamLauncher launcher(stream);
            run_tiles<Element>(launcher, p, t);
            return launcher.message();
          },
          [](const Parameters& p, const CellParameters& c, void* stream) {
            StreamLauncher launcher(stream);
            run_cells<Element>(launcher, p, c);
            return launcher.message();
          }};
}

}  // namespace saccade::cuda
