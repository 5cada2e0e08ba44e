#include "analysis/mechanisms/modality.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace saccade::mechanisms {

KeyMask mutual_mask(int64_t n, const PlacedGrid& picture, bool two_way) {
  KeyMask mask = KeyMask::causal(n);
  for (int64_t i = picture.begin; i < picture.end(); ++i) {
    mask.show(i, {picture.end(), n});
    if (two_way) mask.show(i, {picture.begin, picture.end()});
  }
  return mask;
}

KeyMask no_patch_to_patch_mask(int64_t n, const PlacedGrid& picture) {
  KeyMask mask = KeyMask::causal(n);
  for (int64_t i = picture.begin; i < picture.end(); ++i)
    for (int64_t j = picture.begin; j < i; ++j) mask.hide(i, j);
  return mask;
}

KeyMask concentric_mask(int64_t n, const PlacedGrid& picture) {
  KeyMask mask = KeyMask::causal(n);
  for (int64_t i = 0; i < picture.grid.size(); ++i)
    for (int64_t j = 0; j < picture.grid.size(); ++j) {
      if (ring_of(picture.grid, j) <= ring_of(picture.grid, i))
        mask.show(picture.begin + i, picture.begin + j);
      else
        mask.hide(picture.begin + i, picture.begin + j);
    }
  return mask;
}

int64_t ring_of(Grid grid, int64_t patch) {
  const int64_t y = patch / grid.width, x = patch % grid.width;
  return std::min({y, x, grid.height - 1 - y, grid.width - 1 - x});
}

std::vector<int64_t> concentric_positions(int64_t n, const PlacedGrid& picture) {
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < n; ++i) {
    if (i < picture.begin)
      positions.push_back(i);
    else if (i < picture.end())
      positions.push_back(picture.begin + ring_of(picture.grid, i - picture.begin));
    else
      positions.push_back(picture.begin + picture.grid.height / 2 + i - picture.end());
  }
  return positions;
}

std::vector<int64_t> patch_order(Grid grid, PatchOrder order, uint64_t seed) {
  std::vector<int64_t> patches(static_cast<size_t>(grid.size()));
  std::iota(patches.begin(), patches.end(), 0);
  switch (order) {
    case PatchOrder::raster:
      break;
    case PatchOrder::reversed:
      std::reverse(patches.begin(), patches.end());
      break;
    case PatchOrder::columns:
      for (int64_t at = 0; at < grid.size(); ++at)
        patches[static_cast<size_t>(at)] = at % grid.height * grid.width + at / grid.height;
      break;
    case PatchOrder::shuffled: {
      std::mt19937_64 random(seed);
      std::shuffle(patches.begin(), patches.end(), random);
      break;
    }
  }
  return patches;
}

}  // namespace saccade::mechanisms
