// Statistics of rows whose weights lie in the strip, and of the columns they add to. Included once per
// instruction set.
#if defined(SACCADE_KERNELS_CPU_STATISTICS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_STATISTICS_INL_H_
#undef SACCADE_KERNELS_CPU_STATISTICS_INL_H_
#else
#define SACCADE_KERNELS_CPU_STATISTICS_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

// A row of the strip after the softmax: p_j = inverse * cells[j] for j in [begin, end), 0 elsewhere.
struct RowWeights {
  const float* cells = nullptr;
  int64_t begin = 0, end = 0;
  float lse = minus_infinity;
  float inverse = 0.0f;                   // 0: the row sees nothing
  float entropy = 0.0f, distance = 0.0f;  // where they are asked for
  bool edited = false;                    // the weights; lse stays that of the scores
  [[nodiscard]] bool broken() const { return std::isnan(inverse); }
};

HWY_INLINE float sum_of(const float* row, int64_t n) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) sum = hn::Add(sum, hn::LoadU(d, row + j));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; j < n; ++j) total += row[j];
  return total;
}

// The first index that holds `wanted`, or -1.
HWY_INLINE int64_t first_equal(const float* row, int64_t n, float wanted) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto value = hn::Set(d, wanted);
  int64_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) {
    const auto here =
        hn::Or(hn::Or(hn::Eq(hn::LoadU(d, row + j), value), hn::Eq(hn::LoadU(d, row + j + lanes), value)),
               hn::Or(hn::Eq(hn::LoadU(d, row + j + 2 * lanes), value),
                      hn::Eq(hn::LoadU(d, row + j + 3 * lanes), value)));
    if (!hn::AllFalse(d, here)) break;
  }
  for (; j < n; ++j)
    if (row[j] == wanted) return j;
  return -1;
}

// The first index whose weight is the largest of the row and above 0, or -1. That of a softmax is exp(0).
HWY_INLINE int64_t first_largest(const RowWeights& row) {
  const int64_t n = row.end - row.begin;
  if (n == 0 || row.inverse == 0.0f || row.broken()) return -1;
  const float* cells = row.cells + row.begin;
  const float largest = row.edited ? highest_of(cells, n) : 1.0f;
  const int64_t at = largest > 0.0f ? first_equal(cells, n, largest) : -1;
  return at < 0 ? -1 : row.begin + at;
}

// The k largest weights of a row by insertion, ties to the lowest key; none of a row of NaN.
inline void largest_of(const RowWeights& row, int k, float* weight, int32_t* key) {
  for (int i = 0; i < k; ++i) {
    if (weight) weight[i] = 0.0f;
    if (key) key[i] = -1;
  }
  if (row.broken()) return;
  float best[16];
  int32_t best_key[16];
  int count = 0;
  for (int64_t j = row.begin; j < row.end; ++j) {
    const float value = row.cells[j];
    if (!(value > 0.0f) || (count == k && value <= best[k - 1])) continue;
    int at = count < k ? count++ : k - 1;
    for (; at > 0 && best[at - 1] < value; --at) {
      best[at] = best[at - 1];
      best_key[at] = best_key[at - 1];
    }
    best[at] = value;
    best_key[at] = static_cast<int32_t>(j);
  }
  for (int i = 0; i < count; ++i) {
    if (weight) weight[i] = best[i] * row.inverse;
    if (key) key[i] = best_key[i];
  }
}

// The mass of a row on keys [first, last).
HWY_INLINE float mass_of(const RowWeights& row, int64_t first, int64_t last) {
  first = std::max(first, row.begin);
  last = std::min(last, row.end);
  return last > first ? sum_of(row.cells + first, last - first) * row.inverse : 0.0f;
}

