#include "analysis/mechanisms/chunk_selection.h"

#include <algorithm>
#include <cmath>

namespace saccade::mechanisms {

Matrix chunk_keys(const Matrix& q, const Matrix& k, const Matrix& v, double scale, int64_t size) {
  const int64_t n = k.rows, chunks = (n + size - 1) / size;
  Matrix keys(chunks, k.columns);
  for (int64_t c = 0; c < chunks; ++c) {
    const int64_t begin = c * size, end = std::min(n, begin + size);
    std::vector<double> value(static_cast<size_t>(v.columns), 0.0);
    for (int64_t i = begin; i < end; ++i) {
      std::vector<double> row;
      for (int64_t j = begin; j <= i; ++j) row.push_back(scale * dot(q.row(i), k.row(j)));
      softmax(row);
      for (int64_t j = begin; j <= i; ++j)
        for (size_t x = 0; x < value.size(); ++x)
          value[x] += row[static_cast<size_t>(j - begin)] * v.row(j)[x] / static_cast<double>(end - begin);
    }
    std::vector<double> over_keys;
    for (int64_t j = begin; j < end; ++j) over_keys.push_back(scale * dot(value, k.row(j)));
    softmax(over_keys);
    for (int64_t j = begin; j < end; ++j)
      for (int64_t x = 0; x < k.columns; ++x)
        keys.at(c, x) += over_keys[static_cast<size_t>(j - begin)] * k.at(j, x);
  }
  return keys;
}

ChunkChoice choose_chunks(std::span<const double> query, const Matrix& keys, int64_t position, int64_t size,
                          int64_t chunks) {
  const int64_t own = position / size;
  ChunkChoice choice;
  for (const int64_t always : {int64_t{0}, own - 1, own})
    if (always >= 0 && std::find(choice.chunks.begin(), choice.chunks.end(), always) == choice.chunks.end())
      choice.chunks.push_back(always);
  std::vector<double> scores;
  for (int64_t c = 0; c < own - 1; ++c) scores.push_back(dot(query, keys.row(c)));
  for (const int64_t c : top_indices(scores, static_cast<int64_t>(scores.size()))) {
    if (static_cast<int64_t>(choice.chunks.size()) >= chunks) break;
    if (c != 0) choice.chunks.push_back(c);
  }
  std::sort(choice.chunks.begin(), choice.chunks.end());
  choice.query_position = (static_cast<int64_t>(choice.chunks.size()) - 1) * size + position % size;
  return choice;
}

KeyMask chunk_mask(const Matrix& q, const Matrix& k, const Matrix& v, double scale, int64_t size,
                   int64_t chunks) {
  const Matrix keys = chunk_keys(q, k, v, scale, size);
  KeyMask mask(q.rows, k.rows);
  for (int64_t i = 0; i < q.rows; ++i)
    for (const int64_t c : choose_chunks(q.row(i), keys, i, size, chunks).chunks)
      mask.show(i, {c * size, std::min((c + 1) * size, i + 1)});
  return mask;
}

RecycledRows recycle(const Matrix& q, const Matrix& weights, const Recycling& rule) {
  RecycledRows result{KeyMask(weights.rows, weights.columns), {}};
  std::vector<int64_t> kept;
  int64_t last = -1;
  for (int64_t i = 0; i < weights.rows; ++i) {
    bool full = last < 0 || i < rule.prefill || i - last >= rule.stride;
    if (!full && rule.threshold > -1.0) {
      const double lengths = std::sqrt(dot(q.row(i), q.row(i))) * std::sqrt(dot(q.row(last), q.row(last)));
      full = lengths > 0.0 && dot(q.row(i), q.row(last)) / lengths < rule.threshold;
    }
    if (full) {
      last = i;
      result.full.push_back(i);
      result.mask.show(i, {0, i + 1});
      kept = top_indices(weights.row(i).first(static_cast<size_t>(i + 1)), rule.keep);
      continue;
    }
    for (const int64_t j : kept) result.mask.show(i, j);
    result.mask.show(i, {last + 1, i + 1});
  }
  return result;
}

}  // namespace saccade::mechanisms
