// The fused pass and the regeneration of tiles, one body for every instruction set (Google Highway).
//
// forward: a task is one head and a run of query rows. It packs the head's keys and values once, then takes a
// few dozen rows at a time: a strip of scores [rows, keys] that stays in the cache, an exact softmax over the
// strip, statistics while it is warm, and the product with the values. Column statistics are summed per task
// and reduced in the order of tasks, which depends on the shape alone: results do not depend on scheduling.
#include "kernels/cpu/attention_cpu.h"

#include <hwy/targets.h>

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_cpu.cpp"
#include <hwy/foreach_target.h>
// Highway wants the headers below after foreach_target.
#include <hwy/highway.h>

#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

// How query rows are cut into tasks: enough for balance, few enough that column sums stay small.
struct Chunks {
  int64_t rows = 0, count = 0;
  explicit Chunks(int64_t n_query) {
    rows = std::max<int64_t>(192, (n_query + 7) / 8);
    count = (n_query + rows - 1) / rows;
  }
};

// Rows whose strip of scores fits in the cache.
inline int64_t rows_at_once(int64_t keys) {
  constexpr int64_t strip_floats = 192 * 1024;
  return std::clamp<int64_t>(strip_floats / std::max<int64_t>(keys, 1) / block_rows * block_rows,
                             2 * block_rows, 48);
}

struct Scratch {
  std::vector<float> keys, values, strip, z;
};

struct Columns {  // of one task
  std::vector<float> received, received_max;
};

inline void write_z(const AttentionInput& in, const AttentionOutput& out, int64_t head, int64_t row,
                    const float* z, const RowResult& r) {
  const float inverse = r.highest == minus_infinity ? 0.0f : 1.0f / r.sum;
  float* to = out.z.data + row * out.z.token_stride + head * out.z.head_stride;
  for (int64_t x = 0; x < in.shape.d_head; ++x) to[x] = z[x] * inverse;
}

// Masks one row of the strip, makes weights of it and gathers its statistics.
inline RowResult finish_row(const AttentionInput& in, const AttentionOutput& out, int64_t head, int64_t row,
                            float* strip, int64_t keys, Columns& columns) {
  const int64_t query = in.shape.first_query + row;
  Visible seen = visible_keys(in.shape, in.mask, query);
  const int64_t n = seen.end - seen.begin;
  const float scale = shape_scores(in.scores, head, query, seen.begin, n, strip + seen.begin);
  if (const auto* cuts = knockouts_of(in.mask, head)) cut_edges(*cuts, query, 0, keys, strip);
  std::fill(strip, strip + seen.begin, 0.0f);
  std::fill(strip + seen.end, strip + keys, 0.0f);
  const RowResult r = exponentiate(strip + seen.begin, n, scale, out.entropy != nullptr);
  row_statistics(out, strip, seen, r, query, head * in.shape.n_query + row);
  if ((out.received || out.received_max) && r.highest != minus_infinity)
    add_to_columns(strip + seen.begin, n, 1.0f / r.sum,
                   out.received ? columns.received.data() + seen.begin : nullptr,
                   out.received_max ? columns.received_max.data() + seen.begin : nullptr);
  return r;
}

// The keys that rows [begin, end) may see, causal masks only.
inline int64_t keys_until(const AttentionInput& in, int64_t end) {
  return in.mask.causal ? std::clamp<int64_t>(in.shape.first_query + end, 0, in.shape.n_key) : in.shape.n_key;
}

