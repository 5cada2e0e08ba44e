// A few query rows over many keys (decoding): the keys are split among thread blocks, each of which leaves a
// softmax over its part; a second kernel merges the parts in their order. For heads without edits.
// What is not finite in a value reaches only the rows that give it weight.
#pragma once

#include "kernels/cuda/forward_row.cuh"
#include "kernels/cuda/tables.h"

namespace saccade::cuda {

// What a block leaves: the highest score, the row state, then d_head sums of values.
struct Partial {
  float* numbers;

  __device__ Partial(const Parameters& p, int head, int row, int split)
      : numbers(p.work.partials + ((static_cast<int64_t>(row) * p.n_head + head) * p.work.splits + split) *
                                      (partial_header + p.d_head)) {}
  __device__ void store(float highest, const RowState& r) const {
    numbers[0] = highest;
    numbers[1] = r.sum;
    numbers[2] = r.weighted;
    numbers[3] = r.sink;
    numbers[4] = r.local;
    numbers[5] = r.distance;
    numbers[6] = r.value;
    numbers[7] = r.best;
    numbers[8] = __int_as_float(r.best_key);
  }
  __device__ float highest() const { return numbers[0]; }
  __device__ float sum() const { return numbers[1]; }
  __device__ RowState state() const {
    RowState r;
    r.sum = numbers[1];
    r.weighted = numbers[2];
    r.sink = numbers[3];
    r.local = numbers[4];
    r.distance = numbers[5];
    r.value = numbers[6];
    r.best = numbers[7];
    r.best_key = __float_as_int(numbers[8]);
    return r;
  }
  __device__ float* z() const { return numbers + partial_header; }
};

struct DecodeShared {
  float weights[decode_keys];
  float sums[block_threads];
  float scratch[32];
  RowState states[block_threads / warp_size];
};

// The state of the block's keys, in thread 0.
__device__ inline RowState merge_block(RowState state, RowState* shared) {
  state.merge_lanes<warp_size>();
  if (threadIdx.x % warp_size == 0) shared[threadIdx.x / warp_size] = state;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int warp = 1; warp < block_threads / warp_size; ++warp) state.merge(shared[warp]);
  return state;
}

// Grid: x = splits, y = plain heads, z = query rows.
template <class Element>
__global__ void __launch_bounds__(block_threads) decode_split(const Parameters p) {
  DecodeShared& shared = *static_cast<DecodeShared*>(shared_memory());
  const int head = p.tables.plain_heads[blockIdx.y], kv_head = head / p.group;
  const int row = static_cast<int>(blockIdx.z), query = p.first_query + row;
  const int split = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const KeyBounds bounds = keys_of_rows(p, row, row);
  const int begin = max(bounds.begin, split * decode_keys), end = min(bounds.end, (split + 1) * decode_keys);
  const Element* q = row_of<Element>(p.q, head, row);
  for (int j = begin + thread / warp_size; j < end; j += block_threads / warp_size) {
    const float product = warp_product(q, row_of<Element>(p.k, kv_head, j), p.d_head);
    if (thread % warp_size == 0)
      shared.weights[j - begin] =
          unmasked(p, head, query, j) ? shaped_score(p, head, query, j, product) : minus_infinity;
  }
  __syncthreads();
  float highest = minus_infinity;
  for (int j = begin + thread; j < end; j += block_threads)
    highest = fmaxf(highest, shared.weights[j - begin]);
  highest = reduce_block(highest, shared.scratch, [](float a, float b) { return fmaxf(a, b); });

  const float origin = highest == minus_infinity ? 0.0f : highest;
  const RowStatistics wanted(p);
  const float* norms = p.work.value_norms + static_cast<int64_t>(kv_head) * p.n_key;
  RowState state;
  for (int j = begin + thread; j < end; j += block_threads) {
    const float log_w = shared.weights[j - begin] - origin, w = expf(log_w);
    shared.weights[j - begin] = w;
    state.sum += w;
    state.add(p, wanted, w, log_w, query, j, norms);
  }
  state = merge_block(state, shared.states);
  const Partial partial(p, head, row, split);
  if (thread == 0) partial.store(highest, state);
  __syncthreads();

  int width = 8;
  while (width < p.d_head && width < block_threads) width *= 2;
  const int groups = block_threads / width, group = thread / width;
  for (int first = 0; first < p.d_head; first += width) {
    const int x = first + thread % width;
    float z = 0.0f;
    for (int j = begin + group; j < end && x < p.d_head; j += groups)
      if (const float w = shared.weights[j - begin]; w != 0.0f)
        z = fmaf(w, widen(row_of<Element>(p.v, kv_head, j)[x]), z);
    shared.sums[thread] = z;
    __syncthreads();
    if (group == 0 && x < p.d_head) {
      for (int other = 1; other < groups; ++other) z += shared.sums[other * width + thread];
      partial.z()[x] = z;
    }
    __syncthreads();
  }
}

// Grid: x = plain heads, y = query rows. (A template only so that both types' files may hold it.)
template <class Element>
__global__ void __launch_bounds__(block_threads) decode_merge(const Parameters p) {
  const int head = p.tables.plain_heads[blockIdx.x], row = static_cast<int>(blockIdx.y);
  float highest = minus_infinity;
  for (int split = 0; split < p.work.splits; ++split)
    highest = fmaxf(highest, Partial(p, head, row, split).highest());
  const float origin = highest == minus_infinity ? 0.0f : highest;
  RowState total;
  for (int split = 0; split < p.work.splits; ++split) {
    const Partial part(p, head, row, split);
    const float shift = part.highest() - origin;
    RowState state = part.state();
    state.rescale(expf(shift), shift);
    total.merge(state);
  }
  if (threadIdx.x == 0) write_row(p, head, row, highest, total);
  const bool empty = highest == minus_infinity && !isnan(total.sum);
  const float inverse = empty ? 0.0f : 1.0f / total.sum;
  for (int x = static_cast<int>(threadIdx.x); x < p.d_head; x += block_threads) {
    float z = 0.0f;
    for (int split = 0; split < p.work.splits; ++split) {
      const Partial part(p, head, row, split);
      z = fmaf(expf(part.highest() - origin), part.z()[x], z);
    }
    z_of(p, head, row)[x] = z * inverse;
  }
}

}  // namespace saccade::cuda
