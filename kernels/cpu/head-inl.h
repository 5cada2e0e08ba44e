// What every way through the pass does with one head: which keys it needs, a row of raw products to weights
// and statistics, and z. Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_HEAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_HEAD_INL_H_
#undef SACCADE_KERNELS_CPU_HEAD_INL_H_
#else
#define SACCADE_KERNELS_CPU_HEAD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/edits.h"
#include "kernels/cpu/scores-inl.h"
#include "kernels/cpu/statistics-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

// One head of one call.
struct Head {
  const AttentionInput& in;
  const AttentionOutput& out;
  int64_t head = 0, kv_head = 0;
  const HeadPlan* plan = nullptr;  // null without edits
  Head(const AttentionInput& input, const AttentionOutput& output, int64_t index)
      : in(input),
        out(output),
        head(index),
        kv_head(index / (input.shape.n_head / input.shape.n_kv_head)),
        plan(plan_of(input.edits, index)) {}
  [[nodiscard]] bool edits_weights() const { return plan && !plan->weights.empty(); }
  // The keys that rows before `end` can give a weight to.
  [[nodiscard]] int64_t keys_until(int64_t end) const {
    const AttentionShape& s = in.shape;
    if (!in.mask.causal) return s.n_key;
    const int64_t replaced = edits_weights() ? end_of_replaced(plan->weights) : 0;
    const int64_t prefix = s.first_query < in.mask.prefix ? in.mask.prefix : 0;
    return std::clamp<int64_t>(std::max({s.first_query + end, replaced, prefix}), 0, s.n_key);
  }
};

inline bool edits_weights(const AttentionInput& in, int64_t head) {
  return !in.edits.empty() && !in.edits[static_cast<size_t>(head)].weights.empty();
}

inline void write_z(const Head& of, int64_t row, const float* z, const RowWeights& weights) {
  const AttentionShape& s = of.in.shape;
  float* to = of.out.z.data + row * of.out.z.token_stride + of.head * of.out.z.head_stride;
  for (int64_t x = 0; x < s.d_head; ++x) to[x] = z[x] * weights.inverse;
  if (of.plan && weights.inverse != 0.0f) edit_output(of.plan->outputs, s.first_query + row, s.d_head, to);
}

// -sum p ln p over positive p.
inline float entropy_of(const float* p, int64_t n) {
  double entropy = 0.0;
  for (int64_t j = 0; j < n; ++j)
    if (!(p[j] <= 0.0f)) entropy -= static_cast<double>(p[j]) * std::log(p[j]);
  return static_cast<float>(entropy);
}

inline float distance_of(const float* p, int64_t n, int64_t query) {
  double sum = 0.0;
  for (int64_t j = 0; j < n; ++j) sum += static_cast<double>(p[j]) * static_cast<double>(std::abs(query - j));
  return static_cast<float>(sum);
}

// The slower way of rows with weight edits: p itself, in the arithmetic of tiles, then the edits in order.
inline RowWeights edit_row(const Head& of, int64_t row, const RowPart& part, const Scored& scored,
                           std::vector<uint8_t>& seen) {
  float* cells = part.cells + scored.begin;
  const int64_t n = scored.end - scored.begin, n_query = of.in.shape.n_query;
  RowWeights made{part.cells, 0, part.count};
  made.edited = true;
  seen.assign(static_cast<size_t>(part.count), 0);
  for (int64_t j = scored.begin; j < scored.end; ++j)
    seen[static_cast<size_t>(j)] = part.cells[j] != minus_infinity;
  Buffer<float> copy(cells, cells + n);
  made.lse = exponentiate(copy.data(), n, scored.scale, 0, false, false).lse();
  float* factors = of.out.row_factors.empty() ? nullptr : of.out.row_factors[static_cast<size_t>(of.head)];
  if (factors) factors += row;
  std::fill(part.cells, cells, 0.0f);
  std::fill(cells + n, part.cells + part.count, 0.0f);
  if (made.lse == minus_infinity) {
    std::fill(cells, cells + n, 0.0f);
    leave_weights(of.plan->weights, factors, n_query);
    return made;
  }
  weights_from_scores(cells, n, scored.scale, made.lse);
  edit_weights(of.plan->weights, part, seen.data(), factors, n_query);
  made.inverse = std::isnan(made.lse) ? made.lse : 1.0f;
  if (of.out.entropy) made.entropy = entropy_of(part.cells, part.count);
  if (of.out.mean_distance) made.distance = distance_of(part.cells, part.count, part.query);
  return made;
}

// What a softmax says of its row.
inline void fill_from(const Softmax& r, RowWeights& row) {
  row.lse = r.lse();
  row.inverse = r.empty() ? 0.0f : 1.0f / r.sum;
  row.entropy = r.empty() ? 0.0f : std::log(r.sum) - r.weighted * row.inverse;
  if (row.entropy < 0.0f) row.entropy = 0.0f;
  row.distance = r.moment * row.inverse;
}

// Masks one row of the strip, makes weights of it and gathers its statistics.
inline RowWeights finish_row(const Head& of, int64_t row, float* strip, int64_t keys, const float* norms,
                             std::vector<uint8_t>& seen) {
  const AttentionShape& s = of.in.shape;
  const int64_t query = s.first_query + row;
  const RowPart part{query, 0, keys, strip};
  const Scored scored = make_scores({s, of.in.mask, of.in.scores, of.head, of.plan}, part);
  RowWeights made{strip, scored.begin, scored.end};
  if (of.edits_weights()) {
    made = edit_row(of, row, part, scored, seen);
  } else {
    std::fill(strip, strip + scored.begin, 0.0f);
    std::fill(strip + scored.end, strip + keys, 0.0f);
    const Softmax r = exponentiate(strip + scored.begin, scored.end - scored.begin, scored.scale,
                                   query - scored.begin, of.out.entropy, of.out.mean_distance);
    fill_from(r, made);
  }
  row_statistics(of.out, made, query, of.head * s.n_query + row, norms);
  return made;
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
