// What a picture becomes before the first layer: embedded patches with their prefix and positions, or, for a
// decoder, what its vision tower and projector make of them. Private to core/run.
#pragma once

#include "core/image/placed_image.h"
#include "core/run/forward.h"
#include "core/run/model_weights.h"

namespace saccade {

// A picture model's rows [prefix + patches]: the convolution as one product over patches, learned tokens in
// front, positions resampled to the picture's grid (none for registers).
// einsum "nk,dk->nd", k = (channel, y, x) of a patch.
[[nodiscard]] GivenRows patch_rows(const ModelSpec& spec, const ModelWeights& weights,
                                   const PreparedImage& image);

}  // namespace saccade
