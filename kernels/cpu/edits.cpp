#include "kernels/cpu/edits.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saccade::cpu {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

bool covers(const QueryRange& range, int64_t query) { return query >= range.begin && query < range.end; }

// work(j, n): the part's cell j is the n-th key of the set.
template <class Work>
void for_each_cell(const KeySet& keys, const RowPart& part, const Work& work) {
  int64_t before = 0;
  for (const KeyRange& range : keys) {
    const int64_t begin = std::max<int64_t>(range.begin - part.first, 0),
                  end = std::min(range.end - part.first, part.count);
    for (int64_t j = begin; j < end; ++j) work(j, before + part.first + j - range.begin);
    before += range.end - range.begin;
  }
}

template <class Change>
void change_scores(const KeySet& keys, const RowPart& s, const Change& change) {
  for_each_cell(keys, s, [&](int64_t j, int64_t) {
    if (s.cells[j] != minus_infinity) s.cells[j] = change(s.cells[j]);
  });
}

// What a weight edit multiplies by or adds: row factors, as kernels/map_edits.h lists them.
struct Factors {
  float a = 1.0f, b = 1.0f;
};

Factors no_change(WeightEditKind kind) {
  switch (kind) {
    case WeightEditKind::uniform:
      return {1.0f, 0.0f};
    case WeightEditKind::power:
    case WeightEditKind::sharpen:
      return {0.0f, 0.0f};
    case WeightEditKind::scale_columns:
    case WeightEditKind::renormalise:
    case WeightEditKind::redistribute:
    case WeightEditKind::identity:
    case WeightEditKind::replace:
      break;
  }
  return {1.0f, 1.0f};
}

double sum_over(const KeySet& keys, const RowPart& p) {
  double sum = 0.0;
  for_each_cell(keys, p, [&](int64_t j, int64_t) { sum += p.cells[j]; });
  return sum;
}

double sum_of(const RowPart& p) {
  double sum = 0.0;
  for (int64_t j = 0; j < p.count; ++j) sum += p.cells[j];
  return sum;
}

Factors measure_redistribution(const WeightEdit& edit, const RowPart& p) {
  const double from = sum_over(edit.keys, p), to = sum_over(edit.to, p);
  const double counted = edit.among.empty() ? from + to : sum_over(edit.among, p);
  if (to == 0.0 || counted < edit.least_mass || to / counted < edit.least_share) return no_change(edit.kind);
  return {edit.value, static_cast<float>(1.0 + (1.0 - edit.value) * from / to)};
}

Factors measure_power(const WeightEdit& edit, const RowPart& p) {
  const float highest = std::max(0.0f, *std::max_element(p.cells, p.cells + p.count));
  const float a = 1.0f / highest;
  if (highest == 0.0f || std::isinf(a)) return no_change(edit.kind);
  double sum = 0.0;
  for (int64_t j = 0; j < p.count; ++j)
    if (!(p.cells[j] <= 0.0f)) sum += std::pow(static_cast<double>(a * p.cells[j]), edit.value);
  return {a, static_cast<float>(1.0 / sum)};
}

// (N p - 1)^value overflows float32 for long rows and large exponents: the largest is divided out first.
Factors measure_sharpening(const WeightEdit& edit, const RowPart& p, const uint8_t* seen) {
  const auto n = static_cast<float>(std::count(seen, seen + p.count, uint8_t{1}));
  double highest = 0.0;
  for (int64_t j = 0; j < p.count; ++j)
    if (const double above = static_cast<double>(n * p.cells[j] - 1.0f); !(above <= highest)) highest = above;
  if (highest == 0.0) return no_change(edit.kind);
  const auto value = static_cast<double>(edit.value);
  double sum = 0.0;
  for (int64_t j = 0; j < p.count; ++j)
    if (const double above = static_cast<double>(n * p.cells[j] - 1.0f); !(above <= 0.0))
      sum += std::pow(above / highest, value);
  return {n, static_cast<float>(std::pow(sum, -1.0 / value) / highest)};
}

