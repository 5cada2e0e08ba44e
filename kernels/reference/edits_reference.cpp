#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>

#include "kernels/base/bfloat16.h"
#include "kernels/reference/attention_reference.h"

namespace saccade::reference {
namespace {

template <class Real>
constexpr Real minus_infinity = -std::numeric_limits<Real>::infinity();

bool visible(const AttentionInput& in, int64_t head, int64_t query, int64_t key) {
  const bool prefix = query < in.mask.prefix && key < in.mask.prefix;
  if (!prefix && in.mask.causal && key > query) return false;
  if (!prefix && in.mask.window > 0 && query - key >= in.mask.window) return false;
  if (in.mask.knockouts.empty()) return true;
  const std::vector<EdgeRect>& cut = in.mask.knockouts[static_cast<size_t>(head)];
  return std::none_of(cut.begin(), cut.end(), [&](const EdgeRect& r) {
    return query >= r.query_begin && query < r.query_end && key >= r.key_begin && key < r.key_end;
  });
}

template <class Real>
Real at(const HeadsView& view, int64_t token, int64_t head, int64_t x) {
  const int64_t index = token * view.token_stride + head * view.head_stride + x;
  return view.bf16 ? widen_bfloat16(view.bf16[index]) : view.data[index];
}

bool covers(const QueryRange& range, int64_t query) { return query >= range.begin && query < range.end; }

template <class Real>
Real edited(const ScoreEdit& edit, int64_t query, int64_t key, Real s) {
  if (s == minus_infinity<Real> || !covers(edit.query, query)) return s;
  if (edit.kind == ScoreEditKind::stream)
    return key >= edit.sink && query - key >= edit.recent ? minus_infinity<Real> : s;
  if (!contains(edit.keys, key)) return s;
  const auto value = static_cast<Real>(edit.value);
  switch (edit.kind) {
    case ScoreEditKind::temperature:
      return s / value;
    case ScoreEditKind::bias:
      return s + value;
    case ScoreEditKind::boost:
      return s + value * std::abs(s);
    case ScoreEditKind::flat:
      return Real{0};
    case ScoreEditKind::cut:
    case ScoreEditKind::stream:
      break;
  }
  return minus_infinity<Real>;
}

template <class Real>
Real sum_where(const std::vector<Real>& p, const std::function<bool(int64_t)>& holds) {
  Real sum = Real{0};
  for (size_t j = 0; j < p.size(); ++j)
    if (holds(static_cast<int64_t>(j))) sum += p[j];
  return sum;
}

template <class Real>
void scale_all(std::vector<Real>& p, std::type_identity_t<Real> factor) {
  for (Real& weight : p) weight *= factor;
}

template <class Real>
void redistribute(const WeightEdit& edit, std::vector<Real>& p) {
  const Real from = sum_where(p, [&](int64_t j) { return contains(edit.keys, j); });
  const Real to = sum_where(p, [&](int64_t j) { return contains(edit.to, j); });
  const Real counted =
      edit.among.empty() ? from + to : sum_where(p, [&](int64_t j) { return contains(edit.among, j); });
  if (to == Real{0} || counted < edit.least_mass || to / counted < edit.least_share) return;
  const Real gain = Real{1} + (Real{1} - edit.value) * from / to;
  for (size_t j = 0; j < p.size(); ++j) {
    if (contains(edit.keys, static_cast<int64_t>(j))) p[j] *= edit.value;
    if (contains(edit.to, static_cast<int64_t>(j))) p[j] *= gain;
  }
}

// p := f(p) / sum f(p); a row that would be all 0 is left.
template <class Real>
void reshape(std::vector<Real>& p, const std::type_identity_t<std::function<Real(Real)>>& f) {
  std::vector<Real> made(p.size());
  std::transform(p.begin(), p.end(), made.begin(), f);
  const Real sum = sum_where(made, [](int64_t) { return true; });
  if (sum == Real{0}) return;
  scale_all(made, Real{1} / sum);
  p = std::move(made);
}

template <class Real>
void replace(const WeightEdit& edit, int64_t query, std::vector<Real>& p) {
  const auto inside = [&](int64_t j) {
    return j >= edit.block_first_key && j < edit.block_first_key + edit.block_columns;
  };
  Real block = Real{0};
  for (size_t j = 0; j < p.size(); ++j)
    if (const auto key = static_cast<int64_t>(j); inside(key)) {
      p[j] = edit.block[static_cast<size_t>((query - edit.query.begin) * edit.block_columns + key -
                                            edit.block_first_key)];
      block += p[j];
    }
  const Real others = sum_where(p, [&](int64_t j) { return !inside(j); });
  if (!edit.rescale || others == Real{0}) return;
  for (size_t j = 0; j < p.size(); ++j)
    if (!inside(static_cast<int64_t>(j))) p[j] *= std::max(Real{0}, Real{1} - block) / others;
}

}  // namespace

template <class Real>
std::vector<Real> scores_of_row(const AttentionInput& in, int64_t head, int64_t row) {
  const int64_t query = in.shape.first_query + row, kv_head = head / (in.shape.n_head / in.shape.n_kv_head);
  std::vector<Real> scores(static_cast<size_t>(in.shape.n_key), minus_infinity<Real>);
  for (int64_t key = 0; key < in.shape.n_key; ++key) {
    if (!visible(in, head, query, key)) continue;
    Real sum = Real{0};
    for (int64_t x = 0; x < in.shape.d_head; ++x)
      sum += at<Real>(in.q, row, head, x) * at<Real>(in.k, key, kv_head, x);
    Real s = sum * static_cast<Real>(in.scores.scale);
    if (const Real cap = in.scores.softcap; cap > Real{0}) s = cap * std::tanh(s / cap);
    if (!in.scores.slopes.empty())
      s -= static_cast<Real>(in.scores.slopes[static_cast<size_t>(head)]) *
           static_cast<Real>(std::abs(query - key));
    if (!in.edits.empty())
      for (const ScoreEdit& edit : in.edits[static_cast<size_t>(head)].scores)
        s = edited(edit, query, key, s);
    scores[static_cast<size_t>(key)] = s;
  }
  return scores;
}

template <class Real>
void edit_weights(const std::vector<WeightEdit>& edits, int64_t query, const std::vector<Real>& scores,
                  std::vector<Real>& p) {
  const auto seen = [&](int64_t j) { return scores[static_cast<size_t>(j)] != minus_infinity<Real>; };
  Real n_visible = Real{0};
  for (const Real s : scores) n_visible += s != minus_infinity<Real> ? Real{1} : Real{0};
  for (const WeightEdit& edit : edits) {
    if (!covers(edit.query, query)) continue;
    const auto value = static_cast<Real>(edit.value);
    switch (edit.kind) {
      case WeightEditKind::scale_columns:
        for (size_t j = 0; j < p.size(); ++j)
          if (const auto key = static_cast<int64_t>(j); contains(edit.keys, key))
            p[j] *= edit.values.empty() ? value : edit.values[static_cast<size_t>(index_in(edit.keys, key))];
        break;
      case WeightEditKind::renormalise:
        reshape(p, [](Real w) { return w; });
        break;
      case WeightEditKind::redistribute:
        redistribute(edit, p);
        break;
      case WeightEditKind::identity:
        scale_all(p, Real{1} - value);
        if (query < static_cast<int64_t>(p.size())) p[static_cast<size_t>(query)] += value;
        break;
      case WeightEditKind::uniform: {
        const auto chosen = [&](int64_t j) { return contains(edit.keys, j) && seen(j); };
        const Real n = sum_where(std::vector<Real>(p.size(), Real{1}), chosen);
        if (n == Real{0}) break;
        scale_all(p, Real{1} - value);
        for (size_t j = 0; j < p.size(); ++j)
          if (chosen(static_cast<int64_t>(j))) p[j] += value / n;
        break;
      }
      case WeightEditKind::power:
        reshape(p, [&](Real w) { return w > Real{0} ? std::pow(w, value) : w <= Real{0} ? Real{0} : w; });
        break;
      case WeightEditKind::sharpen:
        reshape(p, [&](Real w) {
          const Real above = n_visible * w - Real{1};
          return above > Real{0} ? std::pow(above, value) : above <= Real{0} ? Real{0} : above;
        });
        break;
      case WeightEditKind::replace:
        replace(edit, query, p);
        break;
    }
  }
}

template std::vector<double> scores_of_row<double>(const AttentionInput&, int64_t, int64_t);
template std::vector<float> scores_of_row<float>(const AttentionInput&, int64_t, int64_t);
template void edit_weights<double>(const std::vector<WeightEdit>&, int64_t, const std::vector<double>&,
                                   std::vector<double>&);
template void edit_weights<float>(const std::vector<WeightEdit>&, int64_t, const std::vector<float>&,
                                  std::vector<float>&);

}  // namespace saccade::reference
