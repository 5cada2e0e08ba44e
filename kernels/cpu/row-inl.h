// One row of scores to weights and statistics. Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_ROW_INL_H_
#undef SACCADE_KERNELS_CPU_ROW_INL_H_
#else
#define SACCADE_KERNELS_CPU_ROW_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "kernels/attention.h"
#include "kernels/cpu/micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

// Keys [begin, end) that a row may see before knockouts.
struct Visible {
  int64_t begin = 0, end = 0;
};
inline Visible visible_keys(const AttentionShape& s, const AttentionMask& mask, int64_t query) {
  Visible v{0, s.n_key};
  if (mask.causal) v.end = std::min(v.end, query + 1);
  if (mask.window > 0) v.begin = std::max<int64_t>(0, query - mask.window + 1);
  v.begin = std::min(v.begin, v.end);
  return v;
}

inline const std::vector<EdgeRect>* knockouts_of(const AttentionMask& mask, int64_t head) {
  if (mask.knockouts.empty()) return nullptr;
  const std::vector<EdgeRect>& list = mask.knockouts[static_cast<size_t>(head)];
  return list.empty() ? nullptr : &list;
}

// Scores of cut edges become -inf. row[j] stands for key j - first.
inline void cut_edges(const std::vector<EdgeRect>& cuts, int64_t query, int64_t first, int64_t count,
                      float* row) {
  for (const EdgeRect& cut : cuts)
    if (query >= cut.query_begin && query < cut.query_end)
      for (int64_t j = std::max(cut.key_begin, first); j < std::min(cut.key_end, first + count); ++j)
        row[j - first] = minus_infinity;
}

// Caps the scores of keys [first_key, first_key + n) of one row and adds their ALiBi bias. Gives the scale
// that is still to be applied. Heads without either pay nothing.
inline float shape_scores(const AttentionScores& how, int64_t head, int64_t query, int64_t first_key,
                          int64_t n, float* HWY_RESTRICT row) {
  if (how.softcap == 0.0f && how.slopes.empty()) return how.scale;
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float slope = how.slopes.empty() ? 0.0f : how.slopes[static_cast<size_t>(head)];
  const float cap = how.softcap, before = cap > 0.0f ? how.scale / cap : how.scale;
  const auto factor = hn::Set(d, before), ceiling = hn::Set(d, cap), down = hn::Set(d, -slope);
  const auto origin = hn::Set(d, static_cast<float>(query - first_key));
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    auto s = hn::Mul(hn::LoadU(d, row + j), factor);
    if (cap > 0.0f) s = hn::Mul(hn::Tanh(d, s), ceiling);
    const auto distance = hn::Abs(hn::Sub(origin, hn::Iota(d, static_cast<float>(j))));
    hn::StoreU(hn::MulAdd(down, distance, s), d, row + j);
  }
  for (; j < n; ++j) {
    float s = row[j] * before;
    if (cap > 0.0f) s = std::tanh(s) * cap;
    row[j] = s - slope * static_cast<float>(std::abs(query - first_key - j));
  }
  return 1.0f;
}

struct RowResult {
  float highest = minus_infinity;  // of the scaled scores; -inf: the row sees nothing
  float sum = 0.0f;                // of exp(s - highest)
  float weighted = 0.0f;           // of exp(s - highest) * (s - highest), for the entropy
};

// row[0, n): scores in, exp(scale * score - highest) out. Unseen cells are -inf in, 0 out.
inline RowResult exponentiate(float* HWY_RESTRICT row, int64_t n, float scale, bool with_entropy) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  RowResult result;
  const auto factor = hn::Set(d, scale);
  auto highest = hn::Set(d, minus_infinity);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    const auto s = hn::Mul(hn::LoadU(d, row + j), factor);
    hn::StoreU(s, d, row + j);
    highest = hn::Max(highest, s);
  }
  result.highest = hn::GetLane(hn::MaxOfLanes(d, highest));
  for (; j < n; ++j) {
    row[j] *= scale;
    result.highest = std::max(result.highest, row[j]);
  }
  if (result.highest == minus_infinity) {
    bool nan = false;
    for (j = 0; j < n; ++j) nan = nan || std::isnan(row[j]);
    if (!nan) {
      std::fill(row, row + n, 0.0f);
      return result;
    }
    result.highest = std::numeric_limits<float>::quiet_NaN();
  }
  const auto high = hn::Set(d, result.highest);
  const auto floor = hn::Set(d, -1000.0f);  // keeps -inf * 0 out of the entropy
  auto sum = hn::Zero(d), weighted = hn::Zero(d);
  for (j = 0; j + lanes <= n; j += lanes) {
    const auto t = hn::Sub(hn::LoadU(d, row + j), high);
    const auto e = hn::Exp(d, t);
    hn::StoreU(e, d, row + j);
    sum = hn::Add(sum, e);
    if (with_entropy) weighted = hn::MulAdd(e, hn::Max(t, floor), weighted);
  }
  result.sum = hn::GetLane(hn::SumOfLanes(d, sum));
  result.weighted = hn::GetLane(hn::SumOfLanes(d, weighted));
  for (; j < n; ++j) {
    const float t = row[j] - result.highest;
    row[j] = std::exp(t);
    result.sum += row[j];
    result.weighted += row[j] * std::max(t, -1000.0f);
  }
  return result;
}

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

