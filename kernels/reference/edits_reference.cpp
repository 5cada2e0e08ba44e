#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/base/bfloat16.h"
#include "kernels/reference/attention_reference.h"

namespace saccade::reference {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

bool visible(const AttentionInput& in, int64_t head, int64_t query, int64_t key) {
  if (in.mask.causal && key > query) return false;
  if (in.mask.window > 0 && query - key >= in.mask.window) return false;
  if (in.mask.knockouts.empty()) return true;
  const std::vector<EdgeRect>& cut = in.mask.knockouts[static_cast<size_t>(head)];
  return std::none_of(cut.begin(), cut.end(), [&](const EdgeRect& r) {
    return query >= r.query_begin && query < r.query_end && key >= r.key_begin && key < r.key_end;
  });
}

double at(const HeadsView& view, int64_t token, int64_t head, int64_t x) {
  const int64_t index = token * view.token_stride + head * view.head_stride + x;
  return view.bf16 ? widen_bfloat16(view.bf16[index]) : view.data[index];
}

bool covers(const QueryRange& range, int64_t query) { return query >= range.begin && query < range.end; }

double edited(const ScoreEdit& edit, int64_t query, int64_t key, double s) {
  if (s == minus_infinity || !covers(edit.query, query)) return s;
  if (edit.kind == ScoreEditKind::stream)
    return key >= edit.sink && query - key >= edit.recent ? minus_infinity : s;
  if (!contains(edit.keys, key)) return s;
  const auto value = static_cast<double>(edit.value);
  switch (edit.kind) {
    case ScoreEditKind::temperature:
      return s / value;
    case ScoreEditKind::bias:
      return s + value;
    case ScoreEditKind::boost:
      return s + value * std::abs(s);
    case ScoreEditKind::flat:
      return 0.0;
    case ScoreEditKind::cut:
    case ScoreEditKind::stream:
      break;
  }
  return minus_infinity;
}

double sum_where(const std::vector<double>& p, const std::function<bool(int64_t)>& holds) {
  double sum = 0.0;
  for (size_t j = 0; j < p.size(); ++j)
    if (holds(static_cast<int64_t>(j))) sum += p[j];
  return sum;
}

void scale_all(std::vector<double>& p, double factor) {
  for (double& weight : p) weight *= factor;
}

void redistribute(const WeightEdit& edit, std::vector<double>& p) {
  const double from = sum_where(p, [&](int64_t j) { return contains(edit.keys, j); });
  const double to = sum_where(p, [&](int64_t j) { return contains(edit.to, j); });
  if (to == 0.0 || from + to < edit.least_mass || to / (from + to) < edit.least_share) return;
  const double gain = 1.0 + (1.0 - edit.value) * from / to;
  for (size_t j = 0; j < p.size(); ++j) {
    if (contains(edit.keys, static_cast<int64_t>(j))) p[j] *= edit.value;
    if (contains(edit.to, static_cast<int64_t>(j))) p[j] *= gain;
  }
}

// p := f(p) / sum f(p); a row that would be all 0 is left.
void reshape(std::vector<double>& p, const std::function<double(double)>& f) {
  std::vector<double> made(p.size());
  std::transform(p.begin(), p.end(), made.begin(), f);
  const double sum = sum_where(made, [](int64_t) { return true; });
  if (sum == 0.0) return;
  scale_all(made, 1.0 / sum);
  p = std::move(made);
}

void replace(const WeightEdit& edit, int64_t query, std::vector<double>& p) {
  const auto inside = [&](int64_t j) {
    return j >= edit.block_first_key && j < edit.block_first_key + edit.block_columns;
  };
  double block = 0.0;
  for (size_t j = 0; j < p.size(); ++j)
    if (const auto key = static_cast<int64_t>(j); inside(key)) {
      p[j] = edit.block[static_cast<size_t>((query - edit.query.begin) * edit.block_columns + key -
                                            edit.block_first_key)];
      block += p[j];
    }
  const double others = sum_where(p, [&](int64_t j) { return !inside(j); });
  if (!edit.rescale || others == 0.0) return;
  for (size_t j = 0; j < p.size(); ++j)
    if (!inside(static_cast<int64_t>(j))) p[j] *= std::max(0.0, 1.0 - block) / others;
}

}  // namespace

std::vector<double> scores_of_row(const AttentionInput& in, int64_t head, int64_t row) {
  const int64_t query = in.shape.first_query + row, kv_head = head / (in.shape.n_head / in.shape.n_kv_head);
  std::vector<double> scores(static_cast<size_t>(in.shape.n_key), minus_infinity);
  for (int64_t key = 0; key < in.shape.n_key; ++key) {
    if (!visible(in, head, query, key)) continue;
    double sum = 0.0;
    for (int64_t x = 0; x < in.shape.d_head; ++x) sum += at(in.q, row, head, x) * at(in.k, key, kv_head, x);
    double s = sum * static_cast<double>(in.scores.scale);
    if (const double cap = in.scores.softcap; cap > 0.0) s = cap * std::tanh(s / cap);
    if (!in.scores.slopes.empty())
      s -= static_cast<double>(in.scores.slopes[static_cast<size_t>(head)]) *
           static_cast<double>(std::abs(query - key));
    if (!in.edits.empty())
      for (const ScoreEdit& edit : in.edits[static_cast<size_t>(head)].scores)
        s = edited(edit, query, key, s);
    scores[static_cast<size_t>(key)] = s;
  }
  return scores;
}

void edit_weights(const std::vector<WeightEdit>& edits, int64_t query, const std::vector<double>& scores,
                  std::vector<double>& p) {
  const auto seen = [&](int64_t j) { return scores[static_cast<size_t>(j)] != minus_infinity; };
  double n_visible = 0.0;
  for (const double s : scores) n_visible += s != minus_infinity ? 1.0 : 0.0;
  for (const WeightEdit& edit : edits) {
    if (!covers(edit.query, query)) continue;
    const auto value = static_cast<double>(edit.value);
    switch (edit.kind) {
      case WeightEditKind::scale_columns:
        for (size_t j = 0; j < p.size(); ++j)
          if (const auto key = static_cast<int64_t>(j); contains(edit.keys, key))
            p[j] *= edit.values.empty() ? value : edit.values[static_cast<size_t>(index_in(edit.keys, key))];
        break;
      case WeightEditKind::renormalise:
        reshape(p, [](double w) { return w; });
        break;
      case WeightEditKind::redistribute:
        redistribute(edit, p);
        break;
      case WeightEditKind::identity:
        scale_all(p, 1.0 - value);
        if (query < static_cast<int64_t>(p.size())) p[static_cast<size_t>(query)] += value;
        break;
      case WeightEditKind::uniform: {
        const auto chosen = [&](int64_t j) { return contains(edit.keys, j) && seen(j); };
        const double n = sum_where(std::vector<double>(p.size(), 1.0), chosen);
        if (n == 0.0) break;
        scale_all(p, 1.0 - value);
        for (size_t j = 0; j < p.size(); ++j)
          if (chosen(static_cast<int64_t>(j))) p[j] += value / n;
        break;
      }
      case WeightEditKind::power:
        reshape(p, [&](double w) { return w > 0.0 ? std::pow(w, value) : w <= 0.0 ? 0.0 : w; });
        break;
      case WeightEditKind::sharpen:
        reshape(p, [&](double w) {
          const double above = n_visible * w - 1.0;
          return above > 0.0 ? std::pow(above, value) : above <= 0.0 ? 0.0 : above;
        });
        break;
      case WeightEditKind::replace:
        replace(edit, query, p);
        break;
    }
  }
}

}  // namespace saccade::reference
