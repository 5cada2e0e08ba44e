// From q . k to the map, with the edits of kernels/map_edits.h, so that LibTorch can differentiate it. The
// formulas are those of kernels/reference/, a whole map at a time.
#include <ATen/ATen.h>

#include "core/run/differentiable.h"
#include "core/run/layer_attention.h"

namespace saccade::differentiable {
namespace {

constexpr float hidden_score = -1e30F;  // its exponential is 0 beside any score

// [n] of keys in the set.
at::Tensor columns_in(const KeySet& keys, int64_t n) {
  at::Tensor in = at::zeros({n}, at::kBool);
  for (const KeyRange& range : keys)
    if (const int64_t begin = std::min(range.begin, n), end = std::min(range.end, n); begin < end)
      in.slice(0, begin, end).fill_(true);
  return in;
}

// [n, 1] of rows in the range.
at::Tensor rows_in(const QueryRange& range, int64_t n) {
  return columns_in({{range.begin, range.end}}, n).unsqueeze(1);
}

// query - key, [n, n]
at::Tensor distances(int64_t n) {
  const at::Tensor positions = at::arange(n, at::kLong);
  return positions.unsqueeze(1) - positions.unsqueeze(0);
}

at::Tensor hidden_by(const AttentionMask& mask, int64_t n) {
  const at::Tensor distance = distances(n);
  at::Tensor hidden = at::zeros({n, n}, at::kBool);
  if (mask.causal) hidden = hidden | (distance < 0);
  if (mask.window > 0) hidden = hidden | (distance >= mask.window);
  if (const int64_t prefix = std::min(mask.prefix, n); prefix > 0)
    hidden.slice(0, 0, prefix).slice(1, 0, prefix).fill_(false);
  return hidden;
}

void hide(const std::vector<EdgeRect>& cuts, at::Tensor& hidden) {
  const int64_t n = hidden.size(0);
  for (const EdgeRect& cut : cuts)
    hidden = hidden |
             (rows_in({cut.query_begin, cut.query_end}, n) & columns_in({{cut.key_begin, cut.key_end}}, n));
}

// s and hidden of one head, [n, n].
void apply(const ScoreEdit& edit, at::Tensor& s, at::Tensor& hidden) {
  const int64_t n = s.size(0);
  const at::Tensor rows = rows_in(edit.query, n);
  if (edit.kind == ScoreEditKind::stream) {
    const at::Tensor late = (at::arange(n, at::kLong) >= edit.sink).unsqueeze(0);
    hidden = hidden | (rows & late & (distances(n) >= edit.recent));
    return;
  }
  const at::Tensor where = rows & columns_in(edit.keys, n);
  switch (edit.kind) {
    case ScoreEditKind::temperature:
      s = at::where(where, s / edit.value, s);
      return;
    case ScoreEditKind::bias:
      s = s + where.to(at::kFloat) * edit.value;
      return;
    case ScoreEditKind::boost:
      s = at::where(where, s + s.abs() * edit.value, s);
      return;
    case ScoreEditKind::flat:
      s = s.masked_fill(where, 0.0);
      return;
    case ScoreEditKind::cut:
    case ScoreEditKind::stream:
      hidden = hidden | where;
      return;
  }
}

// p := made / sum made in these rows; a row that would be all 0 is left.
at::Tensor reshaped(const at::Tensor& p, const at::Tensor& made, const at::Tensor& rows) {
  const at::Tensor sum = made.sum(1, true);
  const at::Tensor any = sum != 0;
  return at::where(rows & any, made / at::where(any, sum, at::ones_like(sum)), p);
}

// max(0, base)^exponent, without the infinite slope at 0.
at::Tensor positive_power(const at::Tensor& base, float exponent) {
  const at::Tensor above = base > 0;
  return at::where(above, base, at::ones_like(base)).pow(exponent) * above.to(at::kFloat);
}

at::Tensor redistributed(const WeightEdit& edit, const at::Tensor& p, const at::Tensor& rows) {
  const int64_t n = p.size(0);
  const at::Tensor givers = columns_in(edit.keys, n), takers = columns_in(edit.to, n);
  const at::Tensor from = (p * givers).sum(1, true), to = (p * takers).sum(1, true);
  const at::Tensor there = to != 0;
  const at::Tensor divisor = at::where(there, to, at::ones_like(to));
  const at::Tensor counted = edit.among.empty() ? from + to : (p * columns_in(edit.among, n)).sum(1, true);
  const at::Tensor chosen = rows & there & (counted >= edit.least_mass) & (to >= counted * edit.least_share);
  const at::Tensor gain = from / divisor * (1.0F - edit.value) + 1.0F;
  const at::Tensor given = at::where(givers, p * edit.value, p);
  return at::where(chosen, at::where(takers, given * gain, given), p);
}

at::Tensor replaced(const WeightEdit& edit, const at::Tensor& p, const at::Tensor& rows) {
  const int64_t n = p.size(0), columns = edit.block_columns;
  const at::Tensor inside = rows & columns_in(edit.keys, n);
  at::Tensor put = at::zeros({n, n}, at::kFloat);
  const int64_t begin = edit.query.begin, end = std::min(edit.query.end, n);
  put.slice(0, begin, end)
      .slice(1, edit.block_first_key, edit.block_first_key + columns)
      .copy_(at::from_blob(const_cast<float*>(edit.block.data()), {end - begin, columns}, at::kFloat));
  if (!edit.rescale) return at::where(inside, put, p);
  const at::Tensor others = (p * inside.logical_not()).sum(1, true);
  const at::Tensor there = others != 0;
  const at::Tensor factor = at::where(
      there, (1.0F - put.sum(1, true)).clamp_min(0.0) / at::where(there, others, at::ones_like(others)),
      at::ones_like(others));
  return at::where(inside, put, at::where(rows, p * factor, p));
}

at::Tensor scaled_columns(const WeightEdit& edit, const at::Tensor& p, const at::Tensor& rows) {
  const int64_t n = p.size(0);
  at::Tensor factors = at::ones({n}, at::kFloat);
  for (int64_t key = 0; key < n; ++key)
    if (contains(edit.keys, key))
      factors[key] =
          edit.values.empty() ? edit.value : edit.values[static_cast<size_t>(index_in(edit.keys, key))];
  return at::where(rows, p * factors, p);
}

// p and hidden of one head, [n, n].
at::Tensor edited(const WeightEdit& edit, const at::Tensor& p, const at::Tensor& hidden) {
  const int64_t n = p.size(0);
  const at::Tensor rows = rows_in(edit.query, n);
  switch (edit.kind) {
    case WeightEditKind::scale_columns:
      return scaled_columns(edit, p, rows);
    case WeightEditKind::renormalise:
      return reshaped(p, p, rows);
    case WeightEditKind::redistribute:
      return redistributed(edit, p, rows);
    case WeightEditKind::identity:
      return at::where(rows, p * (1.0F - edit.value) + at::eye(n, at::kFloat) * edit.value, p);
    case WeightEditKind::uniform: {
      const at::Tensor chosen = (columns_in(edit.keys, n) & hidden.logical_not()).to(at::kFloat);
      const at::Tensor count = chosen.sum(1, true);
      return at::where(rows & (count > 0),
                       p * (1.0F - edit.value) + chosen * edit.value / count.clamp_min(1.0), p);
    }
    case WeightEditKind::power:
      return reshaped(p, positive_power(p, edit.value), rows);
    case WeightEditKind::sharpen: {
      const at::Tensor visible = hidden.logical_not().sum(1, true).to(at::kFloat);
      return reshaped(p, positive_power(p * visible - 1.0F, edit.value), rows);
    }
    case WeightEditKind::replace:
      return replaced(edit, p, rows);
  }
  return p;
}

// A row that sees no key keeps p = 0.
at::Tensor softmax_of_visible(const at::Tensor& s, const at::Tensor& hidden) {
  return at::softmax(s.masked_fill(hidden, hidden_score), -1).masked_fill(hidden, 0.0);
}

}  // namespace

at::Tensor pattern(const at::Tensor& products, const ModelSpec& spec, int32_t layer, const LayerPlan& plan) {
  const int64_t n = products.size(1);
  const AttentionScores scores = scores_of(spec, layer);
  at::Tensor s = products * scores.scale;
  if (scores.softcap > 0.0F) s = at::tanh(s / scores.softcap) * scores.softcap;
  if (!scores.slopes.empty()) {
    const at::Tensor slopes = at::from_blob(const_cast<float*>(scores.slopes.data()),
                                            {static_cast<int64_t>(scores.slopes.size()), 1, 1}, at::kFloat);
    s = s - slopes * distances(n).abs().to(at::kFloat);
  }
  const at::Tensor hidden = hidden_by(mask_of(spec, layer), n);
  if (plan.knockouts.empty() && plan.heads.empty()) return softmax_of_visible(s, hidden);
  std::vector<at::Tensor> maps;
  for (int64_t head = 0; head < s.size(0); ++head) {
    const auto h = static_cast<size_t>(head);
    at::Tensor own = s[head], unseen = hidden;
    if (!plan.knockouts.empty()) hide(plan.knockouts[h], unseen);
    if (!plan.heads.empty())
      for (const ScoreEdit& edit : plan.heads[h].scores) apply(edit, own, unseen);
    at::Tensor p = softmax_of_visible(own, unseen);
    if (!plan.heads.empty())
      for (const WeightEdit& edit : plan.heads[h].weights) {
        // Rows that see no key are left alone.
        const at::Tensor sees = unseen.logical_not().any(1, true);
        p = at::where(sees, edited(edit, p, unseen), p);
      }
    maps.push_back(p);
  }
  return at::stack(maps, 0);
}

}  // namespace saccade::differentiable
