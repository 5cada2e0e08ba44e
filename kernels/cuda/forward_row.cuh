// The forward pass row by row: a thread block takes one whole row of one head, as scores, as weights, edited
// edit by edit, and mixed. For heads with edits, whose sums over a row need the row; for values that are not
// finite, where a key that a row does not see must not reach it; and for head sizes above 256.
// Also |v_j|, which everyone uses.
#pragma once

#include "kernels/cuda/row_state.cuh"

namespace saccade::cuda {

// |v_j|_2 per key, and whether a KV head's values are all finite. A warp per key; grid: x = keys, y = KV
// heads.
template <class Element>
__global__ void __launch_bounds__(block_threads) measure_values(const Parameters p) {
  const int warps = block_threads / warp_size, kv_head = static_cast<int>(blockIdx.y);
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  const int key = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / warp_size;
  float sum = 0.0f;
  if (key < p.n_key) {
    const Element* v = row_of<Element>(p.v, kv_head, key);
    for (int x = lane; x < p.d_head; x += warp_size) {
      const float value = widen(v[x]);
      sum = fmaf(value, value, sum);
    }
  }
  sum = reduce_lanes<warp_size>(sum, Sum{});
  if (lane != 0 || key >= p.n_key) return;
  p.work.value_norms[static_cast<int64_t>(kv_head) * p.n_key + key] = sqrtf(sum);
  if (!isfinite(sum)) p.work.broken[kv_head] = 1;
}

// q . k by one warp; every lane gets it.
template <class Element>
__device__ inline float warp_product(const Element* q, const Element* k, int d_head) {
  float sum = 0.0f;
  for (int x = static_cast<int>(threadIdx.x) % warp_size; x < d_head; x += warp_size)
    sum = fmaf(widen(q[x]), widen(k[x]), sum);
  return reduce_lanes<warp_size>(sum, Sum{});
}

// q . k by one thread, in the order in which tiles sum (score_tile.cuh): a regenerated score is then the one
// that the row's sums were made of.
template <class Element>
__device__ inline float thread_product(const Element* q, const Element* k, int d_head) {
  float sum = 0.0f;
  for (int x = 0; x < d_head; ++x) sum = fmaf(widen(q[x]), widen(k[x]), sum);
  return sum;
}

// What one block works on. w: [n_key], scores and then weights, in device memory.
struct WholeRow {
  int head = 0, row = 0, query = 0;
  float* w = nullptr;
  double* scratch = nullptr;  // shared, 16 numbers

