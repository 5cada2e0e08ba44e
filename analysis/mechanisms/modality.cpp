#include "analysis/mechanisms/modality.h"

#include "core/run/position_layout.h"

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
  const auto ring = [&](int64_t patch) { return ring_of(picture.grid.height, picture.grid.width, patch); };
  for (int64_t i = 0; i < picture.grid.size(); ++i)
    for (int64_t j = 0; j < picture.grid.size(); ++j) {
      if (ring(j) <= ring(i))
        mask.show(picture.begin + i, picture.begin + j);
      else
        mask.hide(picture.begin + i, picture.begin + j);
    }
  return mask;
}

}  // namespace saccade::mechanisms
