// One row of raw products q . k to scores, and scores to weights. Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_SCORES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_SCORES_INL_H_
#undef SACCADE_KERNELS_CPU_SCORES_INL_H_
#else
#define SACCADE_KERNELS_CPU_SCORES_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/attention.h"
#include "kernels/cpu/aligned.h"
#include "kernels/cpu/edits.h"
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
constexpr int64_t most_lanes = HWY_MAX_BYTES / sizeof(float);

// Keys [begin, end) that a row may see before knockouts and cuts.
struct Visible {
  int64_t begin = 0, end = 0;
};
inline Visible visible_keys(const AttentionShape& s, const AttentionMask& mask, int64_t query) {
  if (query < mask.prefix) {
    const int64_t end = mask.causal ? std::max(query + 1, mask.prefix) : s.n_key;
    return {0, std::min(s.n_key, end)};
  }
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

inline const HeadPlan* plan_of(std::span<const HeadPlan> edits, int64_t head) {
  if (edits.empty()) return nullptr;
  const HeadPlan& plan = edits[static_cast<size_t>(head)];
  return plan.empty() ? nullptr : &plan;
}

// row[j] := change(row[j], j), vector by vector; the last, partial vector takes the same way as the others.
template <class Change>
HWY_INLINE void change_row(float* HWY_RESTRICT row, int64_t n, const Change& change) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) hn::StoreU(change(hn::LoadU(d, row + j), j), d, row + j);
  if (j == n) return;
  HWY_ALIGN float last[most_lanes] = {};
  std::memcpy(last, row + j, static_cast<size_t>(n - j) * sizeof(float));
  hn::Store(change(hn::Load(d, last), j), d, last);
  std::memcpy(row + j, last, static_cast<size_t>(n - j) * sizeof(float));
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
  const float slope = how.slopes.empty() ? 0.0f : how.slopes[static_cast<size_t>(head)];
  const float cap = how.softcap, before = cap > 0.0f ? how.scale / cap : how.scale;
  const auto factor = hn::Set(d, before), ceiling = hn::Set(d, cap), down = hn::Set(d, -slope);
  const int64_t origin = query - first_key;
  change_row(row, n, [&](hn::Vec<Floats> raw, int64_t j) {
    auto s = hn::Mul(raw, factor);
    if (cap > 0.0f) s = hn::Mul(hn::Tanh(d, s), ceiling);
    const auto distance = hn::Abs(hn::Sub(hn::Set(d, static_cast<float>(origin - j)), hn::Iota(d, 0)));
    return hn::MulAdd(down, distance, s);
  });
  return 1.0f;
}

// A part of a row: cells[j] is that of key first + j. Everything that is to be known of a row to make its
// scores.
struct ScoreContext {
  const AttentionShape& shape;
  const AttentionMask& mask;
  const AttentionScores& scores;
  int64_t head = 0;
  const HeadPlan* plan = nullptr;  // null without edits
};

struct Scored {
  int64_t begin = 0, end = 0;  // the cells that may be visible; the others are not touched
  float scale = 1.0f;          // still to be applied
};

// Raw products to scores, edited: cells in [begin, end) that the row does not see become -inf.
inline Scored make_scores(const ScoreContext& of, const RowPart& row) {
  const Visible seen = visible_keys(of.shape, of.mask, row.query);
  Scored made;
  made.begin = std::clamp<int64_t>(seen.begin - row.first, 0, row.count);
  made.end = std::clamp<int64_t>(seen.end - row.first, made.begin, row.count);
  const int64_t n = made.end - made.begin;
  float* cells = row.cells + made.begin;
  made.scale = shape_scores(of.scores, of.head, row.query, row.first + made.begin, n, cells);
  if (const auto* cuts = knockouts_of(of.mask, of.head))
    cut_edges(*cuts, row.query, row.first, row.count, row.cells);
  if (!of.plan || of.plan->scores.empty()) return made;
  if (made.scale != 1.0f)
    change_row(cells, n, [scale = hn::Set(Floats(), made.scale)](hn::Vec<Floats> s, int64_t) {
      return hn::Mul(s, scale);
    });
  made.scale = 1.0f;
  edit_scores(of.plan->scores, {row.query, row.first + made.begin, n, cells});
  return made;
}