const float* row_of_block(const WeightEdit& edit, int64_t query) {
  return edit.block.data() + (query - edit.query.begin) * edit.block_columns;
}

Factors measure_replacement(const WeightEdit& edit, const RowPart& p) {
  const int64_t begin = std::clamp<int64_t>(edit.block_first_key, 0, p.count),
                end = std::clamp<int64_t>(edit.block_first_key + edit.block_columns, begin, p.count);
  const float* block = row_of_block(edit, p.query) - edit.block_first_key;
  double inside = 0.0, others = 0.0;
  for (int64_t j = begin; j < end; ++j) inside += block[j];
  for (int64_t j = 0; j < begin; ++j) others += p.cells[j];
  for (int64_t j = end; j < p.count; ++j) others += p.cells[j];
  if (!edit.rescale || others == 0.0) return no_change(edit.kind);
  return {static_cast<float>(std::max(0.0, 1.0 - inside) / others), 1.0f};
}

Factors measure(const WeightEdit& edit, const RowPart& p, const uint8_t* seen) {
  switch (edit.kind) {
    case WeightEditKind::renormalise: {
      const double sum = sum_of(p);
      return sum == 0.0 ? no_change(edit.kind) : Factors{static_cast<float>(1.0 / sum), 1.0f};
    }
    case WeightEditKind::redistribute:
      return measure_redistribution(edit, p);
    case WeightEditKind::uniform: {
      int64_t n = 0;
      for_each_cell(edit.keys, p, [&](int64_t j, int64_t) { n += seen[j]; });
      return n == 0 ? no_change(edit.kind) : Factors{1.0f - edit.value, edit.value / static_cast<float>(n)};
    }
    case WeightEditKind::power:
      return measure_power(edit, p);
    case WeightEditKind::sharpen:
      return measure_sharpening(edit, p, seen);
    case WeightEditKind::replace:
      return measure_replacement(edit, p);
    case WeightEditKind::scale_columns:
    case WeightEditKind::identity:
      break;
  }
  return no_change(edit.kind);
}

void multiply(const RowPart& p, float factor) {
  for (int64_t j = 0; j < p.count; ++j) p.cells[j] *= factor;
}

void replace(const WeightEdit& edit, const Factors& f, const RowPart& p) {
  const int64_t begin = std::clamp<int64_t>(edit.block_first_key - p.first, 0, p.count),
                end =
                    std::clamp<int64_t>(edit.block_first_key + edit.block_columns - p.first, begin, p.count);
  multiply({p.query, p.first, begin, p.cells}, f.a);
  multiply({p.query, p.first + end, p.count - end, p.cells + end}, f.a);
  if (begin < end)
    std::copy_n(row_of_block(edit, p.query) + p.first + begin - edit.block_first_key, end - begin,
                p.cells + begin);
}

// NaN stays NaN.
float power_of(float base, float exponent) { return base <= 0.0f ? 0.0f : std::pow(base, exponent); }

void apply(const WeightEdit& edit, const Factors& f, const RowPart& p, const uint8_t* seen) {
  switch (edit.kind) {
    case WeightEditKind::scale_columns:
      for_each_cell(edit.keys, p, [&](int64_t j, int64_t n) {
        p.cells[j] *= edit.values.empty() ? edit.value : edit.values[static_cast<size_t>(n)];
      });
      break;
    case WeightEditKind::renormalise:
      multiply(p, f.a);
      break;
    case WeightEditKind::redistribute:
      for_each_cell(edit.keys, p, [&](int64_t j, int64_t) { p.cells[j] *= f.a; });
      for_each_cell(edit.to, p, [&](int64_t j, int64_t) { p.cells[j] *= f.b; });
      break;
    case WeightEditKind::identity:
      multiply(p, 1.0f - edit.value);
      if (p.query >= p.first && p.query < p.first + p.count) p.cells[p.query - p.first] += edit.value;
      break;
    case WeightEditKind::uniform:
      multiply(p, f.a);
      for_each_cell(edit.keys, p, [&](int64_t j, int64_t) { p.cells[j] += seen[j] ? f.b : 0.0f; });
      break;
    case WeightEditKind::power:
      for (int64_t j = 0; j < p.count && f.a != 0.0f; ++j)
        p.cells[j] = f.b * power_of(f.a * p.cells[j], edit.value);
      break;
    case WeightEditKind::sharpen:
      for (int64_t j = 0; j < p.count && f.b != 0.0f; ++j)
        p.cells[j] = power_of(f.b * (f.a * p.cells[j] - 1.0f), edit.value);
      break;
    case WeightEditKind::replace:
      replace(edit, f, p);
      break;
  }
}

}  // namespace

