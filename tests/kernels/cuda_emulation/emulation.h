// Runs CUDA C++ device code on the CPU, one thread block at a time, every thread of it a fiber: what a kernel
// computes, and whether its threads wait for each other where they must, is then tested without a device.
// Include before any .cuh file of kernels/cuda.
//
// Threads run in an order that the test chooses until each waits at __syncthreads() or in a warp operation:
// a missing barrier shows as a result that depends on the order. Shared memory begins as NaN; cp.async copies
// arrive at the wait and not before. Warp operations (shuffles, ldmatrix, mma) take all 32 lanes, and follow
// the PTX ISA's tables of who holds which element. Not emulated: the rounding of the hardware's own
// approximations, memory ordering across blocks (blocks run one after another), speed.
#pragma once

#include <math.h>

#include <cstdint>
#include <cstring>
#include <functional>

// The language.
#define __global__
#define __device__
#define __launch_bounds__(threads)

struct EmulatedIndex {
  unsigned x = 0, y = 0, z = 0;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

namespace cuda_emulation {

enum class Order { forwards, backwards, shuffled };

// What the running thread sees.
struct Place {
  EmulatedIndex thread, block, block_size, grid_size;
};
const Place& place();

void* shared_memory();
void sync_threads();
// The lanes of a warp meet: each brings a pointer, the last to come does the work for all.
void meet_in_warp(const void* mine, void (*work)(const void* const* lanes));

void copy_async(void* to, const void* from);
void copy_commit();
void copy_wait(int pending);

// Runs body once per thread of every block of the grid. shared_bytes of shared memory per block.
void run_grid(EmulatedIndex grid, unsigned threads, size_t shared_bytes, Order order,
              const std::function<void()>& body);

template <class T>
struct Shuffle {
  T value;
  T* result;
  int distance;
};

}  // namespace cuda_emulation

// NOLINTBEGIN: the names are CUDA's.
#define threadIdx (cuda_emulation::place().thread)
#define blockIdx (cuda_emulation::place().block)
#define blockDim (cuda_emulation::place().block_size)
#define gridDim (cuda_emulation::place().grid_size)

inline void __syncthreads() { cuda_emulation::sync_threads(); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int distance) {
  T result{};
  const cuda_emulation::Shuffle<T> mine{value, &result, distance};
  cuda_emulation::meet_in_warp(&mine, [](const void* const* lanes) {
    for (int lane = 0; lane < 32; ++lane) {
      const auto& to = *static_cast<const cuda_emulation::Shuffle<T>*>(lanes[lane]);
      *to.result = static_cast<const cuda_emulation::Shuffle<T>*>(lanes[lane ^ to.distance])->value;
    }
  });
  return result;
}

template <class To, class From>
To emulated_bits(From value) {
  To to;
  static_assert(sizeof(to) == sizeof(value));
  std::memcpy(&to, &value, sizeof(to));
  return to;
}
inline float __uint_as_float(uint32_t value) { return emulated_bits<float>(value); }
inline float __int_as_float(int32_t value) { return emulated_bits<float>(value); }
inline int32_t __float_as_int(float value) { return emulated_bits<int32_t>(value); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
// NOLINTEND

namespace saccade::cuda {

inline void* shared_memory() { return cuda_emulation::shared_memory(); }
inline void copy_async(void* to, const void* from) { cuda_emulation::copy_async(to, from); }
inline void copy_commit() { cuda_emulation::copy_commit(); }
template <int pending>
void copy_wait() {
  cuda_emulation::copy_wait(pending);
}
constexpr float log2_e = 1.44269504088896341f;
inline float fast_exp2(float x) { return exp2f(x); }

uint32_t pack_bfloat16(float low, float high);
void load_matrices(uint32_t (&r)[4], const void* row);
void load_matrices_transposed(uint32_t (&r)[4], const void* row);
void multiply_accumulate(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

}  // namespace saccade::cuda
