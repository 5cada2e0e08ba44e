#include "kernels/reference/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/bfloat16.h"

namespace saccade::reference {
namespace {

double value_at(const HeadsView& v, int64_t token, int64_t head, int64_t x) {
  const int64_t index = token * v.token_stride + head * v.head_stride + x;
  return v.bf16 ? widen_bfloat16(v.bf16[index]) : v.data[index];
}

AttentionResult empty_result(const AttentionShape& s, const AttentionOutput& wanted) {
  const auto rows = static_cast<size_t>(s.n_head * s.n_query),
             columns = static_cast<size_t>(s.n_head * s.n_key);
  AttentionResult r;
  r.z.assign(static_cast<size_t>(s.n_query * s.n_head * s.d_head), 0.0);
  r.pattern.assign(rows * static_cast<size_t>(s.n_key), 0.0);
  for (auto* row : {&r.entropy, &r.max_weight, &r.sink_mass, &r.local_mass, &r.mean_distance, &r.value_mass})
    row->assign(rows, 0.0);
  r.lse.assign(rows, -std::numeric_limits<double>::infinity());
  r.max_key.assign(rows, -1);
  r.received.assign(columns, 0.0);
  r.received_max.assign(columns, 0.0);
  r.key_masses.assign(wanted.key_masses.size(), std::vector<double>(rows, 0.0));
  if (const int64_t b = wanted.block_size; b > 0) {
    const int64_t block_rows = (s.n_query + b - 1) / b, block_columns = (s.n_key + b - 1) / b;
    r.block_max.assign(static_cast<size_t>(s.n_head * block_rows * block_columns), 0.0);
    r.block_mass = r.block_max;
    r.received_blocks.assign(static_cast<size_t>(s.n_head * block_rows * s.n_key), 0.0);
  }
  return r;
}

// [key]; lse is -inf where the row sees nothing.
std::vector<double> weights_of_row(const AttentionInput& in, int64_t head, int64_t row, double& lse) {
  const std::vector<double> scores = scores_of_row(in, head, row);
  std::vector<double> p(scores.size(), 0.0);
  double highest = -std::numeric_limits<double>::infinity(), sum = 0.0;
  for (const double s : scores) highest = std::max(highest, s);
  lse = highest;
  if (std::isinf(highest) && highest < 0) return p;
  for (const double s : scores) sum += std::exp(s - highest);
  lse = highest + std::log(sum);
  for (size_t j = 0; j < p.size(); ++j) p[j] = std::exp(scores[j] - lse);
  if (!in.edits.empty())
    edit_weights(in.edits[static_cast<size_t>(head)].weights, in.shape.first_query + row, scores, p);
  return p;
}

void add_cell(const AttentionInput& in, const AttentionOutput& wanted, int64_t h, int64_t i, int64_t j,
              double p, AttentionResult& r) {
  const AttentionShape& s = in.shape;
  const auto row = static_cast<size_t>(h * s.n_query + i), column = static_cast<size_t>(h * s.n_key + j);
  const auto distance = static_cast<double>(std::abs(s.first_query + i - j));
  r.pattern[row * static_cast<size_t>(s.n_key) + static_cast<size_t>(j)] = p;
  if (p > 0.0) r.entropy[row] -= p * std::log(p);
  if (p > r.max_weight[row]) {
    r.max_weight[row] = p;
    r.max_key[row] = static_cast<int32_t>(j);
  }
  if (j < wanted.sink_keys) r.sink_mass[row] += p;
  if (distance < static_cast<double>(wanted.local_width)) r.local_mass[row] += p;
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
  double norm = 0.0;
  for (int64_t d = 0; d < s.d_head && p != 0.0; ++d) {
    const double v = value_at(in.v, j, kv_head, d);
    r.z[static_cast<size_t>((i * s.n_head + h) * s.d_head + d)] += p * v;
    norm += v * v;
  }
  r.value_mass[row] += p * std::sqrt(norm);
}

void edit_output(const AttentionInput& in, int64_t h, int64_t i, double* z) {
  const int64_t query = in.shape.first_query + i;
  for (const OutputEdit& edit : in.edits[static_cast<size_t>(h)].outputs) {
    if (query < edit.query.begin || query >= edit.query.end) continue;
    for (int64_t d = 0; d < in.shape.d_head; ++d) {
      const auto x = static_cast<size_t>(d);
      const double scale = static_cast<double>(edit.factor) * (edit.scale.empty() ? 1.0 : edit.scale[x]);
      z[d] = scale * z[d] + (edit.offset.empty() ? 0.0 : edit.offset[x]);
    }
  }
}

}  // namespace

AttentionResult attention(const AttentionInput& in, const AttentionOutput& wanted) {
  const AttentionShape& s = in.shape;
  AttentionResult r = empty_result(s, wanted);
  for (int64_t h = 0; h < s.n_head; ++h)
    for (int64_t i = 0; i < s.n_query; ++i) {
      double& lse = r.lse[static_cast<size_t>(h * s.n_query + i)];
      const std::vector<double> p = weights_of_row(in, h, i, lse);
      if (std::isinf(lse) && lse < 0) continue;
      for (int64_t j = 0; j < s.n_key; ++j) add_cell(in, wanted, h, i, j, p[static_cast<size_t>(j)], r);
      if (!in.edits.empty()) edit_output(in, h, i, r.z.data() + (i * s.n_head + h) * s.d_head);
    }
  return r;
}

}  // namespace saccade::reference
