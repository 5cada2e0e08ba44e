// Edits of one head's map, inside the pass: what the edit list of a run (core/run/edit.h) is compiled to.
//
// Score edits act on s before the softmax, in order; then weight edits act on p = softmax(s), in order, each
// on the p that the one before left; then output edits act on z = sum_j p_ij v_j, in order. Positions are
// absolute; what lies outside the map is left out. Rows that see no key are left alone, z = 0 included. A key
// is visible here iff its s is above -inf: a cut key is not. A key that a row does not see keeps p = 0,
// except where `replace` gives it a weight or `identity` gives the diagonal its own.
//
// A weight edit that needs sums over a row (all but scale_columns and identity) turns them into at most two
// numbers per row, its row factors; with these any cell of the edited map is regenerated without its row (see
// row_factor_count).
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace saccade {

struct KeyRange {
  int64_t begin = 0, end = 0;  // half open
  bool operator==(const KeyRange&) const = default;
};
using KeySet = std::vector<KeyRange>;  // sorted, not overlapping

struct QueryRange {
  int64_t begin = 0, end = std::numeric_limits<int64_t>::max();
  bool operator==(const QueryRange&) const = default;
};

enum class ScoreEditKind {
  temperature,  // s := s / value; value > 0
  bias,         // s := s + value
  boost,        // s := s + value |s|
  cut,          // s := -inf
  stream,       // s := -inf where j >= sink and query - j >= recent (DuoAttention, arXiv 2410.10819)
  flat,         // s := 0: equal weights on every visible key of the set
};

struct ScoreEdit {
  ScoreEditKind kind = ScoreEditKind::bias;
  QueryRange query = {};
  KeySet keys = {};  // of every kind but stream
  float value = 0.0f;
  int64_t sink = 0, recent = 0;
};

enum class WeightEditKind {
  scale_columns,  // p_j := value_j p_j for j in keys; value_j = values[n] of the n-th key of the set, or
                  // value
  renormalise,    // p := p / sum p; a row of zeros stays
  // m = (1 - value) sum_{keys} p; p_j := value p_j for j in keys, p_j := p_j (1 + m / sum_{to} p) for j in
  // `to`. Rows with sum_{to} p = 0 are left alone. ACT (arXiv 2406.15765), VAR (arXiv 2503.03321). With a row
  // test, only rows whose sum over `among` of p is at least least_mass and whose share sum_{to} /
  // sum_{among} is at least least_share are changed; `among` holds all of `to`, empty it is (keys + to).
  redistribute,
  identity,  // p := (1 - value) p + value [j = query]  (SoftPAG)
  uniform,  // p := (1 - value) p + value / n on the n visible keys of the set; rows with n = 0 are left alone
  power,    // p := p^value / sum p^value over all keys; value > 0
  sharpen,  // p := max(0, N p - 1)^value / sum, N the visible keys; a row that would be all 0 is left (LSSAR)
  replace,  // p_ij := block[(i - query.begin) * block_columns + j - block_first_key] in the block's
            // rectangle; with rescale, the row's other weights are multiplied so that it sums to 1 (they stay
            // if they are all 0)
};

struct WeightEdit {
  WeightEditKind kind = WeightEditKind::renormalise;
  QueryRange query = {};
  KeySet keys = {}, to = {};
  KeySet among = {};  // redistribute: what its row test counts
  float value = 1.0f;
  std::vector<float> values = {};               // scale_columns: empty, or one per key of the set
  float least_mass = 0.0f, least_share = 0.0f;  // redistribute
  std::vector<float> block = {};                // replace: [query.end - query.begin, block_columns]
  int64_t block_first_key = 0, block_columns = 0;
  bool rescale = true;
};

// z := scale * z + offset, element by element.
struct OutputEdit {
  QueryRange query = {};
  float factor = 1.0f;
  std::vector<float> scale = {};   // [d_head], or empty: factor alone; otherwise multiplied by factor
  std::vector<float> offset = {};  // [d_head], or empty: 0
};

struct HeadPlan {
  std::vector<ScoreEdit> scores = {};
  std::vector<WeightEdit> weights = {};
  std::vector<OutputEdit> outputs = {};
  [[nodiscard]] bool empty() const { return scores.empty() && weights.empty() && outputs.empty(); }
};

// Numbers per row that a head's weight edits leave for regenerating its map: two per weight edit, (a, b), so
// that edit n has rows 2 n and 2 n + 1 of the factors. Rows an edit does not change have the factors that
// change nothing, given in brackets.
//   scale_columns, identity   none needed                                             (1, 1)
//   renormalise               p := a p                                                (1, 1)
//   redistribute              p_j := a p_j for j in keys, b p_j for j in `to`         (1, 1)
//   uniform                   p := a p, + b on the visible keys of the set            (1, 0)
//   power                     p := b (a p)^value where p > 0; a = 1 / max p           (0, 0)
//   sharpen                   p := (b max(0, a p - 1))^value; a = N                   (0, 0)
//   replace                   p := a p outside the block                              (1, 1)
[[nodiscard]] inline int64_t row_factor_count(const HeadPlan& plan) {
  return 2 * static_cast<int64_t>(plan.weights.size());
}

[[nodiscard]] inline bool contains(const KeySet& keys, int64_t key) {
  for (const KeyRange& range : keys)
    if (key >= range.begin && key < range.end) return true;
  return false;
}

// How many keys a set has, and where a key stands among them (counting from 0; the key must be in the set).
[[nodiscard]] int64_t size_of(const KeySet& keys);
[[nodiscard]] int64_t index_in(const KeySet& keys, int64_t key);

}  // namespace saccade