  // sum over j of f(j, w[j]), in double precision.
  template <class Function>
  __device__ double sum(int n_key, Function f) const {
    double total = 0.0;
    for (int j = static_cast<int>(threadIdx.x); j < n_key; j += block_threads) total += f(j, w[j]);
    return reduce_block(total, scratch, Sum{});
  }
  // The largest of f(j, w[j]).
  template <class Function>
  __device__ double largest(int n_key, Function f) const {
    double highest = minus_infinity;
    for (int j = static_cast<int>(threadIdx.x); j < n_key; j += block_threads)
      highest = Largest{}(static_cast<double>(f(j, w[j])), highest);
    return reduce_block(highest, scratch, Largest{});
  }
  template <class Function>
  __device__ void change(int n_key, Function f) const {
    for (int j = static_cast<int>(threadIdx.x); j < n_key; j += block_threads) w[j] = f(j, w[j]);
  }
};

// The row factors of one weight edit on a row it covers.
__device__ inline Factors measure_edit(const Parameters& p, const EditRecord& edit, const WholeRow& r) {
  const int n = p.n_key;
  switch (static_cast<WeightEditKind>(edit.kind)) {
    case WeightEditKind::scale_columns:
    case WeightEditKind::identity:
      break;
    case WeightEditKind::renormalise: {
      const double sum = r.sum(n, [](int, float w) { return static_cast<double>(w); });
      return {sum == 0.0 ? 1.0f : static_cast<float>(1.0 / sum), 1.0f};
    }
    case WeightEditKind::redistribute: {
      const double from = r.sum(n, [&](int j, float w) { return index_in(p, edit.keys, j) >= 0 ? w : 0.0; });
      const double to = r.sum(n, [&](int j, float w) { return index_in(p, edit.to, j) >= 0 ? w : 0.0; });
      const double counted =
          edit.among.begin == edit.among.end
              ? from + to
              : r.sum(n, [&](int j, float w) { return index_in(p, edit.among, j) >= 0 ? w : 0.0; });
      if (to == 0.0 || counted < edit.least_mass || to / counted < edit.least_share) break;
      return {edit.value, static_cast<float>(1.0 + (1.0 - edit.value) * from / to)};
    }
    case WeightEditKind::uniform: {
      const double keys = r.sum(n, [&](int j, float) {
        return index_in(p, edit.keys, j) >= 0 && seen(p, r.head, r.query, j) ? 1.0 : 0.0;
      });
      if (keys == 0.0) return {1.0f, 0.0f};
      return {1.0f - edit.value, static_cast<float>(edit.value / keys)};
    }
    case WeightEditKind::power: {
      const float highest = static_cast<float>(fmax(0.0, r.largest(n, [](int, float w) { return w; })));
      const float a = 1.0f / highest;
      if (highest == 0.0f || isinf(a)) return {0.0f, 0.0f};
      const double sum = r.sum(
          n, [&](int, float w) { return w <= 0.0f ? 0.0 : static_cast<double>(powf(a * w, edit.value)); });
      return {a, static_cast<float>(1.0 / sum)};
    }
    case WeightEditKind::sharpen: {
      const auto keys =
          static_cast<float>(r.sum(n, [&](int j, float) { return seen(p, r.head, r.query, j) ? 1.0 : 0.0; }));
      const auto highest = static_cast<float>(r.largest(n, [&](int, float w) { return keys * w - 1.0f; }));
      if (highest <= 0.0f) return {0.0f, 0.0f};
      const double sum = r.sum(n, [&](int, float w) {
        const float above = (keys * w - 1.0f) / highest;
        return above <= 0.0f ? 0.0 : static_cast<double>(powf(above, edit.value));
      });
      return {keys, static_cast<float>(pow(sum, -1.0 / edit.value) / highest)};
    }
    case WeightEditKind::replace: {
      const double inside =
          r.sum(n, [&](int j, float) { return in_block(edit, j) ? block_weight(p, edit, r.query, j) : 0.0; });
      const double others = r.sum(n, [&](int j, float w) { return in_block(edit, j) ? 0.0 : w; });
      if (!edit.rescale || others == 0.0) break;
      return {static_cast<float>(fmax(0.0, 1.0 - inside) / others), 1.0f};
    }
  }
  return {};
}

// The factors that change nothing.
__device__ inline Factors no_change(const EditRecord& edit) {
  switch (static_cast<WeightEditKind>(edit.kind)) {
    case WeightEditKind::uniform:
      return {1.0f, 0.0f};
    case WeightEditKind::power:
    case WeightEditKind::sharpen:
      return {0.0f, 0.0f};
    case WeightEditKind::scale_columns:
    case WeightEditKind::renormalise:
    case WeightEditKind::redistribute:
    case WeightEditKind::identity:
    case WeightEditKind::replace:
      break;
  }
  return {};
}

// The row's weight edits in order, and their factors for later. empty: the row sees no key and is left alone.
__device__ inline void edit_row(const Parameters& p, const WholeRow& r, bool empty) {
  const PlanRecord* plan = plan_of(p, r.head);
  if (!plan) return;
  float* factors = p.tables.row_factors ? p.tables.row_factors[r.head] : nullptr;
  for (int n = plan->weights.begin; n < plan->weights.end; ++n) {
    const EditRecord& edit = p.tables.edits[n];
    const bool acts = !empty && covers(edit, r.query);
    const Factors f = acts ? measure_edit(p, edit, r) : no_change(edit);
    if (factors && threadIdx.x == 0) {
      float* pair = factors + static_cast<int64_t>(2 * (n - plan->weights.begin)) * p.n_query + r.row;
      pair[0] = f.a;
      pair[p.n_query] = f.b;
    }
    if (acts)
      r.change(p.n_key, [&](int j, float w) { return edited_weight(p, edit, f, r.head, r.query, j, w); });
    __syncthreads();
  }
}

__device__ inline float edited_output(const Parameters& p, int head, int query, int x, float z) {
  const PlanRecord* plan = plan_of(p, head);
  if (!plan) return z;
  for (int n = plan->outputs.begin; n < plan->outputs.end; ++n) {
    const EditRecord& edit = p.tables.edits[n];
    if (!covers(edit, query)) continue;
    const float scale = edit.values < 0 ? edit.value : edit.value * p.tables.numbers[edit.values + x];
    z = scale * z + (edit.offset < 0 ? 0.0f : p.tables.numbers[edit.offset + x]);
  }
  return z;
}

// z of the row from its weights (einsum "k,kd->d"): groups of threads take every so many keys, then add up.
// Keys of weight 0 are left out, so that what is not finite in them stays away. sums: shared,
// [block_threads].
template <class Element>
__device__ inline void mix_row(const Parameters& p, const WholeRow& r, bool empty, float* sums) {
  const int kv_head = r.head / p.group, thread = static_cast<int>(threadIdx.x);
  int width = 8;
  while (width < p.d_head && width < block_threads) width *= 2;
  const int groups = block_threads / width, group = thread / width;
  for (int first = 0; first < p.d_head; first += width) {
    const int x = first + thread % width;
    float z = 0.0f;
    for (int j = group; j < p.n_key && x < p.d_head; j += groups)
      if (const float w = r.w[j]; w != 0.0f) z = fmaf(w, widen(row_of<Element>(p.v, kv_head, j)[x]), z);
    sums[thread] = z;
    __syncthreads();
    if (group == 0 && x < p.d_head) {
      for (int other = 1; other < groups; ++other) z += sums[other * width + thread];
      z_of(p, r.head, r.row)[x] = empty ? 0.0f : edited_output(p, r.head, r.query, x, z);
    }
    __syncthreads();
  }
}

// Statistics of the edited row, whose weights need not sum to 1.
__device__ inline void write_edited_row(const Parameters& p, const WholeRow& r, float lse, bool empty) {
  const int64_t at = static_cast<int64_t>(r.head) * p.n_query + r.row;
  const float* norms = p.work.value_norms + static_cast<int64_t>(r.head / p.group) * p.n_key;
  if (p.lse && threadIdx.x == 0) p.lse[at] = lse;
  const auto write = [&](float* to, auto term) {
    if (!to) return;
    const auto sum = static_cast<float>(
        r.sum(p.n_key, [&](int j, float w) { return static_cast<double>(w) * term(j, w); }));
    if (threadIdx.x == 0) to[at] = empty ? 0.0f : sum;
  };
  const auto away = [&](int j) { return abs(r.query - j); };
  write(p.entropy, [](int, float w) {
    return w > 0.0f ? -log(static_cast<double>(w)) : w <= 0.0f ? 0.0 : w;
  });
  write(p.sink_mass, [&](int j, float) { return j < p.sink_keys ? 1.0 : 0.0; });
  write(p.local_mass, [&](int j, float) { return away(j) < p.local_width ? 1.0 : 0.0; });
  write(p.mean_distance, [&](int j, float) { return static_cast<double>(away(j)); });
  write(p.value_mass, [&](int j, float w) { return w == 0.0f ? 0.0 : static_cast<double>(norms[j]); });
  if (!p.max_weight && !p.max_key) return;
  const auto best = static_cast<float>(r.largest(p.n_key, [](int, float w) { return w; }));
  // The lowest key that holds it: the largest of -key.
  const double key = r.largest(p.n_key, [&](int j, float w) {
    return w == best ? -static_cast<double>(j) : static_cast<double>(minus_infinity);
  });
  if (threadIdx.x != 0) return;
  const bool any = best > 0.0f;
  if (p.max_weight) p.max_weight[at] = any || isnan(best) ? best : 0.0f;
  if (p.max_key) p.max_key[at] = any ? static_cast<int>(-key) : -1;
}

template <class Element>
__device__ inline void forward_whole_row(const Parameters& p, const WholeRow& r, float* sums) {
  const int kv_head = r.head / p.group;
  const Element* q = row_of<Element>(p.q, r.head, r.row);
  for (int j = static_cast<int>(threadIdx.x); j < p.n_key; j += block_threads) {
    const float product = thread_product(q, row_of<Element>(p.k, kv_head, j), p.d_head);
    r.w[j] = score_of(p, r.head, r.query, j, product);
  }
  __syncthreads();
  const auto highest = static_cast<float>(r.largest(p.n_key, [](int, float s) { return s; }));
  const bool empty = highest == minus_infinity;
  const auto w_of = [](float s, float origin) { return s == minus_infinity ? 0.0f : expf(s - origin); };
  const double sum = r.sum(p.n_key, [&](int, float s) { return static_cast<double>(w_of(s, highest)); });
  const float lse = empty ? minus_infinity : static_cast<float>(highest + log(sum));
  // Weight edits begin with the numbers that a tile begins with, exp(s - lse) with lse as it is kept: their
  // row factors then fit both.
  const PlanRecord* plan = plan_of(p, r.head);
  const bool from_lse = plan && plan->weights.begin < plan->weights.end;
  const float origin = from_lse ? lse : highest;
  const auto inverse = static_cast<float>(empty ? 0.0 : from_lse ? 1.0 : 1.0 / sum);
  r.change(p.n_key, [&](int, float s) { return w_of(s, origin) * inverse; });
  __syncthreads();
  if (p.work.highest && threadIdx.x == 0) {
    const int64_t at = static_cast<int64_t>(r.head) * p.n_query + r.row;
    p.work.highest[at] = origin;
    p.work.inverse[at] = inverse;
  }
  edit_row(p, r, empty);
  write_edited_row(p, r, lse, empty);
  mix_row<Element>(p, r, empty, sums);
}

// Heads of `heads` x rows, shared among the blocks. only_broken: heads whose values are all finite are done
// by a tiled kernel.
template <class Element>
__global__ void __launch_bounds__(block_threads)
    forward_rows(const Parameters p, const int32_t* heads, int n_heads, bool only_broken) {
  auto* scratch = static_cast<double*>(shared_memory());
  auto* sums = reinterpret_cast<float*>(scratch + 16);
  const int64_t tasks = static_cast<int64_t>(n_heads) * p.n_query;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    WholeRow r;
    r.head = heads[task / p.n_query];
    r.row = static_cast<int>(task % p.n_query);
    r.query = p.first_query + r.row;
    if (only_broken && !p.work.broken[r.head / p.group]) continue;
    r.w = p.work.rows + static_cast<int64_t>(blockIdx.x) * p.n_key;
    r.scratch = scratch;
    forward_whole_row<Element>(p, r, sums);
  }
}
constexpr int forward_rows_shared_bytes = 16 * 8 + block_threads * 4;

}  // namespace saccade::cuda
