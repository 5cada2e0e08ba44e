// A handful of query rows (decoding): the pass reads every key and value once, in the order they lie in
// memory, and everything else is small beside that. Included once per instruction set.
//
// A task is a run of keys and some KV heads: scores of every query row and head that shares them, weights
// relative to the run's own largest score, the run's part of z. Runs are then merged by their largest scores.
// How keys and heads are cut depends on the shape alone.
#if defined(SACCADE_KERNELS_CPU_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_DECODE_INL_H_
#undef SACCADE_KERNELS_CPU_DECODE_INL_H_
#else
#define SACCADE_KERNELS_CPU_DECODE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/head-inl.h"
#include "kernels/cpu/pack-inl.h"
#include "kernels/cpu/scores-inl.h"
#include "kernels/cpu/statistics-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

constexpr int64_t most_decoded = 3;

constexpr int64_t keys_at_once = 4, ahead = 16;

// Asks for n numbers that are read later. Where they would lie behind the end nothing happens.
template <class T>
HWY_INLINE void prefetch(const T* from, int64_t n) {
  constexpr int64_t line = 64 / sizeof(T);
  for (int64_t x = 0; x < n; x += line) hwy::Prefetch(from + x);
}

// Vectors of one token and head, as they lie in memory.
struct FloatRow {
  const float* data = nullptr;
  void point_at(const HeadsView& view, int64_t at) { data = view.data + at; }
  HWY_INLINE void fetch(int64_t offset, int64_t n) const { prefetch(data + offset, n); }
  [[nodiscard]] HWY_INLINE hn::Vec<Floats> load(int64_t x) const { return hn::LoadU(Floats(), data + x); }
  [[nodiscard]] HWY_INLINE float at(int64_t x) const { return data[x]; }
};
struct NarrowRow {
  const Bfloat16* data = nullptr;
  void point_at(const HeadsView& view, int64_t at) { data = view.bf16 + at; }
  HWY_INLINE void fetch(int64_t offset, int64_t n) const { prefetch(data + offset, n); }
  [[nodiscard]] HWY_INLINE hn::Vec<Floats> load(int64_t x) const { return load_wide(data + x); }
  [[nodiscard]] HWY_INLINE float at(int64_t x) const { return widen_bfloat16(data[x]); }
};

#if HWY_TARGET == HWY_SCALAR || HWY_HAVE_SCALABLE
template <class V>
HWY_INLINE void store_sums(V a, V b, V c, V e, float* out) {
  const Floats d;
  out[0] = hn::GetLane(hn::SumOfLanes(d, a));
  out[1] = hn::GetLane(hn::SumOfLanes(d, b));
  out[2] = hn::GetLane(hn::SumOfLanes(d, c));
  out[3] = hn::GetLane(hn::SumOfLanes(d, e));
}
#else
template <class D, class V>
HWY_INLINE void store_block_sums(D d, V v, float* out) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    hn::StoreU(v, d, out);
  } else {
    const hn::Half<D> half;
    store_block_sums(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), out);
  }
}

// The sums over the lanes of four vectors, together: two rounds of interleaving, then the blocks.
template <class V>
HWY_INLINE void store_sums(V a, V b, V c, V e, float* out) {
  const Floats d;
  const hn::Repartition<uint64_t, Floats> pairs;
  const auto ab = hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
  const auto ce = hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
  store_block_sums(d,
                   hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, ab, ce)),
                           hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ce))),
                   out);
}
#endif

// out[r][i] = q_r . key_i for Count query rows and Keys keys, 1 or 4.
template <int Count, int Keys, class Row>
HWY_INLINE void dot_rows(const float* const* q, const Row* key, int64_t n, float* const* out) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Floats> sum[Count][Keys];
  for (int r = 0; r < Count; ++r)
    for (int i = 0; i < Keys; ++i) sum[r][i] = hn::Zero(d);
  int64_t x = 0;
  for (; x + lanes <= n; x += lanes) {
    hn::Vec<Floats> left[Count];
    for (int r = 0; r < Count; ++r) left[r] = hn::LoadU(d, q[r] + x);
    for (int i = 0; i < Keys; ++i) {
      const auto k = key[i].load(x);
      for (int r = 0; r < Count; ++r) sum[r][i] = hn::MulAdd(left[r], k, sum[r][i]);
    }
  }
  for (int r = 0; r < Count; ++r) {
    if constexpr (Keys == keys_at_once)
      store_sums(sum[r][0], sum[r][1], sum[r][2], sum[r][3], out[r]);
    else
      for (int i = 0; i < Keys; ++i) out[r][i] = hn::GetLane(hn::SumOfLanes(d, sum[r][i]));
    for (int64_t rest = x; rest < n; ++rest)
      for (int i = 0; i < Keys; ++i) out[r][i] += q[r][rest] * key[i].at(rest);
  }
}