void forward_chunk(const AttentionInput& in, const AttentionOutput& out, int64_t head, int64_t begin,
                   int64_t end, Scratch& scratch, Columns& columns) {
  const AttentionShape& s = in.shape;
  const int64_t kv_head = head / (s.n_head / s.n_kv_head), width = panel_width();
  const int64_t all_keys = keys_until(in, end), padded_keys = round_up(all_keys, width),
                padded = round_up(s.d_head, width);
  scratch.keys.resize(static_cast<size_t>(padded_keys * s.d_head));
  scratch.values.resize(static_cast<size_t>(all_keys * padded));
  pack_keys(in.k.data + kv_head * in.k.head_stride, in.k.token_stride, all_keys, s.d_head,
            scratch.keys.data());
  pack_rows(in.v.data + kv_head * in.v.head_stride, in.v.token_stride, all_keys, s.d_head, padded,
            scratch.values.data());
  const int64_t step = rows_at_once(padded_keys);
  scratch.strip.resize(static_cast<size_t>(step * padded_keys));
  scratch.z.resize(static_cast<size_t>(step * padded));
  RowResult results[48];
  for (int64_t first = begin; first < end; first += step) {
    const int64_t rows = std::min(step, end - first), keys = keys_until(in, first + rows);
    const int64_t stride = round_up(keys, width);
    const float* q = in.q.data + first * in.q.token_stride + head * in.q.head_stride;
    score_block(q, in.q.token_stride, rows, scratch.keys.data(), keys, s.d_head, scratch.strip.data(),
                stride);
    for (int64_t r = 0; r < rows; ++r)
      results[r] = finish_row(in, out, head, first + r, scratch.strip.data() + r * stride, keys, columns);
    mix_block(scratch.strip.data(), stride, rows, scratch.values.data(), keys, padded, scratch.z.data());
    for (int64_t r = 0; r < rows; ++r)
      write_z(in, out, head, first + r, scratch.z.data() + r * padded, results[r]);
  }
}

// A handful of rows (decoding): nothing is worth packing.
void forward_few(const AttentionInput& in, const AttentionOutput& out, int64_t head, Scratch& scratch,
                 Columns& columns) {
  const AttentionShape& s = in.shape;
  const int64_t kv_head = head / (s.n_head / s.n_kv_head);
  scratch.strip.resize(static_cast<size_t>(s.n_key));
  scratch.z.resize(static_cast<size_t>(s.d_head));
  for (int64_t row = 0; row < s.n_query; ++row) {
    const float* q = in.q.data + row * in.q.token_stride + head * in.q.head_stride;
    const Visible seen = visible_keys(s, in.mask, s.first_query + row);
    for (int64_t j = seen.begin; j < seen.end; ++j)
      scratch.strip[static_cast<size_t>(j)] =
          dot(q, in.k.data + j * in.k.token_stride + kv_head * in.k.head_stride, s.d_head);
    const RowResult r = finish_row(in, out, head, row, scratch.strip.data(), s.n_key, columns);
    std::fill(scratch.z.begin(), scratch.z.end(), 0.0f);
    for (int64_t j = seen.begin; j < seen.end; ++j)
      add_scaled(scratch.strip[static_cast<size_t>(j)],
                 in.v.data + j * in.v.token_stride + kv_head * in.v.head_stride, s.d_head, scratch.z.data());
    write_z(in, out, head, row, scratch.z.data(), r);
  }
}

inline void reduce_columns(const AttentionInput& in, const AttentionOutput& out,
                           const std::vector<Columns>& tasks, int64_t chunks) {
  const int64_t n = in.shape.n_key;
  for (int64_t head = 0; head < in.shape.n_head; ++head)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0.0f, highest = 0.0f;
      for (int64_t c = 0; c < chunks; ++c) {
        const Columns& task = tasks[static_cast<size_t>(head * chunks + c)];
        if (out.received) sum += task.received[static_cast<size_t>(j)];
        if (out.received_max) highest = std::max(highest, task.received_max[static_cast<size_t>(j)]);
      }
      if (out.received) out.received[head * n + j] = sum;
      if (out.received_max) out.received_max[head * n + j] = highest;
    }
}

