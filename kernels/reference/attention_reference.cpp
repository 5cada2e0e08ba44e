#include "kernels/reference/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/bfloat16.h"

namespace saccade::reference {
namespace {

template <class Real>
Real value_at(const HeadsView& v, int64_t token, int64_t head, int64_t x) {
  const int64_t index = token * v.token_stride + head * v.head_stride + x;
  return v.bf16 ? widen_bfloat16(v.bf16[index]) : v.data[index];
}

template <class Real>
BasicResult<Real> empty_result(const AttentionShape& s, const AttentionOutput& wanted) {
  const auto rows = static_cast<size_t>(s.n_head * s.n_query),
             columns = static_cast<size_t>(s.n_head * s.n_key);
  BasicResult<Real> r;
  r.z.assign(static_cast<size_t>(s.n_query * s.n_head * s.d_head), Real{0});
  r.pattern.assign(rows * static_cast<size_t>(s.n_key), Real{0});
  for (auto* row : {&r.entropy, &r.max_weight, &r.sink_mass, &r.local_mass, &r.mean_distance, &r.value_mass})
    row->assign(rows, Real{0});
  r.lse.assign(rows, -std::numeric_limits<Real>::infinity());
  r.max_key.assign(rows, -1);
  r.received.assign(columns, Real{0});
  r.received_max.assign(columns, Real{0});
  r.key_masses.assign(wanted.key_masses.size(), std::vector<Real>(rows, Real{0}));
  if (const int64_t b = wanted.block_size; b > 0) {
    const int64_t block_rows = (s.n_query + b - 1) / b, block_columns = (s.n_key + b - 1) / b;
    r.block_max.assign(static_cast<size_t>(s.n_head * block_rows * block_columns), Real{0});
    r.block_mass = r.block_max;
    r.received_blocks.assign(static_cast<size_t>(s.n_head * block_rows * s.n_key), Real{0});
  }
  return r;
}

// [key]; lse is -inf where the row sees nothing.
template <class Real>
std::vector<Real> weights_of_row(const AttentionInput& in, int64_t head, int64_t row, Real& lse) {
  const std::vector<Real> scores = scores_of_row<Real>(in, head, row);
  std::vector<Real> p(scores.size(), Real{0});
  Real highest = -std::numeric_limits<Real>::infinity(), sum = Real{0};
  for (const Real s : scores) highest = std::max(highest, s);
  lse = highest;
  if (std::isinf(highest) && highest < 0) return p;
  for (const Real s : scores) sum += std::exp(s - highest);
  lse = highest + std::log(sum);
  for (size_t j = 0; j < p.size(); ++j) p[j] = std::exp(scores[j] - lse);
  if (!in.edits.empty())
    edit_weights(in.edits[static_cast<size_t>(head)].weights, in.shape.first_query + row, scores, p);
  return p;
}

template <class Real>
void add_cell(const AttentionInput& in, const AttentionOutput& wanted, int64_t h, int64_t i, int64_t j,
              Real p, BasicResult<Real>& r) {
  const AttentionShape& s = in.shape;
  const auto row = static_cast<size_t>(h * s.n_query + i), column = static_cast<size_t>(h * s.n_key + j);
  const auto distance = static_cast<Real>(std::abs(s.first_query + i - j));
  r.pattern[row * static_cast<size_t>(s.n_key) + static_cast<size_t>(j)] = p;
  if (p > Real{0}) r.entropy[row] -= p * std::log(p);
  if (p > r.max_weight[row]) {
    r.max_weight[row] = p;
    r.max_key[row] = static_cast<int32_t>(j);
  }
  if (j < wanted.sink_keys) r.sink_mass[row] += p;
  if (distance < static_cast<Real>(wanted.local_width)) r.local_mass[row] += p;
  r.mean_distance[row] += p * distance;
  for (size_t n = 0; n < wanted.key_masses.size(); ++n)
    if (contains(wanted.key_masses[n].keys, j)) r.key_masses[n][row] += p;
  r.received[column] += p;
  r.received_max[column] = std::max(r.received_max[column], p);
  if (const int64_t b = wanted.block_size; b > 0) {
    const int64_t block_row = h * ((s.n_query + b - 1) / b) + i / b;
    const auto block = static_cast<size_t>(block_row * ((s.n_key + b - 1) / b) + j / b);
    r.block_max[block] = std::max(r.block_max[block], p);
    r.block_mass[block] += p;
    r.received_blocks[static_cast<size_t>(block_row * s.n_key + j)] += p;
  }
  const int64_t kv_head = h / (s.n_head / s.n_kv_head);
  Real norm = Real{0};
  for (int64_t d = 0; d < s.d_head && p != Real{0}; ++d) {
    const Real v = value_at<Real>(in.v, j, kv_head, d);
    r.z[static_cast<size_t>((i * s.n_head + h) * s.d_head + d)] += p * v;
    norm += v * v;
  }
  r.value_mass[row] += p * std::sqrt(norm);
}

template <class Real>
void edit_output(const AttentionInput& in, int64_t h, int64_t i, Real* z) {
  const int64_t query = in.shape.first_query + i;
  for (const OutputEdit& edit : in.edits[static_cast<size_t>(h)].outputs) {
    if (query < edit.query.begin || query >= edit.query.end) continue;
    for (int64_t d = 0; d < in.shape.d_head; ++d) {
      const auto x = static_cast<size_t>(d);
      const Real scale = static_cast<Real>(edit.factor) * (edit.scale.empty() ? Real{1} : edit.scale[x]);
      z[d] = scale * z[d] + (edit.offset.empty() ? Real{0} : edit.offset[x]);
    }
  }
}

}  // namespace

template <class Real>
BasicResult<Real> attention(const AttentionInput& in, const AttentionOutput& wanted) {
  const AttentionShape& s = in.shape;
  BasicResult<Real> r = empty_result<Real>(s, wanted);
  for (int64_t h = 0; h < s.n_head; ++h)
    for (int64_t i = 0; i < s.n_query; ++i) {
      Real& lse = r.lse[static_cast<size_t>(h * s.n_query + i)];
      const std::vector<Real> p = weights_of_row<Real>(in, h, i, lse);
      if (std::isinf(lse) && lse < 0) continue;
      for (int64_t j = 0; j < s.n_key; ++j) add_cell(in, wanted, h, i, j, p[static_cast<size_t>(j)], r);
      if (!in.edits.empty()) edit_output(in, h, i, r.z.data() + (i * s.n_head + h) * s.d_head);
    }
  return r;
}

template BasicResult<double> attention<double>(const AttentionInput&, const AttentionOutput&);
template BasicResult<float> attention<float>(const AttentionInput&, const AttentionOutput&);

}  // namespace saccade::reference
