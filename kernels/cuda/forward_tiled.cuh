// The plain forward pass, float32: a thread block takes a tile of query rows of one head and walks the keys
// they see, a tile at a time (Dao et al. 2022, arXiv 2205.14135, algorithm 1 with the loops exchanged). Row
// statistics are gathered on the way. Heads with edits, and values that are not finite, are the row
// kernel's (forward_row.cuh).
#pragma once

#include "kernels/cuda/load.cuh"
#include "kernels/cuda/row_state.cuh"

namespace saccade::cuda {

// What scores of one tile of cells need, the same for all its threads.
struct TileMask {
  bool plain = false;  // every cell inside the tile is seen
  int head = 0;

  __device__ TileMask(const Parameters& p, int head_, int first_row, int rows, int first_key, int keys)
      : head(head_) {
    const int first_query = p.first_query + first_row, last_query = first_query + rows - 1;
    plain = first_key + keys <= p.n_key && (!p.causal || first_key + keys - 1 <= first_query) &&
            (p.window == 0 || last_query - first_key < p.window) && !has_cuts(p, head);
  }
  __device__ float score(const Parameters& p, int query, int key, float product) const {
    if (!plain && (key >= p.n_key || !unmasked(p, head, query, key))) return minus_infinity;
    return shaped_score(p, head, query, key, product);
  }
};

// One row's running softmax: the new largest score is known; gives the factor for what was summed before.
__device__ inline float step_row(float& highest, float tile_highest, RowState& state) {
  const float before = highest;
  highest = fmaxf(before, tile_highest);
  if (highest == before) return 1.0f;
  const float shift = before - highest, factor = expf(shift);
  state.rescale(factor, shift);
  return factor;
}

// What scores are taken relative to: a row that has seen nothing yet is relative to 0, so that its weights
// are 0 and not NaN.
__device__ inline float origin_of(float highest) { return highest == minus_infinity ? 0.0f : highest; }

// Head sizes up to D in {64, 128, 256}.
template <int D>
struct TiledForward {
  static constexpr int rows = D == 256 ? 32 : 64, keys = rows;
  static constexpr int row_stride = D + 4, weight_stride = keys + 4;
  // 16 x 16 threads; each has `own` rows, every 16th key, and `columns` groups of 4 numbers of z.
  static constexpr int own = rows / 16, columns = D / 64;
  static constexpr int shared_bytes = (rows * row_stride + keys * row_stride + rows * weight_stride) * 4;
};

// s[a][b] = q_a . k_b over shared rows; 4 numbers at a time.
template <class Shape>
__device__ inline void multiply_tile(const float* q, const float* k, int d_head, int ty, int tx,
                                     float (&s)[Shape::own][Shape::own]) {
  for (int x = 0; x < d_head; x += 4) {
    float4 left[Shape::own], right[Shape::own];
#pragma unroll
    for (int a = 0; a < Shape::own; ++a)
      left[a] = *reinterpret_cast<const float4*>(q + (ty * Shape::own + a) * Shape::row_stride + x);
#pragma unroll
    for (int b = 0; b < Shape::own; ++b)
      right[b] = *reinterpret_cast<const float4*>(k + (tx + 16 * b) * Shape::row_stride + x);
#pragma unroll
    for (int a = 0; a < Shape::own; ++a)
#pragma unroll
      for (int b = 0; b < Shape::own; ++b) {
        s[a][b] = fmaf(left[a].x, right[b].x, s[a][b]);
        s[a][b] = fmaf(left[a].y, right[b].y, s[a][b]);
        s[a][b] = fmaf(left[a].z, right[b].z, s[a][b]);
        s[a][b] = fmaf(left[a].w, right[b].w, s[a][b]);
      }
  }
}

// z[a][c] += sum_j w_aj v_j over shared weights and values.
template <class Shape>
__device__ inline void mix_tile(const float* weights, const float* v, int d_head, int ty, int tx,
                                float4 (&z)[Shape::own][Shape::columns]) {
  for (int j = 0; j < Shape::keys; j += 4) {
    float4 w[Shape::own];
#pragma unroll
    for (int a = 0; a < Shape::own; ++a)
      w[a] = *reinterpret_cast<const float4*>(weights + (ty * Shape::own + a) * Shape::weight_stride + j);
#pragma unroll
    for (int c = 0; c < Shape::columns; ++c) {
      const int x = 4 * tx + 64 * c;
      if (x >= d_head) break;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float4 value = *reinterpret_cast<const float4*>(v + (j + i) * Shape::row_stride + x);
#pragma unroll
        for (int a = 0; a < Shape::own; ++a) {
          const float weight = i == 0 ? w[a].x : i == 1 ? w[a].y : i == 2 ? w[a].z : w[a].w;
          z[a][c].x = fmaf(weight, value.x, z[a][c].x);
          z[a][c].y = fmaf(weight, value.y, z[a][c].y);
          z[a][c].z = fmaf(weight, value.z, z[a][c].z);
          z[a][c].w = fmaf(weight, value.w, z[a][c].w);
        }
      }
    }
  }
}