void edit_scores(const std::vector<ScoreEdit>& edits, const RowPart& s) {
  for (const ScoreEdit& edit : edits) {
    if (!covers(edit.query, s.query)) continue;
    const float value = edit.value;
    switch (edit.kind) {
      case ScoreEditKind::temperature:
        change_scores(edit.keys, s, [value](float x) { return x / value; });
        break;
      case ScoreEditKind::bias:
        change_scores(edit.keys, s, [value](float x) { return x + value; });
        break;
      case ScoreEditKind::boost:
        change_scores(edit.keys, s, [value](float x) { return x + value * std::abs(x); });
        break;
      case ScoreEditKind::cut:
        change_scores(edit.keys, s, [](float) { return minus_infinity; });
        break;
      case ScoreEditKind::stream:
        change_scores({{edit.sink, s.query - edit.recent + 1}}, s, [](float) { return minus_infinity; });
        break;
      case ScoreEditKind::flat:
        change_scores(edit.keys, s, [](float) { return 0.0f; });
        break;
    }
  }
}

void edit_weights(const std::vector<WeightEdit>& edits, const RowPart& p, const uint8_t* seen, float* factors,
                  int64_t factor_stride) {
  for (const WeightEdit& edit : edits) {
    const bool covered = covers(edit.query, p.query);
    const Factors f = covered ? measure(edit, p, seen) : no_change(edit.kind);
    if (covered) apply(edit, f, p, seen);
    if (!factors) continue;
    factors[0] = f.a;
    factors[factor_stride] = f.b;
    factors += 2 * factor_stride;
  }
}

void repeat_weight_edits(const std::vector<WeightEdit>& edits, const RowPart& p, const uint8_t* seen,
                         const float* factors, int64_t factor_stride) {
  for (const WeightEdit& edit : edits) {
    Factors f;
    if (factors) {
      f = {factors[0], factors[factor_stride]};
      factors += 2 * factor_stride;
    }
    if (covers(edit.query, p.query)) apply(edit, f, p, seen);
  }
}

void leave_weights(const std::vector<WeightEdit>& edits, float* factors, int64_t factor_stride) {
  if (!factors) return;
  for (const WeightEdit& edit : edits) {
    const Factors f = no_change(edit.kind);
    factors[0] = f.a;
    factors[factor_stride] = f.b;
    factors += 2 * factor_stride;
  }
}

bool needs_factors(const std::vector<WeightEdit>& edits) {
  return std::any_of(edits.begin(), edits.end(), [](const WeightEdit& edit) {
    return edit.kind != WeightEditKind::scale_columns && edit.kind != WeightEditKind::identity;
  });
}

void edit_output(const std::vector<OutputEdit>& edits, int64_t query, int64_t d_head, float* z) {
  for (const OutputEdit& edit : edits) {
    if (!covers(edit.query, query)) continue;
    for (int64_t x = 0; x < d_head; ++x) {
      const auto at = static_cast<size_t>(x);
      const float scale = edit.scale.empty() ? edit.factor : edit.factor * edit.scale[at];
      z[x] = scale * z[x] + (edit.offset.empty() ? 0.0f : edit.offset[at]);
    }
  }
}

int64_t end_of_replaced(const std::vector<WeightEdit>& edits) {
  int64_t end = 0;
  for (const WeightEdit& edit : edits)
    if (edit.kind == WeightEditKind::replace) end = std::max(end, edit.block_first_key + edit.block_columns);
  return end;
}

}  // namespace saccade::cpu
