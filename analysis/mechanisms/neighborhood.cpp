#include "analysis/mechanisms/neighborhood.h"

#include <fmt/format.h>

#include <algorithm>

namespace saccade::mechanisms {
namespace {

Result<void> check(const NeighborhoodAxis& axis) {
  if (axis.length < 1 || axis.window < 1 || axis.dilation < 1)
    return make_error(ErrorCode::invalid_argument, "length, window and dilation of an axis are at least 1");
  if (axis.stride < 1 || axis.stride > axis.window)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a neighborhood's stride is 1 to its window ({}), found {}", axis.window, axis.stride));
  if (axis.window * axis.dilation > axis.length)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a window of {} with dilation {} does not fit into {} positions; the "
                                  "largest that fits is {}",
                                  axis.window, axis.dilation, axis.length, axis.length / axis.dilation));
  return {};
}

bool sees(const NeighborhoodAxis& axis, int64_t query, int64_t key) {
  if (query % axis.dilation != key % axis.dilation) return false;
  const KeyRange range = neighbors_of(axis, query);
  const int64_t at = key / axis.dilation;
  return at >= range.begin && at < range.end;
}

}  // namespace

KeyRange neighbors_of(const NeighborhoodAxis& axis, int64_t position) {
  const int64_t residue = position % axis.dilation, i = position / axis.dilation;
  const int64_t length = (axis.length - residue + axis.dilation - 1) / axis.dilation;
  const int64_t left = axis.window / 2, right = axis.window / 2 + axis.window % 2 - 1;
  const int64_t group = i / axis.stride * axis.stride;
  if (axis.causal) {
    const int64_t leader = std::min(group + axis.stride - 1, length - 1);
    return {std::max<int64_t>(leader - (left + right), 0), i + 1};
  }
  const int64_t leader = std::min(group + axis.stride / 2, length - 1);
  int64_t start = std::max<int64_t>(leader - left, 0);
  if (leader + right >= length) start -= leader + right + 1 - length;
  return {start, start + axis.window};
}

Result<KeyMask> neighborhood_mask(std::span<const NeighborhoodAxis> axes) {
  if (axes.empty() || axes.size() > 3)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a neighborhood has 1 to 3 axes, found {}", axes.size()));
  int64_t n = 1;
  for (const NeighborhoodAxis& axis : axes) {
    SACCADE_CHECK(check(axis));
    n *= axis.length;
  }
  KeyMask mask(n, n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      bool seen = true;
      int64_t query = i, key = j;
      for (size_t a = axes.size(); a-- > 0 && seen;) {
        seen = sees(axes[a], query % axes[a].length, key % axes[a].length);
        query /= axes[a].length;
        key /= axes[a].length;
      }
      if (seen) mask.show(i, j);
    }
  return mask;
}

}  // namespace saccade::mechanisms
