#include "analysis/field_slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {

size_t held_axes(const Field& field) {
  const size_t rank = field.values.shape().size();
  return rank > 2 ? rank - 2 : 0;
}

std::string name_of(const Axis& axis) { return axis.name.empty() ? to_string(axis.kind) : axis.name; }

std::string label_of(const Axis& axis, int64_t index) {
  if (index >= 0 && static_cast<size_t>(index) < axis.labels.size())
    return axis.labels[static_cast<size_t>(index)];
  return axis.kind == AxisKind::layer ? fmt::format("L{}", index) : fmt::format("{}", index);
}

FieldSlice slice_of(const Field& field, std::span<const int64_t> held) {
  FieldSlice slice;
  const std::vector<int64_t>& shape = field.values.shape();
  const size_t rank = shape.size(), fixed = held_axes(field);
  const auto axis_at = [&](size_t i) { return i < field.axes.size() ? field.axes[i] : Axis{}; };
  int64_t block = 0;
  for (size_t i = 0; i < fixed; ++i) {
    const int64_t wanted = i < held.size() ? held[i] : 0;
    const int64_t index = std::clamp<int64_t>(wanted, 0, std::max<int64_t>(shape[i] - 1, 0));
    block = block * shape[i] + index;
    slice.held.push_back(index);
    const Axis axis = axis_at(i);
    slice.where += fmt::format("{}{} {}", slice.where.empty() ? "" : ", ", name_of(axis),
                               axis.labels.empty() ? fmt::format("{}", index) : label_of(axis, index));
  }
  if (rank > 0) {
    slice.columns = shape[rank - 1];
    slice.column_axis = axis_at(rank - 1);
  }
  if (rank > 1) {
    slice.has_rows = true;
    slice.rows = shape[rank - 2];
    slice.row_axis = axis_at(rank - 2);
  }
  const int64_t size = slice.rows * slice.columns;
  const std::span<const float> all = field.values.values();
  if ((block + 1) * size <= static_cast<int64_t>(all.size())) {
    const auto part = all.subspan(static_cast<size_t>(block * size), static_cast<size_t>(size));
    slice.values.assign(part.begin(), part.end());
  } else {
    slice.rows = slice.columns = 0;
  }
  return slice;
}

ColourScale scale_of(ValueKind kind, std::span<const float> values, Palette palette) {
  ColourScale scale;
  scale.palette = palette;
  if (kind == ValueKind::probability) return scale;
  double low = INFINITY, high = -INFINITY;
  for (const float value : values)
    if (std::isfinite(value)) {
      low = std::min<double>(low, value);
      high = std::max<double>(high, value);
    }
  if (!(low <= high)) return scale;
  if (kind == ValueKind::signed_difference) {
    const double most = std::max({std::abs(low), std::abs(high), 1e-12});
    scale.palette = Palette::red_blue;
    scale.low = -most;
    scale.high = most;
    return scale;
  }
  scale.low = std::min(0.0, low);
  scale.high = high > scale.low ? high : scale.low + 1.0;
  return scale;
}

}  // namespace saccade
