// FieldSlice: the part of a field that fits on a flat picture: its last two axes (or the one it has), the
// axes before them held at an index. Shared by the window and the figures, so that they never differ. Thread:
// any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/colour.h"
#include "analysis/field.h"

namespace saccade {

struct FieldSlice {
  int64_t rows = 1, columns = 1;
  std::vector<float> values;   // [row, column]
  bool has_rows = false;       // false: one line of numbers, drawn as a chart
  Axis row_axis, column_axis;  // row_axis means nothing without rows
  std::vector<int64_t> held;   // the index of each axis before them
  std::string where;           // "layer 3, head 1"; "" when nothing is held
  [[nodiscard]] float at(int64_t row, int64_t column) const {
    return values[static_cast<size_t>(row * columns + column)];
  }
};

// How many leading axes are held: all but the last two.
[[nodiscard]] size_t held_axes(const Field& field);
// held: an index for each held axis; missing ones are 0, too large ones the last.
[[nodiscard]] FieldSlice slice_of(const Field& field, std::span<const int64_t> held = {});

// The colours of a field's numbers, one scale for all its slices: probabilities on 0 to 1, signed ones
// red-blue with 0 in the middle, magnitudes from 0 (or the least) to the largest.
[[nodiscard]] ColourScale scale_of(ValueKind kind, std::span<const float> values,
                                   Palette palette = Palette::viridis);

[[nodiscard]] std::string name_of(const Axis& axis);
// "L3", "7", a token's text.
[[nodiscard]] std::string label_of(const Axis& axis, int64_t index);

}  // namespace saccade
