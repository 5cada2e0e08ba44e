// What a row has gathered so far, relative to the largest score met: weights are w = exp(s - highest). Two
// such states of one row merge like two halves of a softmax, so that they may be kept per thread, per key
// block or per thread block.
#pragma once

#include "kernels/cuda/cell.cuh"

namespace saccade::cuda {

// Statistics that cost something per cell; `highest` and `sum` are always kept.
struct RowStatistics {
  bool entropy, largest, sink, local, distance, value;
  __device__ explicit RowStatistics(const Parameters& p)
      : entropy(p.entropy),
        largest(p.max_weight || p.max_key),
        sink(p.sink_mass),
        local(p.local_mass),
        distance(p.mean_distance),
        value(p.value_mass) {}
  __device__ bool any() const { return entropy || largest || sink || local || distance || value; }
};

struct RowState {
  float sum = 0.0f;       // of w
  float weighted = 0.0f;  // of w ln w
  float sink = 0.0f, local = 0.0f, distance = 0.0f, value = 0.0f;
  float best = 0.0f;  // the largest w, and its key: the lowest among equals
  int best_key = -1;

  // When the largest score grows: every w is multiplied by `factor` = exp(shift).
  __device__ void rescale(float factor, float shift) {
    // shift is -inf where nothing was gathered yet: there is then nothing to move.
    if (sum != 0.0f) weighted = factor * (weighted + fmaxf(shift, -1000.0f) * sum);
    sum *= factor;
    sink *= factor;
    local *= factor;
    distance *= factor;
    value *= factor;
    best *= factor;
  }

  // log_w = ln w may be -inf with w = 0.
  __device__ void add(const Parameters& p, const RowStatistics& wanted, float w, float log_w, int query,
                      int key, const float* value_norms) {
    const int away = abs(query - key);
    if (wanted.entropy) weighted = fmaf(w, fmaxf(log_w, -1000.0f), weighted);
    if (wanted.largest && w > best) {
      best = w;
      best_key = key;
    }
    if (wanted.sink && key < p.sink_keys) sink += w;
    if (wanted.local && away < p.local_width) local += w;
    if (wanted.distance) distance = fmaf(w, static_cast<float>(away), distance);
    if (wanted.value && w != 0.0f) value = fmaf(w, value_norms[key], value);
  }

  // Of the same row, relative to the same largest score.
  __device__ void merge(const RowState& other) {
    sum += other.sum;
    weighted += other.weighted;
    sink += other.sink;
    local += other.local;
    distance += other.distance;
    value += other.value;
    if (other.best_key >= 0 &&
        (other.best > best || (other.best == best && other.best_key < best_key) || best_key < 0)) {
      best = other.best;
      best_key = other.best_key;
    }
  }

  template <int lanes>
  __device__ void merge_lanes() {
#pragma unroll
    for (int step = lanes / 2; step > 0; step /= 2) {
      RowState other;
      other.sum = __shfl_xor_sync(all_lanes, sum, step);
      other.weighted = __shfl_xor_sync(all_lanes, weighted, step);
      other.sink = __shfl_xor_sync(all_lanes, sink, step);
      other.local = __shfl_xor_sync(all_lanes, local, step);
      other.distance = __shfl_xor_sync(all_lanes, distance, step);
      other.value = __shfl_xor_sync(all_lanes, value, step);
      other.best = __shfl_xor_sync(all_lanes, best, step);
      other.best_key = __shfl_xor_sync(all_lanes, best_key, step);
      merge(other);
    }
  }
};

// Writes a finished row. highest: of the scores, -inf where the row sees no key; the state's
// weights are relative to it.
__device__ inline void write_row(const Parameters& p, int head, int row, float highest, const RowState& r) {
  const int64_t at = static_cast<int64_t>(head) * p.n_query + row;
  const bool broken = isnan(r.sum);
  const bool empty = highest == minus_infinity && !broken;
  const float inverse = empty ? 0.0f : 1.0f / r.sum;
  if (p.work.highest) {
    p.work.highest[at] = highest;
    p.work.inverse[at] = inverse;
  }
  if (p.lse) p.lse[at] = empty ? minus_infinity : broken ? r.sum : highest + logf(r.sum);
  if (p.entropy)
    p.entropy[at] = empty ? 0.0f : broken ? r.sum : fmaxf(0.0f, logf(r.sum) - r.weighted * inverse);
  if (p.max_weight) p.max_weight[at] = broken ? r.sum : r.best * inverse;
  if (p.max_key) p.max_key[at] = empty || broken ? -1 : r.best_key;
  if (p.sink_mass) p.sink_mass[at] = r.sink * inverse;
  if (p.local_mass) p.local_mass[at] = r.local * inverse;
  if (p.mean_distance) p.mean_distance[at] = r.distance * inverse;
  if (p.value_mass) p.value_mass[at] = r.value * inverse;
}

__device__ inline float* z_of(const Parameters& p, int head, int row) {
  return p.z + row * p.z_token_stride + head * p.z_head_stride;
}

}  // namespace saccade::cuda
