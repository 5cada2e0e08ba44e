// The few instructions that CUDA C++ has no operator for: dynamic shared memory, tensor cores, asynchronous
// copies (all of compute capability 8.0). Everything above this file is plain CUDA C++.
// A compiler that is not nvcc must have been given stand-ins first: tests/kernels/cuda_emulation does that,
// and follows the same pages of the PTX ISA for who holds which element of a fragment:
//
// multiply_accumulate: D[16, 8] += A[16, 16] B[16, 8], bfloat16 to float32 (mma.m16n8k16). Lane l, with
// g = l / 4 and t = l % 4, two bfloat16 per register, the lower half first:
//   a[0]: A[g][2t, 2t+1]   a[1]: A[g+8][2t, 2t+1]   a[2]: A[g][2t+8, 2t+9]   a[3]: A[g+8][2t+8, 2t+9]
//   b0:   B[2t, 2t+1][g]   b1:   B[2t+8, 2t+9][g]
//   d[0], d[1]: D[g][2t, 2t+1]                      d[2], d[3]: D[g+8][2t, 2t+1]
// load_matrices: four 8 x 8 matrices of bfloat16 from shared memory (ldmatrix.x4). Lane l gives the address
// of row l % 8 of matrix l / 8 and gets, of matrix n, M_n[g][2t, 2t+1] in r[n]; transposed: M_n[2t, 2t+1][g].
#pragma once

#include <cstdint>

#ifdef __CUDACC__

namespace saccade::cuda {

// The block's dynamic shared memory, aligned to 16 bytes.
__device__ inline void* shared_memory() {
  extern __shared__ int4 dynamic_shared[];
  return dynamic_shared;
}

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ inline void multiply_accumulate(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two float32 as bfloat16, `low` in the lower half, to the nearest, ties to even.
__device__ inline uint32_t pack_bfloat16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

// 16 bytes from device memory to shared memory, both aligned to 16 bytes; there after copy_wait.
__device__ inline void copy_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global)
               : "memory");
}
__device__ inline void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits for this thread's copies, but for those of the last `pending` commits.
template <int pending>
__device__ inline void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

constexpr float log2_e = 1.44269504088896341f;
// 2^x, to 2 parts in 2^23.
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace saccade::cuda

#endif