// p := exp(scale s - lse), the edited map's p before its weight edits and any map's in tiles.
inline void weights_from_scores(float* row, int64_t n, float scale, float lse) {
  const Floats d;
  const auto factor = hn::Set(d, scale), shift = hn::Set(d, lse), limit = hn::Set(d, 88.0f);
  change_row(row, n, [&](hn::Vec<Floats> s, int64_t) {
    return exp_of(hn::Min(limit, hn::Sub(hn::Mul(s, factor), shift)));
  });
}

struct Softmax {
  float highest = minus_infinity;  // of the scaled scores; -inf: the row sees nothing
  float sum = 0.0f;                // of exp(s - highest)
  float weighted = 0.0f;           // of exp(s - highest) * (s - highest), for the entropy
  float moment = 0.0f;             // of exp(s - highest) * |query - key|
  [[nodiscard]] bool empty() const { return highest == minus_infinity; }
  [[nodiscard]] float lse() const { return empty() ? minus_infinity : highest + std::log(sum); }
};

// The largest; NaN if there are only NaN.
HWY_INLINE float highest_of(const float* row, int64_t n) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto high0 = hn::Set(d, minus_infinity), high1 = high0;
  int64_t j = 0;
  for (; j + 2 * lanes <= n; j += 2 * lanes) {
    high0 = hn::Max(hn::LoadU(d, row + j), high0);
    high1 = hn::Max(hn::LoadU(d, row + j + lanes), high1);
  }
  float highest = hn::GetLane(hn::MaxOfLanes(d, hn::Max(high0, high1)));
  for (; j < n; ++j) highest = std::max(highest, row[j]);
  if (highest != minus_infinity) return highest;
  for (j = 0; j < n; ++j)
    if (std::isnan(row[j])) return row[j];
  return highest;
}

// row[0, n): scores in, exp(scale (score - the highest)) out. Unseen cells are -inf in, 0 out. distance: that
// of cell 0.
template <bool Entropy, bool Moment>
HWY_INLINE void exponentiate_cells(float* HWY_RESTRICT row, int64_t n, float scale, float highest,
                                   int64_t distance, Softmax& result) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, scale), high = hn::Set(d, highest);
  const auto floor = hn::Set(d, -1000.0f);  // keeps -inf * 0 out of the entropy
  const auto step = hn::Set(d, static_cast<float>(lanes));
  auto at = hn::Sub(hn::Set(d, static_cast<float>(distance)), hn::Iota(d, 0));
  auto sum = hn::Zero(d), weighted = hn::Zero(d), moment = hn::Zero(d);
  const auto one = [&](hn::Vec<Floats> s) {
    const auto t = hn::Mul(hn::Sub(s, high), factor);
    const auto e = exp_of(t);
    sum = hn::Add(sum, e);
    if constexpr (Entropy) weighted = hn::MulAdd(e, hn::Max(floor, t), weighted);
    if constexpr (Moment) {
      moment = hn::MulAdd(e, hn::Abs(at), moment);
      at = hn::Sub(at, step);
    }
    return e;
  };
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) hn::StoreU(one(hn::LoadU(d, row + j)), d, row + j);
  if (j < n) {
    HWY_ALIGN float last[most_lanes];
    std::fill(last, last + most_lanes, minus_infinity);
    std::memcpy(last, row + j, static_cast<size_t>(n - j) * sizeof(float));
    hn::Store(one(hn::Load(d, last)), d, last);
    std::memcpy(row + j, last, static_cast<size_t>(n - j) * sizeof(float));
  }
  result.sum = hn::GetLane(hn::SumOfLanes(d, sum));
  result.weighted = hn::GetLane(hn::SumOfLanes(d, weighted));
  result.moment = hn::GetLane(hn::SumOfLanes(d, moment));
}

inline Softmax exponentiate(float* row, int64_t n, float scale, int64_t distance, bool with_entropy,
                            bool with_moment) {
  Softmax result;
  const float highest = highest_of(row, n);
  result.highest = highest * scale;
  if (result.empty()) {
    std::fill(row, row + n, 0.0f);
    return result;
  }
  if (with_entropy && with_moment)
    exponentiate_cells<true, true>(row, n, scale, highest, distance, result);
  else if (with_entropy)
    exponentiate_cells<true, false>(row, n, scale, highest, distance, result);
  else if (with_moment)
    exponentiate_cells<false, true>(row, n, scale, highest, distance, result);
  else
    exponentiate_cells<false, false>(row, n, scale, highest, distance, result);
  return result;
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
