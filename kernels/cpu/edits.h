// Edits of one row, plain C++: rows of edited heads are few, and one code for every instruction set makes a
// regenerated cell the very number the pass used. Private to kernels/. Thread: any.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/map_edits.h"

namespace saccade::cpu {

// A run of one row: cells[j] is that of key first + j.
struct RowPart {
  int64_t query = 0, first = 0, count = 0;
  float* cells = nullptr;
};

// s, scaled and biased, -inf where the row does not see the key.
void edit_scores(const std::vector<ScoreEdit>& edits, const RowPart& s);

// The whole row of p; seen[j]: the row sees the key. `factors`, [row_factor_count] with the given stride, may
// be null.
void edit_weights(const std::vector<WeightEdit>& edits, const RowPart& p, const uint8_t* seen, float* factors,
                  int64_t factor_stride);
// The same for any part of a row, with the factors that edit_weights left.
void repeat_weight_edits(const std::vector<WeightEdit>& edits, const RowPart& p, const uint8_t* seen,
                         const float* factors, int64_t factor_stride);
// The factors of a row that no edit touches. `factors` may be null.
void leave_weights(const std::vector<WeightEdit>& edits, float* factors, int64_t factor_stride);
[[nodiscard]] bool needs_factors(const std::vector<WeightEdit>& edits);

void edit_output(const std::vector<OutputEdit>& edits, int64_t query, int64_t d_head, float* z);

// The end of the keys that these edits may give a weight to although no row sees them.
[[nodiscard]] int64_t end_of_replaced(const std::vector<WeightEdit>& edits);

}  // namespace saccade::cpu