// z_r += sum_i weight_r[i] value_i for Count query rows and Keys keys, in the order of keys.
template <int Count, int Keys, class Row>
HWY_INLINE void add_rows_scaled(const float* const* weight, const Row* value, int64_t n, float* const* z) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Floats> w[Count][Keys];
  for (int r = 0; r < Count; ++r)
    for (int i = 0; i < Keys; ++i) w[r][i] = hn::Set(d, weight[r][i]);
  int64_t x = 0;
  for (; x + lanes <= n; x += lanes) {
    hn::Vec<Floats> sum[Count];
    for (int r = 0; r < Count; ++r) sum[r] = hn::LoadU(d, z[r] + x);
    for (int i = 0; i < Keys; ++i) {
      const auto v = value[i].load(x);
      for (int r = 0; r < Count; ++r) sum[r] = hn::MulAdd(w[r][i], v, sum[r]);
    }
    for (int r = 0; r < Count; ++r) hn::StoreU(sum[r], d, z[r] + x);
  }
  for (; x < n; ++x)
    for (int r = 0; r < Count; ++r)
      for (int i = 0; i < Keys; ++i) z[r][x] += weight[r][i] * value[i].at(x);
}

class Decode {
 public:
  Decode(const AttentionInput& in, const AttentionOutput& out)
      : in_(in), out_(out), sharing_(in.shape.n_head / in.shape.n_kv_head) {
    const AttentionShape& s = in.shape;
    begin_ = s.n_key;
    for (int64_t row = 0; row < s.n_query; ++row) {
      const Visible seen = visible_keys(s, in.mask, s.first_query + row);
      if (seen.begin == seen.end) continue;
      begin_ = std::min(begin_, seen.begin);
      end_ = std::max(end_, seen.end);
    }
    begin_ = std::min(begin_, end_);
    constexpr int64_t keys_of_run = 512, tasks_wanted = 8;
    runs_ = (end_ - begin_ + keys_of_run - 1) / keys_of_run;
    if (runs_ > 0) {
      run_keys_ = (end_ - begin_ + runs_ - 1) / runs_;
      heads_at_once_ = std::max<int64_t>(1, s.n_kv_head * runs_ / tasks_wanted);
      heads_at_once_ = std::min(heads_at_once_, s.n_kv_head);
      groups_ = (s.n_kv_head + heads_at_once_ - 1) / heads_at_once_;
    }
    const int64_t rows = s.n_head * s.n_query;
    // An odd number of cache lines: rows a power of two apart would share one set of the cache.
    constexpr int64_t line = 16;
    stride_ =
        round_up(s.n_key, line) / line % 2 == 0 ? round_up(s.n_key, line) + line : round_up(s.n_key, line);
    cells_.resize(static_cast<size_t>(rows * stride_));
    norms_.resize(out.value_mass ? static_cast<size_t>(s.n_kv_head * s.n_key) : 0);
    parts_.resize(static_cast<size_t>(runs_ * rows));
    z_.assign(static_cast<size_t>(std::max<int64_t>(runs_, 1) * rows * s.d_head), 0.0f);
    q_.resize(static_cast<size_t>(rows * s.d_head));
    rows_.resize(static_cast<size_t>(s.n_kv_head));
    for (int64_t at = 0; at < rows; ++at)
      if (const int64_t head = at / s.n_query; !edits_weights(in, head))
        rows_[static_cast<size_t>(head / sharing_)].push_back(at);
    for (int64_t row = 0; row < s.n_query; ++row)
      for (int64_t head = 0; head < s.n_head; ++head) {
        float* to = q_.data() + index(head, row) * s.d_head;
        const float* from = row_of(in.q, row, head, s.d_head, to);
        if (from != to) std::copy_n(from, s.d_head, to);
      }
  }

  [[nodiscard]] int64_t tasks() const { return runs_ * groups_; }

  // Keys of one run, KV heads of one group.
  void read(int64_t task) {
    const AttentionShape& s = in_.shape;
    const int64_t run = task / groups_, first_head = task % groups_ * heads_at_once_;
    const int64_t first = begin_ + run * run_keys_, last = std::min(first + run_keys_, end_);
    const int64_t last_head = std::min(first_head + heads_at_once_, s.n_kv_head);
    if (in_.k.bf16)
      read_run<NarrowRow>(run, first, last, first_head, last_head);
    else
      read_run<FloatRow>(run, first, last, first_head, last_head);
  }

