// The products q . k of a 64 x 64 tile of one head's map, in shared memory: what every regeneration of a map
// starts from. float32 by fused multiply-adds, bfloat16 on tensor cores, any head size.
#pragma once

#include "kernels/cuda/cell.cuh"
#include "kernels/cuda/load.cuh"

namespace saccade::cuda {

constexpr int tile_side = 64;
// An odd stride: reading a column or a row of the tile meets every bank.
constexpr int tile_stride = tile_side + 1;

template <class Element>
struct TileOperands {
  static constexpr int numbers = 256 / static_cast<int>(sizeof(Element));  // of a head at a time
  static constexpr int row_stride = numbers + 16 / static_cast<int>(sizeof(Element));
};
template <class Element>
constexpr int score_tile_shared_bytes =
    2 * tile_side* TileOperands<Element>::row_stride* static_cast<int>(sizeof(Element)) +
    tile_side* tile_stride * 4;

// 16 x 16 threads: rows ty + 16 a, columns tx + 16 b.
struct FloatTile {
  float s[4][4] = {};

  __device__ void multiply(const float* q, const float* k, int width) {
    constexpr int stride = TileOperands<float>::row_stride;
    const int ty = static_cast<int>(threadIdx.x) / 16, tx = static_cast<int>(threadIdx.x) % 16;
    for (int x = 0; x < width; x += 4) {
      float4 left[4], right[4];
#pragma unroll
      for (int a = 0; a < 4; ++a) {
        left[a] = *reinterpret_cast<const float4*>(q + (ty + 16 * a) * stride + x);
        right[a] = *reinterpret_cast<const float4*>(k + (tx + 16 * a) * stride + x);
      }
#pragma unroll
      for (int a = 0; a < 4; ++a)
#pragma unroll
        for (int b = 0; b < 4; ++b) {
          s[a][b] = fmaf(left[a].x, right[b].x, s[a][b]);
          s[a][b] = fmaf(left[a].y, right[b].y, s[a][b]);
          s[a][b] = fmaf(left[a].z, right[b].z, s[a][b]);
          s[a][b] = fmaf(left[a].w, right[b].w, s[a][b]);
        }
    }
  }
  __device__ void store(float* tile) const {
    const int ty = static_cast<int>(threadIdx.x) / 16, tx = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
    for (int a = 0; a < 4; ++a)
#pragma unroll
      for (int b = 0; b < 4; ++b) tile[(ty + 16 * a) * tile_stride + tx + 16 * b] = s[a][b];
  }
};

// 8 warps: 4 times 16 rows, twice 32 columns. Fragments as builtins.cuh has them.
struct TensorTile {
  float s[4][4] = {};

  __device__ void multiply(const Bfloat16* q, const Bfloat16* k, int width) {
    constexpr int stride = TileOperands<Bfloat16>::row_stride;
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int warp = static_cast<int>(threadIdx.x) / warp_size;
    const Bfloat16* const q_row = q + (warp % 4 * 16 + lane % 16) * stride + lane / 16 * 8;
    const Bfloat16* const k_row = k + (warp / 4 * 32 + lane % 8 + lane / 16 * 8) * stride + lane / 8 % 2 * 8;
    for (int x = 0; x < width; x += 16) {
      uint32_t a[4];
      load_matrices(a, q_row + x);
#pragma unroll
      for (int part = 0; part < 4; part += 2) {
        uint32_t b[4];
        load_matrices(b, k_row + part * 8 * stride + x);
        multiply_accumulate(s[part], a, b[0], b[1]);
        multiply_accumulate(s[part + 1], a, b[2], b[3]);
      }
    }
  }
  __device__ void store(float* tile) const {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int warp = static_cast<int>(threadIdx.x) / warp_size;
    float* const to = tile + (warp % 4 * 16 + lane / 4) * tile_stride + warp / 4 * 32 + lane % 4 * 2;
#pragma unroll
    for (int part = 0; part < 4; ++part)
#pragma unroll
      for (int i = 0; i < 4; ++i) to[i / 2 * 8 * tile_stride + part * 8 + i % 2] = s[part][i];
  }
};

__device__ inline FloatTile accumulator_for(float) { return {}; }
__device__ inline TensorTile accumulator_for(Bfloat16) { return {}; }

// Weights of rows [row, row + n_rows) and keys [key, key + n_keys) of a head; 0 in the tile's other cells.
// shared: score_tile_shared_bytes. Begins and ends with the block in step.
template <class Element>
__device__ inline float* weight_tile(const Parameters& p, int head, int row, int n_rows, int key, int n_keys,
                                     void* shared) {
  using Operands = TileOperands<Element>;
  constexpr int multiple = 32 / static_cast<int>(sizeof(Element));
  auto* q = static_cast<Element*>(shared);
  Element* k = q + tile_side * Operands::row_stride;
  auto* tile = reinterpret_cast<float*>(k + tile_side * Operands::row_stride);
  auto products = accumulator_for(Element{});
  for (int x = 0; x < p.d_head; x += Operands::numbers) {
    const int width = min(Operands::numbers, (p.d_head - x + multiple - 1) / multiple * multiple);
    __syncthreads();
    load_rows(q, Operands::row_stride, p.q, head, row, n_rows, tile_side, x, width, p.d_head);
    load_rows(k, Operands::row_stride, p.k, head / p.group, key, n_keys, tile_side, x, width, p.d_head);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    products.multiply(q, k, width);
  }
  products.store(tile);
  __syncthreads();
  for (int n = static_cast<int>(threadIdx.x); n < tile_side * tile_side; n += block_threads) {
    const int r = n / tile_side, c = n % tile_side;
    float& cell = tile[r * tile_stride + c];
    cell = r < n_rows && c < n_keys ? weight_of(p, head, row + r, key + c, cell) : 0.0f;
  }
  __syncthreads();
  return tile;
}

// Rows [begin, end) that may give keys [first, last] any weight; edited heads: all (a replaced block may
// reach anywhere).
__device__ inline KeyBounds rows_of_keys(const Parameters& p, int head, int first, int last) {
  KeyBounds b{0, p.n_query};
  const PlanRecord* plan = plan_of(p, head);
  if (plan && plan->weights.begin < plan->weights.end) return b;
  const bool prefix = first < p.prefix;  // rows before its end see these keys
  if (p.causal && !prefix) b.begin = max(0, first - p.first_query);
  if (p.window > 0)
    b.end = min(b.end, max(last + p.window - p.first_query, prefix ? p.prefix - p.first_query : 0));
  return b;
}

// Whether a tile of cells can hold any weight.
__device__ inline bool may_hold_weight(const Parameters& p, int head, int row, int n_rows, int key,
                                       int n_keys) {
  const KeyBounds rows = rows_of_keys(p, head, key, key + n_keys - 1);
  return row < rows.end && row + n_rows > rows.begin;
}

}  // namespace saccade::cuda
