// The plain forward pass, bfloat16 on tensor cores: as forward_tiled.cuh, but every warp has 16 query rows of
// its own, scores and z stay in its registers as fragments, and the next keys arrive while values are mixed.
// Scores and sums are float32; weights are rounded to bfloat16 for the product with the values, and only
// there. Who holds what of a fragment is written in builtins.cuh; a row is spread over 4 neighbouring lanes.
#pragma once

#include "kernels/cuda/forward_tiled.cuh"

namespace saccade::cuda {

// Head sizes up to D in {64, 128, 256}.
template <int D>
struct TensorForward {
  static constexpr int keys = D == 256 ? 32 : 64;
  static constexpr int row_stride = D + 8;  // 16 bytes more: rows of a matrix then lie in different banks
  static constexpr int score_tiles = keys / 8, value_tiles = D / 8;
  static constexpr int shared_bytes(int rows) { return (rows + 2 * keys) * row_stride * 2; }
};

// s[16, keys] = q[16, d] k[keys, d]^T; q: the warp's rows.
template <class Shape>
__device__ inline void multiply_fragments(const Bfloat16* q, const Bfloat16* k, int width, int lane,
                                          float (&s)[Shape::score_tiles][4]) {
  const Bfloat16* const q_row = q + lane % 16 * Shape::row_stride + lane / 16 * 8;
  const Bfloat16* const k_row = k + (lane % 8 + lane / 16 * 8) * Shape::row_stride + lane / 8 % 2 * 8;
  for (int x = 0; x < width; x += 16) {
    uint32_t a[4];
    load_matrices(a, q_row + x);
#pragma unroll
    for (int tile = 0; tile < Shape::score_tiles; tile += 2) {
      uint32_t b[4];
      load_matrices(b, k_row + tile * 8 * Shape::row_stride + x);
      multiply_accumulate(s[tile], a, b[0], b[1]);
      multiply_accumulate(s[tile + 1], a, b[2], b[3]);
    }
  }
}

// z[16, d] += w[16, keys] v[keys, d]; w: the score fragments, turned into weights.
template <class Shape>
__device__ inline void mix_fragments(const float (&w)[Shape::score_tiles][4], const Bfloat16* v, int width,
                                     int lane, float (&z)[Shape::value_tiles][4]) {
  const Bfloat16* const v_row = v + lane % 16 * Shape::row_stride + lane / 16 * 8;
#pragma unroll
  for (int tile = 0; tile < Shape::score_tiles; tile += 2) {
    // Two neighbouring tiles of D are one A: columns 0-7 and 8-15.
    const uint32_t a[4] = {pack_bfloat16(w[tile][0], w[tile][1]), pack_bfloat16(w[tile][2], w[tile][3]),
                           pack_bfloat16(w[tile + 1][0], w[tile + 1][1]),
                           pack_bfloat16(w[tile + 1][2], w[tile + 1][3])};
#pragma unroll
    for (int column = 0; column < Shape::value_tiles; column += 2) {
      if (column * 8 >= width) break;
      uint32_t b[4];
      load_matrices_transposed(b, v_row + tile * 8 * Shape::row_stride + column * 8);
      multiply_accumulate(z[column], a, b[0], b[1]);
      multiply_accumulate(z[column + 1], a, b[2], b[3]);
    }
  }
}

// One warp's 16 rows: lane l holds parts of rows l / 4 (half 0) and l / 4 + 8 (half 1).
template <int D>
struct TensorRows {
  using Shape = TensorForward<D>;
  float z[Shape::value_tiles][4];
  float highest[2];
  RowState state[2];

  __device__ TensorRows() {
#pragma unroll
    for (int tile = 0; tile < Shape::value_tiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i) z[tile][i] = 0.0f;
    highest[0] = highest[1] = minus_infinity;
  }