  // Merges the runs of one head and writes what was asked for.
  void finish(const Head& of, Columns& columns) {
    const AttentionShape& s = in_.shape;
    columns.begin(out_, s.n_key);
    RowWeights rows[rows_of_group];
    for (int64_t row = 0; row < s.n_query; ++row) {
      const int64_t at = index(of.head, row), query = s.first_query + row;
      rows[row] = merge(at);
      row_statistics(out_, rows[row], query, at,
                     norms_.empty() ? nullptr : norms_.data() + of.kv_head * s.n_key);
      write_z(of, row, z_.data() + at * s.d_head, rows[row]);
    }
    column_statistics(in_, out_, of.head, 0, s.n_query, true, rows, columns);
  }

 private:
  [[nodiscard]] int64_t index(int64_t head, int64_t row) const { return head * in_.shape.n_query + row; }

  template <class Row>
  void read_run(int64_t run, int64_t first, int64_t last, int64_t first_head, int64_t last_head) {
    const AttentionShape& s = in_.shape;
    walk<Row>(
        in_.k, first, last, first_head, last_head,
        [&](int64_t j, int64_t count, int64_t kv_head, const Row* keys) { score(j, count, kv_head, keys); });
    for (int64_t kv_head = first_head; kv_head < last_head; ++kv_head)
      for (const int64_t at : rows_[static_cast<size_t>(kv_head)])
        weigh(run, at, at / s.n_query, first, last);
    float* z = z_.data() + run * s.n_head * s.n_query * s.d_head;
    walk<Row>(in_.v, first, last, first_head, last_head,
              [&](int64_t j, int64_t count, int64_t kv_head, const Row* values) {
                mix(j, count, kv_head, values, z);
              });
  }

  // Visits rows of k or v, four at a time, as they lie in memory: by token, or by head in stretches.
  template <class Row, class Work>
  HWY_INLINE void walk(const HeadsView& view, int64_t first, int64_t last, int64_t first_head,
                       int64_t last_head, const Work& work) {
    // Tokens one after the other are one stream, which the hardware runs ahead of; four at a time, which pays
    // where heads share a KV head, are four streams too short for that.
    const bool by_token = view.head_stride < view.token_stride;
    const int64_t step = by_token && rows_[static_cast<size_t>(first_head)].size() < 2 ? 1 : keys_at_once;
    const int64_t stretch = by_token ? step : last - first;
    for (int64_t begin = first; begin < last; begin += stretch)
      for (int64_t head = first_head; head < last_head; ++head)
        for (int64_t j = begin; j < std::min(begin + stretch, last); j += step) {
          const int64_t count = std::min(step, last - j);
          Row rows[keys_at_once] = {};
          for (int64_t i = 0; i < count; ++i)
            rows[i].point_at(view, (j + i) * view.token_stride + head * view.head_stride);
          for (int64_t i = 0; step > 1 && i < count; ++i)
            rows[i].fetch(ahead * view.token_stride, in_.shape.d_head);
          work(j, count, head, rows);
        }
  }

  template <class Row>
  HWY_INLINE void score(int64_t j, int64_t count, int64_t kv_head, const Row* keys) {
    const std::vector<int64_t>& rows = rows_[static_cast<size_t>(kv_head)];
    const int64_t d = in_.shape.d_head;
    const float* q[2];
    float* out[2];
    for (size_t r = 0; r < rows.size();) {
      const size_t n = std::min<size_t>(2, rows.size() - r);
      for (size_t i = 0; i < n; ++i) {
        q[i] = q_.data() + rows[r + i] * d;
        out[i] = cells_.data() + rows[r + i] * stride_ + j;
      }
      r += n;
      if (count == keys_at_once && n == 2) {
        dot_rows<2, keys_at_once>(q, keys, d, out);
      } else if (count == keys_at_once) {
        dot_rows<1, keys_at_once>(q, keys, d, out);
      } else {
        for (size_t i = 0; i < n; ++i)
          for (int64_t key = 0; key < count; ++key) {
            float* one = out[i] + key;
            dot_rows<1, 1>(q + i, keys + key, d, &one);
          }
      }
    }
  }

