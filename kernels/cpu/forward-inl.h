// The fused pass. Included once per instruction set.
//
// A task is one head and a run of query rows. It takes a few dozen rows at a time: a strip of scores [rows,
// keys] that stays in the cache, an exact softmax over the strip, statistics while it is warm, and the
// product with the values. Column statistics are summed per task and reduced in the order of tasks, which
// depends on the shape alone: results do not depend on scheduling.
#if defined(SACCADE_KERNELS_CPU_FORWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_FORWARD_INL_H_
#undef SACCADE_KERNELS_CPU_FORWARD_INL_H_
#else
#define SACCADE_KERNELS_CPU_FORWARD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/decode-inl.h"
#include "kernels/cpu/head-inl.h"
#include "kernels/cpu/pack-inl.h"
#include "kernels/cpu/pairs-inl.h"
#include "kernels/cpu/statistics-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

// How query rows are cut into tasks: enough for balance, few enough that column sums stay small; whole block
// rows.
struct Chunks {
  int64_t rows = 0, count = 0;
  Chunks(int64_t n_query, int64_t block_size) {
    rows = std::max<int64_t>(192, (n_query + 7) / 8);
    if (block_size > 0) rows = round_up(rows, block_size);
    count = (n_query + rows - 1) / rows;
  }
};

// Rows whose strip of scores fits in the cache.
constexpr int64_t most_rows = 48;
inline int64_t rows_at_once(int64_t strip_floats, int64_t keys) {
  return std::clamp<int64_t>(strip_floats / std::max<int64_t>(keys, 1) / block_rows * block_rows,
                             2 * block_rows, most_rows);
}

// The two products of the pass in float32; bfloat16 inputs are widened. `packed` holds what they read.
struct FloatProducts {
  Packed packed;
  Buffer<float> q;

  [[nodiscard]] static int64_t strip_floats() { return 192 * 1024; }
  [[nodiscard]] static int64_t width() { return panel_width(); }
  // strip[r][j] = q_r . k_j
  void score(const AttentionInput& in, int64_t head, int64_t first, int64_t rows, int64_t keys, float* strip,
             int64_t stride) {
    const Rows left = rows_of(in.q, first, rows, head, in.shape.d_head, q);
    score_block(left.data, left.stride, rows, packed.keys.data(), keys, in.shape.d_head, strip, stride);
  }
  // z[r] = sum_j strip[r][j] v_j
  void mix(const float* strip, int64_t stride, int64_t rows, int64_t keys, int64_t padded, float* z) {
    mix_block(strip, stride, rows, packed.values.data(), keys, padded, z);
  }
};

struct Scratch {
  FloatProducts floats;
#if HWY_TARGET == HWY_AVX3
  PairProducts pairs;
#endif
  Buffer<float> strip, z, q;
  std::vector<uint8_t> seen;
};

// z row by row, values in order; a key without weight is left out, so that what is not finite in its value
// stays where it is.
inline void mix_rows(const RowWeights* rows, int64_t count, const float* values, int64_t padded, float* z) {
  std::fill(z, z + count * padded, 0.0f);
  for (int64_t r = 0; r < count; ++r)
    for (int64_t j = rows[r].begin; j < rows[r].end; ++j)
      if (rows[r].cells[j] != 0.0f) add_scaled(rows[r].cells[j], values + j * padded, padded, z + r * padded);
}

// False, and nothing done, where values are not finite and the products would spread that.
template <class Products>
inline bool forward_chunk(const Head& of, int64_t begin, int64_t end, Products& products, Scratch& scratch,
                          Columns& columns) {
  const AttentionShape& s = of.in.shape;
  const int64_t width = products.width(), padded = round_up(s.d_head, width);
  const int64_t padded_keys = round_up(of.keys_until(end), width);
  products.packed.hold(of.in, of.kv_head, of.keys_until(end), of.out.value_mass);
  if (!products.packed.finite && !std::is_same_v<Products, FloatProducts>) return false;
  columns.begin(of.out, of.keys_until(end));
  const int64_t step = rows_at_once(products.strip_floats(), padded_keys);
  scratch.strip.resize(static_cast<size_t>(step * padded_keys));
  scratch.z.resize(static_cast<size_t>(step * padded));
  float* strip = scratch.strip.data();
  RowWeights rows_done[most_rows];
  for (int64_t first = begin; first < end; first += step) {
    const int64_t rows = std::min(step, end - first), keys = of.keys_until(first + rows);
    const int64_t stride = round_up(keys, width);
    products.score(of.in, of.head, first, rows, keys, strip, stride);
    for (int64_t r = 0; r < rows; ++r)
      rows_done[r] =
          finish_row(of, first + r, strip + r * stride, keys, products.packed.norms.data(), scratch.seen);
    column_statistics(of.in, of.out, of.head, first, rows, first + rows == end, rows_done, columns);
    if (products.packed.finite)
      products.mix(strip, stride, rows, keys, padded, scratch.z.data());
    else
      mix_rows(rows_done, rows, scratch.floats.packed.values.data(), padded, scratch.z.data());
    for (int64_t r = 0; r < rows; ++r) write_z(of, first + r, scratch.z.data() + r * padded, rows_done[r]);
  }
  return true;
}