__device__ inline void write_four(float* to, const float4& z, float factor, int count) {
  const float values[4] = {z.x, z.y, z.z, z.w};
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (i < count) to[i] = values[i] * factor;
}

// Grid: x = row tiles, the last first (causal: they are the longest), y = plain heads.
template <int D>
__global__ void __launch_bounds__(block_threads) forward_tiled(const Parameters p) {
  using Shape = TiledForward<D>;
  constexpr int own = Shape::own;
  const int head = p.tables.plain_heads[blockIdx.y], kv_head = head / p.group;
  if (p.work.broken[kv_head]) return;
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Shape::rows;
  const int n_rows = min(Shape::rows, p.n_query - first_row), d = p.d_head, width = (d + 3) / 4 * 4;
  const int ty = static_cast<int>(threadIdx.x) / 16, tx = static_cast<int>(threadIdx.x) % 16;
  auto* q = static_cast<float*>(shared_memory());
  float* kv = q + Shape::rows * Shape::row_stride;
  float* weights = kv + Shape::keys * Shape::row_stride;

  const RowStatistics wanted(p);
  const bool gathers = wanted.any();
  const float* norms = p.work.value_norms + static_cast<int64_t>(kv_head) * p.n_key;
  RowState state[own];
  float highest[own];
  float4 z[own][Shape::columns];
#pragma unroll
  for (int a = 0; a < own; ++a) {
    highest[a] = minus_infinity;
#pragma unroll
    for (int c = 0; c < Shape::columns; ++c) z[a][c] = float4{0.0f, 0.0f, 0.0f, 0.0f};
  }
  load_rows(q, Shape::row_stride, p.q, head, first_row, n_rows, Shape::rows, 0, width, d);
  const KeyBounds bounds = keys_of_rows(p, first_row, first_row + n_rows - 1);
  for (int key = bounds.begin / Shape::keys * Shape::keys; key < bounds.end; key += Shape::keys) {
    const int count = min(Shape::keys, p.n_key - key);
    load_rows(kv, Shape::row_stride, p.k, kv_head, key, count, Shape::keys, 0, width, d);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    float s[own][own] = {};
    multiply_tile<Shape>(q, kv, d, ty, tx, s);
    const TileMask mask(p, head, first_row, Shape::rows, key, Shape::keys);
#pragma unroll
    for (int a = 0; a < own; ++a) {
      const int row = ty * own + a, query = p.first_query + first_row + row;
      float tile_highest = minus_infinity;
#pragma unroll
      for (int b = 0; b < own; ++b) {
        s[a][b] = mask.score(p, query, key + tx + 16 * b, s[a][b]);
        tile_highest = fmaxf(tile_highest, s[a][b]);
      }
      tile_highest = reduce_lanes<16>(tile_highest, [](float x, float y) { return fmaxf(x, y); });
      const float factor = step_row(highest[a], tile_highest, state[a]), origin = origin_of(highest[a]);
      if (factor != 1.0f) {
#pragma unroll
        for (int c = 0; c < Shape::columns; ++c) {
          z[a][c].x *= factor;
          z[a][c].y *= factor;
          z[a][c].z *= factor;
          z[a][c].w *= factor;
        }
      }
#pragma unroll
      for (int b = 0; b < own; ++b) {
        const float log_w = s[a][b] - origin, w = expf(log_w);
        state[a].sum += w;
        if (gathers && key + tx + 16 * b < p.n_key)
          state[a].add(p, wanted, w, log_w, query, key + tx + 16 * b, norms);
        weights[row * Shape::weight_stride + tx + 16 * b] = w;
      }
    }
    __syncthreads();
    load_rows(kv, Shape::row_stride, p.v, kv_head, key, count, Shape::keys, 0, width, d);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    mix_tile<Shape>(weights, kv, d, ty, tx, z);
    __syncthreads();
  }
  copy_wait<0>();
#pragma unroll
  for (int a = 0; a < own; ++a) state[a].template merge_lanes<16>();
#pragma unroll
  for (int a = 0; a < own; ++a) {
    const int row = first_row + ty * own + a;
    if (row >= p.n_query) continue;
    if (tx == 0) write_row(p, head, row, highest[a], state[a]);
    const bool empty = highest[a] == minus_infinity && !isnan(state[a].sum);
    const float inverse = empty ? 0.0f : 1.0f / state[a].sum;
#pragma unroll
    for (int c = 0; c < Shape::columns; ++c) {
      const int x = 4 * tx + 64 * c;
      if (x < d) write_four(z_of(p, head, row) + x, z[a][c], inverse, d - x);
    }
  }
}

}  // namespace saccade::cuda
