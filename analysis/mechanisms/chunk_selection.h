// Long contexts read in parts: which chunks a query gathers (LongHeads), which keys a decoding step recycles.
//
// LongHeads: a chunk of `size` keys has a value c = mean over its rows of their attention inside the chunk,
//   and a key = c's attention over the chunk's keys, returning keys. A query takes the first chunk, its own
//   and the one before it, and fills up to `chunks` with the best q . key; the chosen keep their order and
//   get positions 0, 1, 2, ...; the query stands at (chunks - 1) size + its offset in its chunk. Source: Lu
//   et al. 2024 (arXiv 2402.10685) and the authors' code.
// Recycled attention: every `stride`-th row looks at everything and keeps its `keep` strongest keys; the rows
//   between see only those and what came after it. With a threshold, a row looks at everything as soon as the
//   cosine of its query with that of the last full row falls below it.
//   Source: Xu et al. 2024 (arXiv 2411.05787); the threshold's default is ours.
#pragma once

#include <vector>

#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct ChunkChoice {
  std::vector<int64_t> chunks;  // ascending
  int64_t query_position = 0;   // among the gathered tokens
};

// [chunk, d_head]. The last chunk may be shorter. Inside a chunk attention is causal.
[[nodiscard]] Matrix chunk_keys(const Matrix& q, const Matrix& k, const Matrix& v, double scale,
                                int64_t size);
// Of the query at `position`: at most `chunks` of those up to its own. chunks >= 3.
[[nodiscard]] ChunkChoice choose_chunks(std::span<const double> query, const Matrix& keys, int64_t position,
                                        int64_t size, int64_t chunks);
[[nodiscard]] KeyMask chunk_mask(const Matrix& q, const Matrix& k, const Matrix& v, double scale,
                                 int64_t size, int64_t chunks);

struct Recycling {
  int64_t stride = 10, keep = 64;
  double threshold = -1.0;  // of the cosine; -1: strides alone
  int64_t prefill = 1;      // the first rows, which look at everything
};
struct RecycledRows {
  KeyMask mask;
  std::vector<int64_t> full;  // rows that looked at everything, ascending
};
// weights: [query, key], of one head or the mean over its group, causal.
[[nodiscard]] RecycledRows recycle(const Matrix& q, const Matrix& weights, const Recycling& rule);

}  // namespace saccade::mechanisms
