#include "analysis/mechanisms/grid_masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace saccade::mechanisms {
namespace {

struct Patch {
  int64_t y = 0, x = 0;
};

template <class Seen>
KeyMask mask_where(Grid grid, Seen seen) {
  KeyMask mask(grid.size(), grid.size());
  for (int64_t i = 0; i < grid.size(); ++i)
    for (int64_t j = 0; j < grid.size(); ++j)
      if (seen(Patch{i / grid.width, i % grid.width}, Patch{j / grid.width, j % grid.width})) mask.show(i, j);
  return mask;
}

}  // namespace

KeyMask axial_mask(Grid grid, GridAxis axis, bool causal) {
  return mask_where(grid, [&](Patch q, Patch k) {
    if (causal && (k.y > q.y || (k.y == q.y && k.x > q.x))) return false;
    return axis == GridAxis::row ? q.y == k.y : q.x == k.x;
  });
}

KeyMask block_mask(Grid grid, int64_t side) {
  return mask_where(grid,
                    [&](Patch q, Patch k) { return q.y / side == k.y / side && q.x / side == k.x / side; });
}

KeyMask shifted_block_mask(Grid grid, int64_t side) {
  // Blocks of the shifted picture whose wrapped parts do not see each other: blocks that begin `shift` later.
  const int64_t shift = side / 2;
  const auto block = [&](int64_t at) { return (at + side - shift) / side; };
  return mask_where(grid,
                    [&](Patch q, Patch k) { return block(q.y) == block(k.y) && block(q.x) == block(k.x); });
}

KeyMask halo_mask(Grid grid, int64_t side, int64_t halo) {
  const auto inside = [&](int64_t query, int64_t key) {
    const int64_t begin = query / side * side;
    return key >= begin - halo && key < begin + side + halo;
  };
  return mask_where(grid, [&](Patch q, Patch k) { return inside(q.y, k.y) && inside(q.x, k.x); });
}

Result<KeyMask> spread_mask(Grid grid, int64_t side) {
  if (side < 1 || grid.height % side != 0 || grid.width % side != 0)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a grid of {} x {} patches does not divide into {} x {}; {} does",
                                  grid.height, grid.width, side, side, side_for(grid, side)));
  const int64_t step_y = grid.height / side, step_x = grid.width / side;
  return mask_where(
      grid, [&](Patch q, Patch k) { return q.y % step_y == k.y % step_y && q.x % step_x == k.x % step_x; });
}

KeyMask radius_mask(Grid grid, int64_t radius) {
  return mask_where(
      grid, [&](Patch q, Patch k) { return std::max(std::abs(q.y - k.y), std::abs(q.x - k.x)) <= radius; });
}

int64_t side_for(Grid grid, int64_t wanted) {
  for (int64_t side = std::max<int64_t>(wanted, 1); side > 1; --side)
    if (grid.height % side == 0 && grid.width % side == 0) return side;
  return 1;
}

}  // namespace saccade::mechanisms