  // A key without weight is left out: what is not finite in its value stays there.
  template <class Row>
  HWY_INLINE void mix(int64_t j, int64_t count, int64_t kv_head, const Row* values, float* z_of_run) {
    const std::vector<int64_t>& rows = rows_[static_cast<size_t>(kv_head)];
    const int64_t d = in_.shape.d_head;
    if (!norms_.empty())
      for (int64_t i = 0; i < count; ++i)
        norms_[static_cast<size_t>(kv_head * in_.shape.n_key + j + i)] = norm_of(values[i]);
    const float* weight[2];
    float* z[2];
    for (size_t r = 0; r < rows.size();) {
      const size_t n = std::min<size_t>(2, rows.size() - r);
      bool whole = count == keys_at_once;
      for (size_t i = 0; i < n; ++i) {
        weight[i] = cells_.data() + rows[r + i] * stride_ + j;
        z[i] = z_of_run + rows[r + i] * d;
        whole = whole && std::find(weight[i], weight[i] + count, 0.0f) == weight[i] + count;
      }
      r += n;
      if (whole && n == 2) {
        add_rows_scaled<2, keys_at_once>(weight, values, d, z);
      } else if (whole) {
        add_rows_scaled<1, keys_at_once>(weight, values, d, z);
      } else {
        for (size_t i = 0; i < n; ++i) add_seen(weight[i], values, count, z[i]);
      }
    }
  }

  template <class Row>
  HWY_INLINE void add_seen(const float* weight, const Row* values, int64_t count, float* z) const {
    for (const float* last = weight + count; weight != last; ++weight, ++values)
      if (*weight != 0.0f) add_rows_scaled<1, 1>(&weight, values, in_.shape.d_head, &z);
  }

  template <class Row>
  float norm_of(const Row& value) const {
    float sum = 0.0f;
    for (int64_t x = 0; x < in_.shape.d_head; ++x) sum += value.at(x) * value.at(x);
    return std::sqrt(sum);
  }

  // Scores of keys [first, last) to weights relative to the run's largest.
  void weigh(int64_t run, int64_t at, int64_t head, int64_t first, int64_t last) {
    const AttentionShape& s = in_.shape;
    const int64_t query = s.first_query + at % s.n_query;
    const RowPart part{query, first, last - first, cells_.data() + at * stride_ + first};
    const Scored scored = make_scores({s, in_.mask, in_.scores, head, plan_of(in_.edits, head)}, part);
    std::fill(part.cells, part.cells + scored.begin, 0.0f);
    std::fill(part.cells + scored.end, part.cells + part.count, 0.0f);
    parts_[static_cast<size_t>(run * s.n_head * s.n_query + at)] =
        exponentiate(part.cells + scored.begin, scored.end - scored.begin, scored.scale,
                     query - first - scored.begin, out_.entropy, out_.mean_distance);
  }

  // One row's runs to one softmax; its z to the place of run 0.
  RowWeights merge(int64_t at) {
    const AttentionShape& s = in_.shape;
    const int64_t rows = s.n_head * s.n_query;
    float* cells = cells_.data() + at * stride_;
    RowWeights made{cells, begin_, end_};
    const auto part = [&](int64_t run) { return parts_[static_cast<size_t>(run * rows + at)]; };
    Softmax whole;
    for (int64_t run = 0; run < runs_; ++run)
      if (!(part(run).highest <= whole.highest)) whole.highest = part(run).highest;  // NaN stays
    if (whole.empty()) {
      std::fill(cells + begin_, cells + end_, 0.0f);
      return made;
    }
    float* z = z_.data() + at * s.d_head;
    for (int64_t run = 0; run < runs_; ++run) {
      const Softmax p = part(run);
      const float down = p.highest - whole.highest, factor = p.empty() ? 0.0f : std::exp(down);
      const float* from = z + run * rows * s.d_head;
      for (int64_t x = 0; x < s.d_head; ++x)
        z[x] = run == 0 ? from[x] * factor : p.empty() ? z[x] : z[x] + from[x] * factor;
      if (p.empty()) continue;
      whole.sum += factor * p.sum;
      whole.weighted += factor * (p.weighted + down * p.sum);
      whole.moment += factor * p.moment;
      const int64_t first = begin_ + run * run_keys_, last = std::min(first + run_keys_, end_);
      if (factor != 1.0f)
        for (int64_t j = first; j < last; ++j) cells[j] *= factor;
    }
    fill_from(whole, made);
    return made;
  }

  const AttentionInput& in_;
  const AttentionOutput& out_;
  int64_t sharing_;
  int64_t begin_ = 0, end_ = 0;  // keys that some row sees
  int64_t runs_ = 0, run_keys_ = 0, groups_ = 0, heads_at_once_ = 0;
  int64_t stride_ = 0;                      // of the rows of cells
  Buffer<float> cells_;                     // [head, query, key]: scores, then weights
  Buffer<float> norms_, z_, q_;             // [kv head, key]; [run, head, query, d]; [head, query, d]
  std::vector<Softmax> parts_;              // [run, head, query]
  std::vector<std::vector<int64_t>> rows_;  // [kv head]: head * n_query + row of those that read it here
};

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