// A handful of rows (decoding) of a head whose weights are edited: they need the whole row, and scores summed
// as tiles sum them.
inline void decode_edited(const Head& of, Scratch& scratch, Columns& columns) {
  const AttentionShape& s = of.in.shape;
  const int64_t keys = of.keys_until(s.n_query);
  columns.begin(of.out, keys);
  scratch.strip.resize(static_cast<size_t>(keys));
  scratch.z.resize(static_cast<size_t>(s.d_head));
  scratch.q.resize(static_cast<size_t>(2 * s.d_head));
  float* q_row = scratch.q.data();
  float* other = q_row + s.d_head;
  Buffer<float> norms(of.out.value_mass ? static_cast<size_t>(keys) : 0);
  for (size_t j = 0; j < norms.size(); ++j) {
    const float* v = row_of(of.in.v, static_cast<int64_t>(j), of.kv_head, s.d_head, other);
    norms[j] = std::sqrt(dot(v, v, s.d_head));
  }
  for (int64_t row = 0; row < s.n_query; ++row) {
    const float* q = row_of(of.in.q, row, of.head, s.d_head, q_row);
    const Visible seen = visible_keys(s, of.in.mask, s.first_query + row);
    float* strip = scratch.strip.data();
    for (int64_t j = seen.begin; j < seen.end; ++j)
      strip[j] = dot_in_order(q, row_of(of.in.k, j, of.kv_head, s.d_head, other), s.d_head);
    const RowWeights done = finish_row(of, row, strip, keys, norms.data(), scratch.seen);
    RowWeights group[rows_of_group] = {done};
    column_statistics(of.in, of.out, of.head, row, 1, row + 1 == s.n_query, group, columns);
    std::fill(scratch.z.begin(), scratch.z.end(), 0.0f);
    for (int64_t j = done.begin; j < done.end; ++j)
      if (strip[j] != 0.0f)
        add_scaled(strip[j], row_of(of.in.v, j, of.kv_head, s.d_head, other), s.d_head, scratch.z.data());
    write_z(of, row, scratch.z.data(), done);
  }
}

inline void decode(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel) {
  Decode reader(in, out);
  parallel.for_each(reader.tasks(), [&](int64_t task, int) { reader.read(task); });
  std::vector<Scratch> scratch(static_cast<size_t>(std::max(parallel.workers, 1)));
  std::vector<Columns> columns(static_cast<size_t>(in.shape.n_head));
  parallel.for_each(in.shape.n_head, [&](int64_t head, int worker) {
    const Head of(in, out, head);
    Columns& sums = columns[static_cast<size_t>(head)];
    if (of.edits_weights())
      decode_edited(of, scratch[static_cast<size_t>(worker)], sums);
    else
      reader.finish(of, sums);
  });
  if (out.received || out.received_max) reduce_columns(in, out, columns, 1);
}

// with_pairs: bfloat16 inputs are multiplied as they are.
inline void forward_with(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel,
                         [[maybe_unused]] bool with_pairs) {
  const AttentionShape& s = in.shape;
  if (s.n_query <= most_decoded) return decode(in, out, parallel);
  const Chunks chunks(s.n_query, wants_blocks(out) ? out.block_size : 0);
  std::vector<Scratch> scratch(static_cast<size_t>(std::max(parallel.workers, 1)));
  const int64_t tasks = s.n_head * chunks.count;
  std::vector<Columns> columns(static_cast<size_t>(tasks));
  // A head's late rows see most keys: it begins with them, and what was packed for them serves the others.
  parallel.for_each(tasks, [&](int64_t task, int worker) {
    const int64_t head = task / chunks.count, chunk = chunks.count - 1 - task % chunks.count;
    const int64_t begin = chunk * chunks.rows, end = std::min(begin + chunks.rows, s.n_query);
    Columns& sums = columns[static_cast<size_t>(head * chunks.count + chunk)];
    Scratch& mine = scratch[static_cast<size_t>(worker)];
    const Head of(in, out, head);
#if HWY_TARGET == HWY_AVX3
    if (with_pairs && in.q.bf16 && !of.edits_weights() &&
        forward_chunk(of, begin, end, mine.pairs, mine, sums))
      return;
#endif
    forward_chunk(of, begin, end, mine.floats, mine, sums);
  });
  if (out.received || out.received_max) reduce_columns(in, out, columns, chunks.count);
}

inline void forward(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel) {
  forward_with(in, out, parallel, false);
}
#if HWY_TARGET == HWY_AVX3
inline void forward_pairs(const AttentionInput& in, const AttentionOutput& out, const Parallel& parallel) {
  forward_with(in, out, parallel, true);
}
#endif

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
