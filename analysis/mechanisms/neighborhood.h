// Neighborhood and generalised neighborhood attention: each position sees a window of each axis.
//
// One axis of length L, query i: a dilation d first leaves the positions with the same i mod d; there
// i' = floor(i / d) and L' is their number. left = floor(w / 2), right = floor(w / 2) + (w mod 2) - 1.
//   not causal: c = min(floor(i' / s) s + floor(s / 2), L' - 1); start = max(c - left, 0), moved back by
//               c + right + 1 - L' where the window would reach past the end; end = start + w
//   causal:     c = min(floor(i' / s) s + s - 1, L' - 1); start = max(c - (left + right), 0); end = i' + 1
// Stride s = 1 slides (at borders the window is moved inside, not shrunk), s = w is blocked attention.
// A key is seen when it is seen on every axis. Density prod(w) / prod(L) where nothing is causal or dilated.
// Source: Hassani et al. 2023 (NATTEN, arXiv 2204.07143), Hassani et al. 2025 (GNA, arXiv 2504.16922).
#pragma once

#include <span>

#include "analysis/mechanisms/key_mask.h"
#include "kernels/base/result.h"

namespace saccade::mechanisms {

struct NeighborhoodAxis {
  int64_t length = 1, window = 1, stride = 1, dilation = 1;
  bool causal = false;
};

// What query `position` sees of its residue class: positions i' in [begin, end).
[[nodiscard]] KeyRange neighbors_of(const NeighborhoodAxis& axis, int64_t position);

// Axes slowest first, positions row-major. Errors: a window that does not fit into the length with its
// dilation, a stride larger than the window, no axis or more than three.
[[nodiscard]] Result<KeyMask> neighborhood_mask(std::span<const NeighborhoodAxis> axes);

}  // namespace saccade::mechanisms
