// What is read off regenerated maps: column statistics, key masses and top keys of rows, tiles, single cells.
// Every kernel walks 64 x 64 tiles of weights (score_tile.cuh) and reads each once, in a fixed order.
#pragma once

#include <type_traits>

#include "kernels/cuda/forward_row.cuh"
#include "kernels/cuda/score_tile.cuh"

namespace saccade::cuda {

// received, received_max and received_blocks of 64 keys of one head. Grid: x = key tiles, y = heads.
// Thread t reads column t % 64 of rows t / 64, t / 64 + 4, ...
template <class Element>
__global__ void __launch_bounds__(block_threads) gather_columns(const Parameters p) {
  const int head = static_cast<int>(blockIdx.y), key = static_cast<int>(blockIdx.x) * tile_side;
  const int n_keys = min(tile_side, p.n_key - key);
  const int column = static_cast<int>(threadIdx.x) % tile_side,
            part = static_cast<int>(threadIdx.x) / tile_side;
  constexpr int parts = block_threads / tile_side;
  auto* sums = static_cast<float*>(shared_memory());  // [parts, tile_side]
  void* tiles = sums + block_threads;
  const int block_rows = p.received_blocks ? p.block_size : max(p.n_query, 1);
  const int blocks = (p.n_query + block_rows - 1) / block_rows;
  float total = 0.0f, highest = 0.0f;
  for (int block = 0; block < blocks; ++block) {
    const int end = min(p.n_query, (block + 1) * block_rows);
    float sum = 0.0f;
    for (int row = block * block_rows; row < end; row += tile_side) {
      const int n_rows = min(tile_side, end - row);
      if (!may_hold_weight(p, head, row, n_rows, key, n_keys)) continue;
      const float* tile = weight_tile<Element>(p, head, row, n_rows, key, n_keys, tiles);
      for (int r = part; r < n_rows; r += parts) {
        const float w = tile[r * tile_stride + column];
        sum += w;
        highest = Largest{}(w, highest);
      }
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (part == 0) {
      for (int other = 1; other < parts; ++other) sum += sums[other * tile_side + column];
      total += sum;
      if (p.received_blocks && column < n_keys)
        p.received_blocks[(static_cast<int64_t>(head) * blocks + block) * p.n_key + key + column] = sum;
    }
    __syncthreads();
  }
  sums[threadIdx.x] = highest;
  __syncthreads();
  if (part != 0 || column >= n_keys) return;
  for (int other = 1; other < parts; ++other) highest = Largest{}(sums[other * tile_side + column], highest);
  const int64_t at = static_cast<int64_t>(head) * p.n_key + key + column;
  if (p.received) p.received[at] = total;
  if (p.received_max) p.received_max[at] = highest;
}
template <class Element>
constexpr int gather_columns_shared_bytes = score_tile_shared_bytes<Element> + block_threads * 4;

// The largest weights of a row by insertion, ties to the lowest key. One thread's.
struct TopKeys {
  static constexpr int most = 16;
  float weight[most];
  int32_t key[most];
  int count = 0;

  __device__ void offer(float w, int candidate, int k) {
    if (!(w > 0.0f) || (count == k && w <= weight[k - 1])) return;
    int at = count < k ? count++ : k - 1;
    for (; at > 0 && weight[at - 1] < w; --at) {
      weight[at] = weight[at - 1];
      key[at] = key[at - 1];
    }
    weight[at] = w;
    key[at] = candidate;
  }
  __device__ void write(const Parameters& p, int head, int row) const {
    const int64_t first = (static_cast<int64_t>(head) * p.n_query + row) * p.top_k;
    for (int n = 0; n < p.top_k; ++n) {
      if (p.top_weight) p.top_weight[first + n] = n < count ? weight[n] : 0.0f;
      if (p.top_key) p.top_key[first + n] = n < count ? key[n] : -1;
    }
  }
};

// The tiles of 64 rows that may hold weight, in the order of keys: visit(key, n_keys, tile).
template <class Element, class Wanted, class Visit>
__device__ inline void walk_row_tiles(const Parameters& p, int head, int row, int n_rows, void* shared,
                                      Wanted wanted, Visit visit) {
  for (int key = 0; key < p.n_key; key += tile_side) {
    const int n_keys = min(tile_side, p.n_key - key);
    if (!wanted(key, n_keys) || !may_hold_weight(p, head, row, n_rows, key, n_keys)) continue;
    visit(key, n_keys, weight_tile<Element>(p, head, row, n_rows, key, n_keys, shared));
  }
}

// Grid: x = row tiles, y = heads. A thread per row keeps the list.
template <class Element>
__global__ void __launch_bounds__(block_threads) gather_top_keys(const Parameters p) {
  const int head = static_cast<int>(blockIdx.y), row = static_cast<int>(blockIdx.x) * tile_side;
  const int n_rows = min(tile_side, p.n_query - row), mine = static_cast<int>(threadIdx.x);
  TopKeys top;
  walk_row_tiles<Element>(
      p, head, row, n_rows, shared_memory(), [](int, int) { return true; },
      [&](int key, int n_keys, const float* tile) {
        for (int c = 0; c < n_keys && mine < n_rows; ++c)
          top.offer(tile[mine * tile_stride + c], key + c, p.top_k);
      });
  if (mine < n_rows) top.write(p, head, row + mine);
}

// The mass of rows on one key set. Grid: x = row tiles, y = heads, z = sets. Four threads per row.
template <class Element>
__global__ void __launch_bounds__(block_threads) gather_key_mass(const Parameters p) {
  const int head = static_cast<int>(blockIdx.y), row = static_cast<int>(blockIdx.x) * tile_side;
  const int n_rows = min(tile_side, p.n_query - row);
  const int r = static_cast<int>(threadIdx.x) / 4, part = static_cast<int>(threadIdx.x) % 4;
  const Span set = p.tables.mass_sets[blockIdx.z];
  double sum = 0.0;
  walk_row_tiles<Element>(
      p, head, row, n_rows, shared_memory(),
      [&](int key, int n_keys) {
        for (int n = set.begin; n < set.end; ++n)
          if (p.tables.ranges[n].begin < key + n_keys && p.tables.ranges[n].end > key) return true;
        return false;
      },
      [&](int key, int n_keys, const float* tile) {
        for (int c = part; c < n_keys; c += 4)
          if (index_in(p, set, key + c) >= 0) sum += tile[r * tile_stride + c];
      });
  sum = reduce_lanes<4>(sum, Sum{});
  if (part == 0 && r < n_rows)
    p.tables.masses[blockIdx.z][static_cast<int64_t>(head) * p.n_query + row + r] = static_cast<float>(sum);
}

// One output element from the cells [r0, r1) x [c0, c1) of a tile, by one warp.
struct BlockOfCells {
  double mass = 0.0;
  float highest = 0.0f;

  __device__ void add(const float* tile, int r0, int r1, int c0, int c1) {
    const int width = c1 - c0, lane = static_cast<int>(threadIdx.x) % warp_size;
    float part = 0.0f;
    for (int n = lane; n < (r1 - r0) * width; n += warp_size) {
      const float w = tile[(r0 + n / width) * tile_stride + c0 + n % width];
      part += w;
      highest = Largest{}(w, highest);
    }
    mass += part;
  }
  __device__ void write(const TileParameters& t, int64_t at) {
    const double total = reduce_lanes<warp_size>(mass, Sum{});
    const float most = reduce_lanes<warp_size>(highest, Largest{});
    if (threadIdx.x % warp_size != 0) return;
    if (t.block_mass) t.block_mass[at] = static_cast<float>(total);
    if (t.block_max) t.block_max[at] = most;
  }
};

// A rectangle at full detail, or in blocks of lod x lod cells of which a tile holds several. Grid: x, y =
// tiles of the rectangle, z = heads.
template <class Element>
__global__ void __launch_bounds__(block_threads) regenerate(const Parameters p, const TileParameters t) {
  const int side = tile_side / t.lod * t.lod, head = t.head + static_cast<int>(blockIdx.z);
  const int row = t.row_begin + static_cast<int>(blockIdx.y) * side;
  const int key = t.key_begin + static_cast<int>(blockIdx.x) * side;
  const int n_rows = min(side, t.row_end - row), n_keys = min(side, t.key_end - key);
  const int64_t out_rows = (t.row_end - t.row_begin + t.lod - 1) / t.lod;
  const int64_t out_columns = (t.key_end - t.key_begin + t.lod - 1) / t.lod;
  const int64_t corner =
      (blockIdx.z * out_rows + (row - t.row_begin) / t.lod) * out_columns + (key - t.key_begin) / t.lod;
  const float* tile = weight_tile<Element>(p, head, row, n_rows, key, n_keys, shared_memory());
  if (t.lod == 1) {
    for (int n = static_cast<int>(threadIdx.x); n < n_rows * n_keys; n += block_threads) {
      const int64_t at = corner + n / n_keys * out_columns + n % n_keys;
      const float w = tile[n / n_keys * tile_stride + n % n_keys];
      if (t.block_max) t.block_max[at] = w;
      if (t.block_mass) t.block_mass[at] = w;
    }
    return;
  }
  const int across = (n_keys + t.lod - 1) / t.lod, down = (n_rows + t.lod - 1) / t.lod;
  for (int n = static_cast<int>(threadIdx.x) / warp_size; n < across * down; n += block_threads / warp_size) {
    const int r = n / across * t.lod, c = n % across * t.lod;
    BlockOfCells cells;
    cells.add(tile, r, min(n_rows, r + t.lod), c, min(n_keys, c + t.lod));
    cells.write(t, corner + n / across * out_columns + n % across);
  }
}

// The same where a block is larger than a tile: a thread block per output element. Grid as above, over output
// elements.
template <class Element>
__global__ void __launch_bounds__(block_threads) regenerate_far(const Parameters p, const TileParameters t) {
  const int head = t.head + static_cast<int>(blockIdx.z);
  const int first_row = t.row_begin + static_cast<int>(blockIdx.y) * t.lod;
  const int first_key = t.key_begin + static_cast<int>(blockIdx.x) * t.lod;
  const int row_end = min(t.row_end, first_row + t.lod), key_end = min(t.key_end, first_key + t.lod);
  BlockOfCells cells;  // warp w: rows 8 w to 8 w + 7 of every tile
  const int warp = static_cast<int>(threadIdx.x) / warp_size;
  for (int row = first_row; row < row_end; row += tile_side)
    for (int key = first_key; key < key_end; key += tile_side) {
      const int n_rows = min(tile_side, row_end - row), n_keys = min(tile_side, key_end - key);
      if (!may_hold_weight(p, head, row, n_rows, key, n_keys)) continue;
      const float* tile = weight_tile<Element>(p, head, row, n_rows, key, n_keys, shared_memory());
      cells.add(tile, min(8 * warp, n_rows), min(8 * warp + 8, n_rows), 0, n_keys);
    }
  auto* scratch = static_cast<double*>(shared_memory());
  __syncthreads();
  const double mass = reduce_block(cells.mass, scratch, Sum{});
  const double highest = reduce_block(static_cast<double>(cells.highest), scratch, Largest{});
  if (threadIdx.x != 0) return;
  const int64_t at = (static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  if (t.block_mass) t.block_mass[at] = static_cast<float>(mass);
  if (t.block_max) t.block_max[at] = static_cast<float>(highest);
}

// Single cells: the very numbers that tiles have there. A thread per cell for float32, whose sums it repeats;
// a thread block and a tile per cell for bfloat16, whose sums are the tensor cores'.
template <class Element>
constexpr int cells_per_block = std::is_same_v<Element, float> ? block_threads : 1;

template <class Element>
__global__ void __launch_bounds__(block_threads)
    regenerate_cells(const Parameters p, const CellParameters c) {
  const int thread = static_cast<int>(threadIdx.x);
  if constexpr (cells_per_block<Element> == 1) {
    const int row = c.query[blockIdx.x] - p.first_query, key = c.key[blockIdx.x];
    const float* tile = weight_tile<Element>(p, c.head, row, 1, key, 1, shared_memory());
    if (thread == 0) c.out[blockIdx.x] = tile[0];
  } else {
    const int n = static_cast<int>(blockIdx.x) * block_threads + thread;
    if (n >= c.count) return;
    const int row = c.query[n] - p.first_query, key = c.key[n];
    const float product = thread_product(row_of<Element>(p.q, c.head, row),
                                         row_of<Element>(p.k, c.head / p.group, key), p.d_head);
    c.out[n] = weight_of(p, c.head, row, key, product);
  }
}

}  // namespace saccade::cuda
