#include "core/run/order_free.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace saccade::order_free {

int64_t segment_of(Bounds bounds, int64_t position) {
  if (position < bounds.front() || position >= bounds.back()) return -1;
  return std::upper_bound(bounds.begin(), bounds.end(), position) - bounds.begin() - 1;
}

int64_t initial_position(Bounds bounds, int64_t position) {
  const int64_t segment = segment_of(bounds, position);
  if (segment < 0) return position;
  return position + bounds.back() - bounds[static_cast<size_t>(segment) + 1];
}

std::vector<int64_t> shifts_of(Bounds bounds, std::span<const double> importance, int64_t own) {
  std::vector<size_t> order(importance.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto rank = [&](size_t segment) {
    return static_cast<int64_t>(segment) == own ? std::numeric_limits<double>::infinity()
                                                : importance[segment];
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rank(a) > rank(b); });
  std::vector<int64_t> shifts(importance.size());
  int64_t before = 0;
  for (const size_t segment : order) {
    shifts[segment] = before;
    before += bounds[segment + 1] - bounds[segment];
  }
  return shifts;
}

namespace {

// Softmax over the segments' tokens but those of `own`, summed by segment; added to `sums`.
void add_masses(Bounds bounds, const float* q, const HostTensor& k, int64_t kv_head, double scale,
                int64_t own, std::span<double> sums) {
  const int64_t heads = k.shape()[1], d = k.shape()[2];
  const int64_t first = bounds.front(), count = bounds.back() - first;
  std::vector<double> scores(static_cast<size_t>(count), -std::numeric_limits<double>::infinity());
  for (int64_t j = 0; j < count; ++j) {
    if (own >= 0 && segment_of(bounds, first + j) == own) continue;
    const float* key = k.data() + ((first + j) * heads + kv_head) * d;
    double sum = 0.0;
    for (int64_t c = 0; c < d; ++c) sum += static_cast<double>(q[c]) * key[c];
    scores[static_cast<size_t>(j)] = scale * sum;
  }
  const double highest = *std::max_element(scores.begin(), scores.end());
  if (!std::isfinite(highest)) return;
  double total = 0.0;
  for (double& score : scores) total += score = std::exp(score - highest);
  for (int64_t s = 0; s < n_segment(bounds); ++s) {
    const auto at = static_cast<size_t>(s);
    double mass = 0.0;
    for (int64_t j = bounds[at]; j < bounds[at + 1]; ++j) mass += scores[static_cast<size_t>(j - first)];
    sums[at] += mass / total;
  }
}

std::vector<double> per_token(Bounds bounds, std::vector<double> sums) {
  for (size_t s = 0; s < sums.size(); ++s) sums[s] /= static_cast<double>(bounds[s + 1] - bounds[s]);
  return sums;
}

}  // namespace

HostTensor segment_shifts(Bounds bounds, const HostTensor& q, const HostTensor& k, int64_t first_row,
                          double scale) {
  const int64_t rows = q.shape()[0], heads = q.shape()[1], d = q.shape()[2], segments = n_segment(bounds);
  const int64_t group = heads / k.shape()[1];
  HostTensor shifts({heads, rows, segments});
  const auto put = [&](int64_t head, int64_t row, const std::vector<int64_t>& of_row) {
    float* to = shifts.mutable_values().data() + (head * rows + row) * segments;
    std::transform(of_row.begin(), of_row.end(), to, [](int64_t shift) { return static_cast<float>(shift); });
  };
  const auto query = [&](int64_t head, int64_t row) { return q.data() + (row * heads + head) * d; };
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t own = 0; own < segments; ++own) {
      const auto at = static_cast<size_t>(own);
      const int64_t begin = std::max<int64_t>(0, bounds[at] - first_row);
      const int64_t end = std::min(rows, bounds[at + 1] - first_row);
      if (begin >= end) continue;
      std::vector<double> sums(static_cast<size_t>(segments));
      for (int64_t row = begin; row < end; ++row)
        add_masses(bounds, query(head, row), k, head / group, scale, own, sums);
      const std::vector<int64_t> of_segment = shifts_of(bounds, per_token(bounds, std::move(sums)), own);
      for (int64_t row = begin; row < end; ++row) put(head, row, of_segment);
    }
    for (int64_t row = std::max<int64_t>(0, bounds.back() - first_row); row < rows; ++row) {
      std::vector<double> sums(static_cast<size_t>(segments));
      add_masses(bounds, query(head, row), k, head / group, scale, -1, sums);
      put(head, row, shifts_of(bounds, per_token(bounds, std::move(sums))));
    }
  }
  return shifts;
}

RotaryTable shift_table(const RotarySpec& rotary, Bounds bounds) {
  RotarySpec plain = rotary;
  plain.attention_factor = 1.0;
  RotaryTable table(std::move(plain));
  table.extend(bounds.back() - bounds.front() + 1);
  return table;
}

HostTensor slot_queries(const HostTensor& q, const HostTensor& shifts, const RotaryTable* table,
                        int64_t first_head, int64_t heads) {
  const int64_t rows = q.shape()[0], all_heads = q.shape()[1], d = q.shape()[2];
  const int64_t segments = shifts.shape()[2];
  HostTensor slots({rows, heads, (1 + segments) * d}, false);
  float* out = slots.mutable_values().data();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t head = first_head; head < first_head + heads; ++head) {
      const float* from = q.data() + (row * all_heads + head) * d;
      const float* shift = shifts.data() + (head * rows + row) * segments;
      out = std::copy_n(from, d, out);
      for (int64_t s = 0; s < segments; ++s, out += d) {
        if (table != nullptr)
          table->rotate(from, out, d, static_cast<int64_t>(shift[s]));
        else
          std::copy_n(from, d, out);
      }
    }
  return slots;
}

HostTensor slot_keys(Bounds bounds, const HostTensor& k, int64_t first_head, int64_t heads) {
  const int64_t keys = k.shape()[0], all_heads = k.shape()[1], d = k.shape()[2];
  const int64_t wide = (1 + n_segment(bounds)) * d;
  HostTensor slots({keys, heads, wide});
  float* out = slots.mutable_values().data();
  for (int64_t key = 0; key < keys; ++key)
    for (int64_t head = first_head; head < first_head + heads; ++head, out += wide)
      std::copy_n(k.data() + (key * all_heads + head) * d, d, out + (segment_of(bounds, key) + 1) * d);
  return slots;
}

std::vector<EdgeRect> hidden(Bounds bounds, int64_t first_row, int64_t rows, int64_t n_key) {
  std::vector<EdgeRect> rects;
  const auto hide = [&](int64_t row, int64_t begin, int64_t end) {
    end = std::min(end, n_key);
    if (begin < end) rects.push_back({row, row + 1, begin, end});
  };
  for (int64_t row = first_row; row < first_row + rows; ++row) {
    const int64_t segment = segment_of(bounds, row);
    if (segment < 0) {
      hide(row, row + 1, n_key);
    } else {
      hide(row, row + 1, bounds[static_cast<size_t>(segment) + 1]);
      hide(row, bounds.back(), n_key);
    }
  }
  return rects;
}

}  // namespace saccade::order_free
