// One cell of a map, from the product of its query and key: mask, scale, soft cap, ALiBi, edits.
// kernels/attention.h and kernels/map_edits.h say what each does; this is the one place on the device that
// does it, for the pass and for every regeneration alike.
#pragma once

#include "kernels/cuda/block.cuh"

namespace saccade::cuda {

// The keys rows [first, last] may see before knockouts; empty where begin >= end.
struct KeyBounds {
  int begin = 0, end = 0;
};
__device__ inline KeyBounds keys_of_rows(const Parameters& p, int first, int last) {
  KeyBounds b{0, p.n_key};
  const bool prefix = p.first_query + first < p.prefix;
  if (p.causal) b.end = min(b.end, max(p.first_query + last + 1, prefix ? p.prefix : 0));
  if (p.window > 0 && !prefix) b.begin = max(0, p.first_query + first - p.window + 1);
  return b;
}

__device__ inline bool has_cuts(const Parameters& p, int head) {
  return p.tables.cuts_of && p.tables.cuts_of[head].begin < p.tables.cuts_of[head].end;
}
__device__ inline const PlanRecord* plan_of(const Parameters& p, int head) {
  return p.tables.plans ? p.tables.plans + head : nullptr;
}

// By the mask alone. query: absolute.
__device__ inline bool unmasked(const Parameters& p, int head, int query, int key) {
  if (query >= p.prefix || key >= p.prefix) {
    if (p.causal && key > query) return false;
    if (p.window > 0 && query - key >= p.window) return false;
  }
  if (!p.tables.cuts_of) return true;
  const Span cuts = p.tables.cuts_of[head];
  for (int n = cuts.begin; n < cuts.end; ++n) {
    const EdgeRect& cut = p.tables.cuts[n];
    if (query >= cut.query_begin && query < cut.query_end && key >= cut.key_begin && key < cut.key_end)
      return false;
  }
  return true;
}

__device__ inline bool covers(const EditRecord& edit, int query) {
  return query >= edit.query_begin && query < edit.query_end;
}

// Where a key stands in a set, -1 if it is not there.
__device__ inline int64_t index_in(const Parameters& p, Span keys, int key) {
  for (int n = keys.begin; n < keys.end; ++n) {
    const RangeRecord& range = p.tables.ranges[n];
    if (key >= range.begin && key < range.end) return range.before + key - range.begin;
  }
  return -1;
}

// By the mask and the head's cuts: s is above -inf.
__device__ inline bool seen(const Parameters& p, int head, int query, int key) {
  if (!unmasked(p, head, query, key)) return false;
  const PlanRecord* plan = plan_of(p, head);
  if (!plan) return true;
  for (int n = plan->scores.begin; n < plan->scores.end; ++n) {
    const EditRecord& edit = p.tables.edits[n];
    const auto kind = static_cast<ScoreEditKind>(edit.kind);
    if (!covers(edit, query)) continue;
    if (kind == ScoreEditKind::cut && index_in(p, edit.keys, key) >= 0) return false;
    if (kind == ScoreEditKind::stream && key >= edit.sink && query - key >= edit.recent) return false;
  }
  return true;
}

// s of a cell that is seen, before edits. product = q . k.
__device__ inline float shaped_score(const Parameters& p, int head, int query, int key, float product) {
  // Rounded on its own, so that every pass and every regeneration has the same score.
  float s = __fmul_rn(product, p.scale);
  if (p.softcap > 0.0f) s = p.softcap * tanhf(s / p.softcap);
  if (p.tables.slopes) s -= p.tables.slopes[head] * static_cast<float>(abs(query - key));
  return s;
}

__device__ inline float edited_score(const EditRecord& edit, float s) {
  switch (static_cast<ScoreEditKind>(edit.kind)) {
    case ScoreEditKind::temperature:
      return s / edit.value;
    case ScoreEditKind::bias:
      return s + edit.value;
    case ScoreEditKind::boost:
      return s + edit.value * fabsf(s);
    case ScoreEditKind::flat:
      return 0.0f;
    case ScoreEditKind::cut:
    case ScoreEditKind::stream:
      break;
  }
  return s;
}

// s, edits included; -inf where unseen.
__device__ inline float score_of(const Parameters& p, int head, int query, int key, float product) {
  if (!seen(p, head, query, key)) return minus_infinity;
  float s = shaped_score(p, head, query, key, product);
  const PlanRecord* plan = plan_of(p, head);
  if (!plan) return s;
  for (int n = plan->scores.begin; n < plan->scores.end; ++n) {
    const EditRecord& edit = p.tables.edits[n];
    if (covers(edit, query) && index_in(p, edit.keys, key) >= 0) s = edited_score(edit, s);
  }
  return s;
}

// softmax(s) of any cell from q . k: relative to the row's largest score where the pass has just left it,
// otherwise to its lse.
__device__ inline float softmax_of(const Parameters& p, int head, int row, int key, float product) {
  const float s = score_of(p, head, p.first_query + row, key, product);
  if (s == minus_infinity) return 0.0f;
  const int64_t at = static_cast<int64_t>(head) * p.n_query + row;
  if (p.work.highest) return expf(s - p.work.highest[at]) * p.work.inverse[at];
  return expf(s - p.lse[at]);
}
__device__ inline bool sees_nothing(const Parameters& p, int head, int row) {
  const int64_t at = static_cast<int64_t>(head) * p.n_query + row;
  return p.work.highest ? p.work.inverse[at] == 0.0f : p.lse[at] == minus_infinity;
}

// The two numbers per row that a weight edit needs (kernels/map_edits.h lists them).
struct Factors {
  float a = 1.0f, b = 1.0f;
};

// NaN stays NaN.
__device__ inline float power_of(float base, float exponent) {
  return base <= 0.0f ? 0.0f : powf(base, exponent);
}

__device__ inline bool in_block(const EditRecord& edit, int key) {
  return key >= edit.block_first_key && key < edit.block_first_key + edit.block_columns;
}
__device__ inline float block_weight(const Parameters& p, const EditRecord& edit, int query, int key) {
  return p.tables
      .numbers[edit.block + (query - edit.query_begin) * edit.block_columns + key - edit.block_first_key];
}

// One weight edit on one cell of a row it covers.
__device__ inline float edited_weight(const Parameters& p, const EditRecord& edit, Factors f, int head,
                                      int query, int key, float w) {
  switch (static_cast<WeightEditKind>(edit.kind)) {
    case WeightEditKind::scale_columns: {
      const int64_t at = index_in(p, edit.keys, key);
      return at < 0 ? w : w * (edit.values < 0 ? edit.value : p.tables.numbers[edit.values + at]);
    }
    case WeightEditKind::renormalise:
      return w * f.a;
    case WeightEditKind::redistribute:
      if (index_in(p, edit.keys, key) >= 0) w *= f.a;
      return index_in(p, edit.to, key) >= 0 ? w * f.b : w;
    case WeightEditKind::identity:
      return (1.0f - edit.value) * w + (key == query ? edit.value : 0.0f);
    case WeightEditKind::uniform:
      return f.a * w + (index_in(p, edit.keys, key) >= 0 && seen(p, head, query, key) ? f.b : 0.0f);
    case WeightEditKind::power:
      return f.a == 0.0f ? w : f.b * power_of(f.a * w, edit.value);
    case WeightEditKind::sharpen:
      return f.b == 0.0f ? w : power_of(f.b * (f.a * w - 1.0f), edit.value);
    case WeightEditKind::replace:
      return in_block(edit, key) ? block_weight(p, edit, query, key) : w * f.a;
  }
  return w;
}

// p of any cell, from q . k. row: counted from query row 0.
__device__ inline float weight_of(const Parameters& p, int head, int row, int key, float product) {
  if (sees_nothing(p, head, row)) return 0.0f;
  const int query = p.first_query + row;
  float w = softmax_of(p, head, row, key, product);
  const PlanRecord* plan = plan_of(p, head);
  if (!plan) return w;
  const float* factors = p.tables.row_factors ? p.tables.row_factors[head] : nullptr;
  for (int n = plan->weights.begin; n < plan->weights.end; ++n) {
    Factors f;
    if (factors) {
      const float* pair = factors + static_cast<int64_t>(2 * (n - plan->weights.begin)) * p.n_query + row;
      f = {pair[0], pair[p.n_query]};
    }
    const EditRecord& edit = p.tables.edits[n];
    if (covers(edit, query)) w = edited_weight(p, edit, f, head, query, key, w);
  }
  return w;
}

}  // namespace saccade::cuda