// Writes the statistics of one row. at: head * n_query + row. norms: |v_j|, where value_mass is asked for.
inline void row_statistics(const AttentionOutput& out, const RowWeights& row, int64_t query, int64_t at,
                           const float* norms) {
  if (out.lse) out.lse[at] = row.lse;
  if (out.entropy) out.entropy[at] = row.entropy;
  if (out.mean_distance) out.mean_distance[at] = row.distance;
  if (out.max_weight || out.max_key) {
    const int64_t key = first_largest(row);
    if (out.max_key) out.max_key[at] = static_cast<int32_t>(key);
    if (out.max_weight)
      out.max_weight[at] = row.broken() ? row.inverse : key < 0 ? 0.0f : row.cells[key] * row.inverse;
  }
  if (out.sink_mass) out.sink_mass[at] = mass_of(row, 0, out.sink_keys);
  if (out.local_mass) out.local_mass[at] = mass_of(row, query - out.local_width + 1, query + out.local_width);
  for (const KeyMass& wanted : out.key_masses) {
    if (!wanted.mass) continue;
    float mass = 0.0f;
    for (const KeyRange& range : wanted.keys) mass += mass_of(row, range.begin, range.end);
    wanted.mass[at] = mass;
  }
  if (out.value_mass)
    out.value_mass[at] =
        row.end > row.begin ? dot(row.cells + row.begin, norms + row.begin, row.end - row.begin) * row.inverse
                            : 0.0f;
  if (out.top_k > 0)
    largest_of(row, out.top_k, out.top_weight ? out.top_weight + at * out.top_k : nullptr,
               out.top_key ? out.top_key + at * out.top_k : nullptr);
}

inline bool wants_columns(const AttentionOutput& out) {
  return out.received || out.received_max || out.block_max || out.block_mass || out.received_blocks;
}
inline bool wants_blocks(const AttentionOutput& out) {
  return out.block_size > 0 && (out.block_max || out.block_mass || out.received_blocks);
}

// Sums and maxima of columns: of one task, and of the block row it is at.
struct Columns {
  Buffer<float> sum, highest, block_sum, block_highest;

  void begin(const AttentionOutput& out, int64_t keys) {
    if (!wants_columns(out)) return;
    const auto n = static_cast<size_t>(keys);
    sum.assign(n, 0.0f);
    highest.assign(n, 0.0f);
    if (!wants_blocks(out)) return;
    block_sum.assign(n, 0.0f);
    block_highest.assign(n, 0.0f);
  }
};

// sum[j] += p_rj and highest[j] = max(highest[j], p_rj) over Count rows, j in [begin, end).
template <int Count>
HWY_INLINE void add_to_columns(const RowWeights* rows, int64_t begin, int64_t end, float* HWY_RESTRICT sum,
                               float* HWY_RESTRICT highest) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = begin;
  hn::Vec<Floats> weight[Count];
  for (int r = 0; r < Count; ++r) weight[r] = hn::Set(d, rows[r].inverse);
  for (; j + lanes <= end; j += lanes) {
    auto p = hn::Mul(weight[0], hn::LoadU(d, rows[0].cells + j));
    auto total = hn::Add(hn::LoadU(d, sum + j), p);
    auto high = hn::Max(p, hn::LoadU(d, highest + j));
    for (int r = 1; r < Count; ++r) {
      p = hn::Mul(weight[r], hn::LoadU(d, rows[r].cells + j));
      total = hn::Add(total, p);
      high = hn::Max(p, high);
    }
    hn::StoreU(total, d, sum + j);
    hn::StoreU(high, d, highest + j);
  }
  for (; j < end; ++j)
    for (int r = 0; r < Count; ++r) {
      const float p = rows[r].cells[j] * rows[r].inverse;
      sum[j] += p;
      highest[j] = std::max(highest[j], p);
    }
}

constexpr int64_t rows_of_group = 4;