// sum_j row[j] * |distance - j|
HWY_INLINE float moment_of(const float* row, int64_t n, float distance) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  auto at = hn::Sub(hn::Set(d, distance), hn::Iota(d, 0));
  const auto step = hn::Set(d, static_cast<float>(lanes));
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes, at = hn::Sub(at, step))
    sum = hn::MulAdd(hn::LoadU(d, row + j), hn::Abs(at), sum);
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; j < n; ++j) total += row[j] * std::abs(distance - static_cast<float>(j));
  return total;
}

// The first index that holds `wanted`, or -1.
HWY_INLINE int64_t first_equal(const float* row, int64_t n, float wanted) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto value = hn::Set(d, wanted);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes)
    if (const intptr_t at = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, row + j), value)); at >= 0)
      return j + at;
  for (; j < n; ++j)
    if (row[j] == wanted) return j;
  return -1;
}

// The first index whose value is the largest of the row. The largest weight is exp(0): it is looked for
// first.
HWY_INLINE int64_t first_largest(const float* row, int64_t n) {
  if (const int64_t at = first_equal(row, n, 1.0f); at >= 0) return at;
  return first_equal(row, n, *std::max_element(row, row + n));
}

// received += weight * row, received_max = max(received_max, weight * row)
HWY_INLINE void add_to_columns(const float* HWY_RESTRICT row, int64_t n, float weight,
                               float* HWY_RESTRICT received, float* HWY_RESTRICT received_max) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto w = hn::Set(d, weight);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    const auto p = hn::Mul(hn::LoadU(d, row + j), w);
    if (received) hn::StoreU(hn::Add(hn::LoadU(d, received + j), p), d, received + j);
    if (received_max) hn::StoreU(hn::Max(hn::LoadU(d, received_max + j), p), d, received_max + j);
  }
  for (; j < n; ++j) {
    if (received) received[j] += row[j] * weight;
    if (received_max) received_max[j] = std::max(received_max[j], row[j] * weight);
  }
}

// The k largest weights of a row by insertion, ties to the lowest key.
inline void largest_of(const float* row, const Visible& seen, float inverse_sum, int k, float* weight,
                       int32_t* key) {
  for (int i = 0; i < k; ++i) {
    if (weight) weight[i] = 0.0f;
    if (key) key[i] = -1;
  }
  float best[16];
  int32_t best_key[16];
  int count = 0;
  for (int64_t j = seen.begin; j < seen.end; ++j) {
    const float value = row[j];
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
    if (weight) weight[i] = best[i] * inverse_sum;
    if (key) key[i] = best_key[i];
  }
}

// Writes the statistics of one row. weights: exp(s - highest) at [0, n_key), 0 where unseen inside [begin,
// end).
inline void row_statistics(const AttentionOutput& out, const float* weights, const Visible& seen,
                           const RowResult& r, int64_t query, int64_t row) {
  const bool empty = r.highest == minus_infinity;
  const float inverse = empty ? 0.0f : 1.0f / r.sum;
  const float* begin = weights + seen.begin;
  const int64_t n = seen.end - seen.begin;
  if (out.lse) out.lse[row] = empty ? minus_infinity : r.highest + std::log(r.sum);
  if (out.entropy) out.entropy[row] = empty ? 0.0f : std::max(0.0f, std::log(r.sum) - r.weighted * inverse);
  const bool broken = std::isnan(r.sum);
  if (out.max_weight || out.max_key) {
    const int64_t at = empty || broken || n == 0 ? -1 : seen.begin + first_largest(begin, n);
    if (out.max_key) out.max_key[row] = static_cast<int32_t>(at);
    if (out.max_weight) out.max_weight[row] = broken ? r.sum : at < 0 ? 0.0f : weights[at] * inverse;
  }
  if (out.sink_mass) {
    const int64_t end = std::min(out.sink_keys, seen.end);
    out.sink_mass[row] = end > seen.begin ? sum_of(begin, end - seen.begin) * inverse : 0.0f;
  }
  if (out.local_mass) {
    const int64_t first = std::max(seen.begin, query - out.local_width + 1);
    const int64_t last = std::min(seen.end, query + out.local_width);
    out.local_mass[row] = last > first ? sum_of(weights + first, last - first) * inverse : 0.0f;
  }
  if (out.mean_distance)
    out.mean_distance[row] =
        n > 0 ? moment_of(begin, n, static_cast<float>(query - seen.begin)) * inverse : 0.0f;
  if (out.top_k > 0)
    largest_of(weights, seen, inverse, out.top_k, out.top_weight ? out.top_weight + row * out.top_k : nullptr,
               out.top_key ? out.top_key + row * out.top_k : nullptr);
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
