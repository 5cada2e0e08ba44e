#include "kernels/reference/attention_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saccade::reference {
namespace {

bool visible(const AttentionInput& in, int64_t head, int64_t query, int64_t key) {
  if (in.mask.causal && key > query) return false;
  if (in.mask.window > 0 && query - key >= in.mask.window) return false;
  if (in.mask.knockouts.empty()) return true;
  const std::vector<EdgeRect>& cut = in.mask.knockouts[static_cast<size_t>(head)];
  return std::none_of(cut.begin(), cut.end(), [&](const EdgeRect& r) {
    return query >= r.query_begin && query < r.query_end && key >= r.key_begin && key < r.key_end;
  });
}

// The score as attention.h defines it.
double score(const AttentionInput& in, int64_t head, int64_t row, int64_t key) {
  const int64_t kv_head = head / (in.shape.n_head / in.shape.n_kv_head);
  const float* q = in.q.data + row * in.q.token_stride + head * in.q.head_stride;
  const float* k = in.k.data + key * in.k.token_stride + kv_head * in.k.head_stride;
  double sum = 0.0;
  for (int64_t d = 0; d < in.shape.d_head; ++d) sum += static_cast<double>(q[d]) * k[d];
  double s = sum * static_cast<double>(in.scores.scale);
  if (const double cap = in.scores.softcap; cap > 0.0) s = cap * std::tanh(s / cap);
  if (!in.scores.slopes.empty())
    s -= static_cast<double>(in.scores.slopes[static_cast<size_t>(head)]) *
         static_cast<double>(std::abs(in.shape.first_query + row - key));
  return s;
}

}  // namespace

AttentionResult attention(const AttentionInput& in, int64_t sink_keys, int64_t local_width) {
  const AttentionShape& s = in.shape;
  const auto rows = static_cast<size_t>(s.n_head * s.n_query),
             columns = static_cast<size_t>(s.n_head * s.n_key);
  AttentionResult r;
  r.z.assign(static_cast<size_t>(s.n_query * s.n_head * s.d_head), 0.0);
  r.pattern.assign(rows * static_cast<size_t>(s.n_key), 0.0);
  for (auto* row : {&r.entropy, &r.max_weight, &r.sink_mass, &r.local_mass, &r.mean_distance})
    row->assign(rows, 0.0);
  r.lse.assign(rows, -std::numeric_limits<double>::infinity());
  r.max_key.assign(rows, -1);
  r.received.assign(columns, 0.0);
  r.received_max.assign(columns, 0.0);
  for (int64_t h = 0; h < s.n_head; ++h)
    for (int64_t i = 0; i < s.n_query; ++i) {
      const int64_t query = s.first_query + i, kv_head = h / (s.n_head / s.n_kv_head);
      const auto row = static_cast<size_t>(h * s.n_query + i);
      double highest = -std::numeric_limits<double>::infinity(), sum = 0.0;
      for (int64_t j = 0; j < s.n_key; ++j)
        if (visible(in, h, query, j)) highest = std::max(highest, score(in, h, i, j));
      if (std::isinf(highest) && highest < 0) continue;
      for (int64_t j = 0; j < s.n_key; ++j)
        if (visible(in, h, query, j)) sum += std::exp(score(in, h, i, j) - highest);
      r.lse[row] = highest + std::log(sum);
      for (int64_t j = 0; j < s.n_key; ++j) {
        const double p = visible(in, h, query, j) ? std::exp(score(in, h, i, j) - r.lse[row]) : 0.0;
        const auto distance = static_cast<double>(std::abs(query - j));
        r.pattern[row * static_cast<size_t>(s.n_key) + static_cast<size_t>(j)] = p;
        if (p > 0.0) r.entropy[row] -= p * std::log(p);
        if (p > r.max_weight[row]) {
          r.max_weight[row] = p;
          r.max_key[row] = static_cast<int32_t>(j);
        }
        if (j < sink_keys) r.sink_mass[row] += p;
        if (distance < static_cast<double>(local_width)) r.local_mass[row] += p;
        r.mean_distance[row] += p * distance;
        const auto column = static_cast<size_t>(h * s.n_key + j);
        r.received[column] += p;
        r.received_max[column] = std::max(r.received_max[column], p);
        const float* v = in.v.data + j * in.v.token_stride + kv_head * in.v.head_stride;
        for (int64_t d = 0; d < s.d_head; ++d)
          r.z[static_cast<size_t>((i * s.n_head + h) * s.d_head + d)] += p * v[d];
      }
    }
  return r;
}

}  // namespace saccade::reference