// Rows [0, count) of a strip, all of one block row. Rows of one group share the longest reach: their unseen
// cells are 0. A row of NaN stays within what it sees.
inline void add_rows(const RowWeights* rows, int64_t count, float* sum, float* highest) {
  for (int64_t r = 0; r < count;) {
    int64_t n = 0, begin = rows[r].begin, end = rows[r].end;
    for (; n < rows_of_group && r + n < count && !rows[r + n].broken(); ++n) {
      begin = std::min(begin, rows[r + n].begin);
      end = std::max(end, rows[r + n].end);
    }
    if (n == rows_of_group) {
      add_to_columns<rows_of_group>(rows + r, begin, end, sum, highest);
      r += rows_of_group;
      continue;
    }
    add_to_columns<1>(rows + r, rows[r].begin, rows[r].end, sum, highest);
    ++r;
  }
}

// Writes one finished block row of one head and clears it. [0, keys) is what its rows could see.
inline void finish_block_row(const AttentionInput& in, const AttentionOutput& out, int64_t head,
                             int64_t block_row, Columns& columns) {
  const int64_t b = out.block_size, n = in.shape.n_key, keys = static_cast<int64_t>(columns.sum.size());
  const int64_t block_rows = (in.shape.n_query + b - 1) / b, blocks = (n + b - 1) / b;
  const int64_t at = head * block_rows + block_row;
  float* sum = columns.block_sum.data();
  float* highest = columns.block_highest.data();
  if (out.received_blocks)
    std::fill(std::copy_n(sum, keys, out.received_blocks + at * n), out.received_blocks + (at + 1) * n, 0.0f);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = std::min(block * b, keys), count = std::min(b, keys - first);
    if (out.block_mass) out.block_mass[at * blocks + block] = sum_of(sum + first, count);
    if (out.block_max)
      out.block_max[at * blocks + block] = count > 0 ? std::max(0.0f, highest_of(highest + first, count)) : 0;
  }
  for (int64_t j = 0; j < keys; ++j) {
    columns.sum[static_cast<size_t>(j)] += sum[j];
    columns.highest[static_cast<size_t>(j)] = std::max(columns.highest[static_cast<size_t>(j)], highest[j]);
  }
  std::fill(sum, sum + keys, 0.0f);
  std::fill(highest, highest + keys, 0.0f);
}

// Rows [first, first + count) of a head, whose weights stand in the strip. `last`: the task ends with them.
inline void column_statistics(const AttentionInput& in, const AttentionOutput& out, int64_t head,
                              int64_t first, int64_t count, bool last, const RowWeights* rows,
                              Columns& columns) {
  if (!wants_columns(out)) return;
  if (!wants_blocks(out)) return add_rows(rows, count, columns.sum.data(), columns.highest.data());
  for (int64_t r = 0; r < count;) {
    const int64_t row = first + r, end = (row / out.block_size + 1) * out.block_size;
    const int64_t n = std::min(end - row, count - r);
    add_rows(rows + r, n, columns.block_sum.data(), columns.block_highest.data());
    r += n;
    if (row + n == end || (last && r == count))
      finish_block_row(in, out, head, row / out.block_size, columns);
  }
}

// Sums the tasks of each head in their order.
inline void reduce_columns(const AttentionInput& in, const AttentionOutput& out,
                           const std::vector<Columns>& tasks, int64_t chunks) {
  const int64_t n = in.shape.n_key;
  for (int64_t head = 0; head < in.shape.n_head; ++head) {
    float* received = out.received ? out.received + head * n : nullptr;
    float* received_max = out.received_max ? out.received_max + head * n : nullptr;
    if (received) std::fill(received, received + n, 0.0f);
    if (received_max) std::fill(received_max, received_max + n, 0.0f);
    for (int64_t c = 0; c < chunks; ++c) {
      const Columns& task = tasks[static_cast<size_t>(head * chunks + c)];
      for (size_t j = 0; j < task.sum.size(); ++j) {
        if (received) received[j] += task.sum[j];
        if (received_max) received_max[j] = std::max(received_max[j], task.highest[j]);
      }
    }
  }
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