void forward(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel) {
  const AttentionShape& s = in.shape;
  constexpr int64_t few = 3;
  const Chunks chunks(s.n_query);
  std::vector<Scratch> scratch(static_cast<size_t>(std::max(parallel.workers, 1)));
  std::vector<Columns> columns(static_cast<size_t>(s.n_head * chunks.count));
  const int64_t tasks = s.n_head * chunks.count;
  parallel.for_each(tasks, [&](int64_t n, int worker) {
    // Late rows see most keys: begin with them, so that no worker is left with a large task at the end.
    const int64_t task = tasks - 1 - n;
    const int64_t chunk = task / s.n_head, head = task % s.n_head;
    Columns& sums = columns[static_cast<size_t>(head * chunks.count + chunk)];
    if (out.received) sums.received.assign(static_cast<size_t>(s.n_key), 0.0f);
    if (out.received_max) sums.received_max.assign(static_cast<size_t>(s.n_key), 0.0f);
    Scratch& mine = scratch[static_cast<size_t>(worker)];
    if (s.n_query <= few)
      forward_few(in, out, head, mine, sums);
    else
      forward_chunk(in, out, head, chunk * chunks.rows, std::min((chunk + 1) * chunks.rows, s.n_query), mine,
                    sums);
  });
  // A cancelled loop leaves tasks out; there is then nothing to reduce.
  for (Columns& sums : columns) {
    if (out.received) sums.received.resize(static_cast<size_t>(s.n_key));
    if (out.received_max) sums.received_max.resize(static_cast<size_t>(s.n_key));
  }
  if (out.received || out.received_max) reduce_columns(in, out, columns, chunks.count);
}

// row[j] = exp(scale * score - lse), 0 where unseen; keys [first, first + count).
inline void weights_of_row(const TileInput& in, int64_t head, int64_t query, int64_t first, int64_t count,
                           float* row) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float lse = in.lse[head * in.shape.n_query + query - in.shape.first_query];
  const Visible seen = visible_keys(in.shape, in.mask, query);
  const int64_t begin = std::clamp<int64_t>(seen.begin - first, 0, count),
                end = std::clamp<int64_t>(seen.end - first, begin, count);
  if (lse == minus_infinity) {
    std::fill(row, row + count, 0.0f);
    return;
  }
  const float factor = shape_scores(in.scores, head, query, first + begin, end - begin, row + begin);
  if (const auto* cuts = knockouts_of(in.mask, head)) cut_edges(*cuts, query, first, count, row);
  std::fill(row, row + begin, 0.0f);
  std::fill(row + end, row + count, 0.0f);
  const auto scale = hn::Set(d, factor), shift = hn::Set(d, lse);
  int64_t j = begin;
  for (; j + lanes <= end; j += lanes)
    hn::StoreU(hn::Exp(d, hn::Sub(hn::Mul(hn::LoadU(d, row + j), scale), shift)), d, row + j);
  for (; j < end; ++j) row[j] = std::exp(row[j] * factor - lse);
}

// Adds one row of weights to the blocks of one output row.
inline void add_to_blocks(const float* row, int64_t count, int64_t lod, float* block_max, double* mass) {
  for (int64_t block = 0; block * lod < count; ++block) {
    const float* begin = row + block * lod;
    const int64_t n = std::min(lod, count - block * lod);
    if (block_max) block_max[block] = std::max(block_max[block], *std::max_element(begin, begin + n));
    mass[block] += sum_of(begin, n);
  }
}

void tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  const AttentionShape& s = in.shape;
  const int64_t kv_head = request.head / (s.n_head / s.n_kv_head), width = panel_width(), lod = request.lod;
  const int64_t columns_out = (request.columns_end - request.columns_begin + lod - 1) / lod;
  constexpr int64_t keys_at_once = 2048, rows_step = 48;
  const int64_t chunk = round_up(keys_at_once, lod);
  std::vector<float> packed, strip;
  for (int64_t first = request.columns_begin; first < request.columns_end; first += chunk) {
    const int64_t count = std::min(chunk, request.columns_end - first), stride = round_up(count, width);
    packed.resize(static_cast<size_t>(stride * s.d_head));
    strip.resize(static_cast<size_t>(rows_step * stride));
    const float* keys = in.k.data + first * in.k.token_stride + kv_head * in.k.head_stride;
    pack_keys(keys, in.k.token_stride, count, s.d_head, packed.data());
    const int64_t blocks = (count + lod - 1) / lod, column = (first - request.columns_begin) / lod;
    std::vector<double> mass(static_cast<size_t>(blocks), 0.0);
    std::vector<float> highest(static_cast<size_t>(blocks), 0.0f);
    for (int64_t begin = request.rows_begin; begin < request.rows_end; begin += rows_step) {
      const int64_t rows = std::min(rows_step, request.rows_end - begin);
      const float* q =
          in.q.data + (begin - s.first_query) * in.q.token_stride + request.head * in.q.head_stride;
      score_block(q, in.q.token_stride, rows, packed.data(), count, s.d_head, strip.data(), stride);
      for (int64_t r = 0; r < rows; ++r) {
        float* row = strip.data() + r * stride;
        weights_of_row(in, request.head, begin + r, first, count, row);
        const int64_t at = begin + r - request.rows_begin, out_at = at / lod * columns_out + column;
        if (lod == 1) {
          if (out.block_max) std::copy_n(row, count, out.block_max + out_at);
          if (out.block_mass) std::copy_n(row, count, out.block_mass + out_at);
          continue;
        }
        add_to_blocks(row, count, lod, highest.data(), mass.data());
        if ((at + 1) % lod != 0 && begin + r + 1 != request.rows_end) continue;
        for (int64_t b = 0; b < blocks; ++b) {
          if (out.block_max) out.block_max[out_at + b] = highest[static_cast<size_t>(b)];
          if (out.block_mass) out.block_mass[out_at + b] = static_cast<float>(mass[static_cast<size_t>(b)]);
        }
        std::fill(mass.begin(), mass.end(), 0.0);
        std::fill(highest.begin(), highest.end(), 0.0f);
      }
    }
  }
}

void weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                std::span<const int32_t> key, float* out) {
  const AttentionShape& s = in.shape;
  const int64_t kv_head = head / (s.n_head / s.n_kv_head);
  for (size_t i = 0; i < query.size(); ++i) {
    out[i] = dot(in.q.data + (query[i] - s.first_query) * in.q.token_stride + head * in.q.head_stride,
                 in.k.data + key[i] * in.k.token_stride + kv_head * in.k.head_stride, s.d_head);
    weights_of_row(in, head, query[i], key[i], 1, out + i);
  }
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace saccade::cpu {

namespace {
// The set every processor of this kind can run is the one the compiler was told to assume.
constexpr Functions baseline{&HWY_STATIC_DISPATCH(forward), &HWY_STATIC_DISPATCH(tile),
                             &HWY_STATIC_DISPATCH(weights_at)};
}  // namespace

std::span<const Target> targets() {
  static const std::vector<Target> found = [] {
    [[maybe_unused]] const int64_t machine = hwy::SupportedTargets();
    std::vector<Target> list;
#if HWY_TARGETS & HWY_AVX3
    if (machine & HWY_AVX3)
      list.push_back(
          {"avx512", "AVX-512, 16 float32 lanes", {N_AVX3::forward, N_AVX3::tile, N_AVX3::weights_at}});
#endif
#if HWY_TARGETS & HWY_AVX2
    if (machine & HWY_AVX2)
      list.push_back(
          {"avx2", "AVX2 with FMA, 8 float32 lanes", {N_AVX2::forward, N_AVX2::tile, N_AVX2::weights_at}});
#endif
    list.push_back({"baseline", "what every processor of this kind has", baseline});
    return list;
  }();
  return found;
}

}  // namespace saccade::cpu

#endif