  // s: products in, weights out. query: of the lane's first row; key: of its first column.
  __device__ void absorb(const Parameters& p, const TileMask& mask, const RowStatistics& wanted, bool gathers,
                         int query, int key, const float* norms, float (&s)[Shape::score_tiles][4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int q = query + 8 * half;
      float tile_highest = minus_infinity;
#pragma unroll
      for (int tile = 0; tile < Shape::score_tiles; ++tile)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& cell = s[tile][2 * half + i];
          cell = mask.score(p, q, key + 8 * tile + i, cell);
          tile_highest = fmaxf(tile_highest, cell);
        }
      tile_highest = reduce_lanes<4>(tile_highest, [](float x, float y) { return fmaxf(x, y); });
      const float factor = step_row(highest[half], tile_highest, state[half]),
                  origin = origin_of(highest[half]);
      if (factor != 1.0f) {
#pragma unroll
        for (int tile = 0; tile < Shape::value_tiles; ++tile) {
          z[tile][2 * half] *= factor;
          z[tile][2 * half + 1] *= factor;
        }
      }
#pragma unroll
      for (int tile = 0; tile < Shape::score_tiles; ++tile)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& cell = s[tile][2 * half + i];
          const float log_w = cell - origin;
          cell = fast_exp2(log2_e * log_w);
          state[half].sum += cell;
          const int column = key + 8 * tile + i;
          if (gathers && column < p.n_key) state[half].add(p, wanted, cell, log_w, q, column, norms);
        }
    }
  }

  // row: of the lane's first row.
  __device__ void write(const Parameters& p, int head, int row, int lane) {
    state[0].template merge_lanes<4>();
    state[1].template merge_lanes<4>();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int at = row + 8 * half;
      if (at >= p.n_query) continue;
      if (lane % 4 == 0) write_row(p, head, at, highest[half], state[half]);
      const bool empty = highest[half] == minus_infinity && !isnan(state[half].sum);
      const float inverse = empty ? 0.0f : 1.0f / state[half].sum;
      float* to = z_of(p, head, at) + lane % 4 * 2;
#pragma unroll
      for (int tile = 0; tile < Shape::value_tiles; ++tile)
#pragma unroll
        for (int i = 0; i < 2; ++i)
          if (8 * tile + lane % 4 * 2 + i < p.d_head) to[8 * tile + i] = z[tile][2 * half + i] * inverse;
    }
  }
};

// Grid as forward_tiled; 16 rows per warp of the block.
template <int D>
__global__ void __launch_bounds__(block_threads) forward_tensor(const Parameters p) {
  using Shape = TensorForward<D>;
  const int head = p.tables.plain_heads[blockIdx.y], kv_head = head / p.group;
  if (p.work.broken[kv_head]) return;
  const int rows = static_cast<int>(blockDim.x) / 2;
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * rows;
  const int n_rows = min(rows, p.n_query - first_row), d = p.d_head, width = (d + 15) / 16 * 16;
  const int lane = static_cast<int>(threadIdx.x) % warp_size,
            warp = static_cast<int>(threadIdx.x) / warp_size;
  auto* q = static_cast<Bfloat16*>(shared_memory());
  Bfloat16* k = q + rows * Shape::row_stride;
  Bfloat16* v = k + Shape::keys * Shape::row_stride;

  const RowStatistics wanted(p);
  const bool gathers = wanted.any();
  const float* norms = p.work.value_norms + static_cast<int64_t>(kv_head) * p.n_key;
  TensorRows<D> mine;
  const KeyBounds bounds = keys_of_rows(p, first_row, first_row + n_rows - 1);
  const int begin = bounds.begin / Shape::keys * Shape::keys;
  const auto load = [&](Bfloat16* to, const HeadsRecord& from, int key) {
    load_rows(to, Shape::row_stride, from, kv_head, key, min(Shape::keys, p.n_key - key), Shape::keys, 0,
              width, d);
    copy_commit();
  };
  load_rows(q, Shape::row_stride, p.q, head, first_row, n_rows, rows, 0, width, d);
  if (begin < bounds.end) load(k, p.k, begin);
  for (int key = begin; key < bounds.end; key += Shape::keys) {
    copy_wait<0>();
    __syncthreads();  // the keys are there; every warp is done with the values before
    load(v, p.v, key);
    float s[Shape::score_tiles][4] = {};
    multiply_fragments<Shape>(q + warp * 16 * Shape::row_stride, k, width, lane, s);
    __syncthreads();  // every warp is done with the keys
    if (key + Shape::keys < bounds.end)
      load(k, p.k, key + Shape::keys);
    else
      copy_commit();  // so that "all but the last" below always means the values
    const TileMask mask(p, head, first_row, rows, key, Shape::keys);
    mine.absorb(p, mask, wanted, gathers, p.first_query + first_row + warp * 16 + lane / 4,
                key + lane % 4 * 2, norms, s);
    copy_wait<1>();
    __syncthreads();  // the values are there
    mix_fragments<Shape>(s, v, width, lane, mine.z);
  }
  copy_wait<0>();
  mine.write(p, head, first_row + warp * 16 + lane / 4, lane);
}

}  // namespace saccade::cuda
