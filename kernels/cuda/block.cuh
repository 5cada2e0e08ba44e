// Sums and maxima over a warp and over a thread block. The order is fixed: same input, same bits.
#pragma once

#include "kernels/cuda/builtins.cuh"
#include "kernels/cuda/parameters.h"

namespace saccade::cuda {

constexpr int warp_size = 32;
// Threads of every kernel but the tensor-core forward pass.
constexpr int block_threads = 256;
constexpr unsigned all_lanes = 0xffffffffu;
constexpr float minus_infinity = -__builtin_huge_valf();

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN if either is.
struct Largest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b || isnan(a) ? a : b;
  }
};

// Over `lanes` neighbouring lanes, a power of two; every lane gets the result.
template <int lanes, class T, class Operation>
__device__ inline T reduce_lanes(T value, Operation operation) {
#pragma unroll
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    value = operation(value, __shfl_xor_sync(all_lanes, value, distance));
  return value;
}

// Over the block; every thread gets the result. scratch: shared, one T per warp.
template <class T, class Operation>
__device__ inline T reduce_block(T value, T* scratch, Operation operation) {
  value = reduce_lanes<warp_size>(value, operation);
  if (threadIdx.x % warp_size == 0) scratch[threadIdx.x / warp_size] = value;
  __syncthreads();
  value = scratch[0];
  for (unsigned warp = 1; warp < blockDim.x / warp_size; ++warp) value = operation(value, scratch[warp]);
  __syncthreads();
  return value;
}

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(Bfloat16 value) { return __uint_as_float(static_cast<uint32_t>(value) << 16); }

template <class Element>
__device__ inline const Element* row_of(const HeadsRecord& heads, int head, int token) {
  return static_cast<const Element*>(heads.data) + token * heads.token_stride + head * heads.head_stride;
}

}  // namespace saccade::cuda
