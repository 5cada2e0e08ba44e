// Rows of q, k or v from device memory to shared memory.
#pragma once

#include "kernels/cuda/block.cuh"

namespace saccade::cuda {

// Copies columns [column, column + width) of rows [first, first + count) of one head into `to`, `rows` rows
// of `stride` elements each; what lies outside the tensor (rows past count, columns past d_head) becomes 0.
// width is a multiple of 16 bytes; rows of `to` are aligned to 16 bytes. The copies are asynchronous where
// the tensor's rows are aligned: they are there after copy_commit, copy_wait and __syncthreads.
template <class Element>
__device__ inline void load_rows(Element* to, int stride, const HeadsRecord& from, int head, int first,
                                 int count, int rows, int column, int width, int d_head) {
  constexpr int piece = 16 / static_cast<int>(sizeof(Element));
  const int pieces = width / piece;
  for (int n = static_cast<int>(threadIdx.x); n < rows * pieces; n += static_cast<int>(blockDim.x)) {
    const int row = n / pieces, x = n % pieces * piece;
    Element* const target = to + row * stride + x;
    const int left = row < count ? d_head - column - x : 0;
    const Element* const source = left > 0 ? row_of<Element>(from, head, first + row) + column + x : nullptr;
    if (from.aligned && left >= piece) {
      copy_async(target, source);
    } else {
#pragma unroll
      for (int i = 0; i < piece; ++i) target[i] = i < left ? source[i] : Element{0};
    }
  }
}

}  // namespace saccade::cuda
