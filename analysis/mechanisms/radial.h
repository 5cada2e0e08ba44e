// Radial attention: frames that are farther apart see less of each other; and how attention decays with
// distance.
//
// F frames of T tokens. For frames g apart, group = bit length of g, width = 2^bitlen(T) / 2^group decay.
// Frames 0 apart (and 1 apart where `near_full`) see each other in full. A width below `least` becomes
// `least`, and the pair of frames is kept only where g mod floor(least / (2^bitlen(T) / 2^group)) == 0.
// Token y of one frame sees token x of the other where |y - x| <= width. The first frame is always seen.
// Block form: a block is kept where more than 60 % of its columns that hold anything are more than a third
// full. Source: Li et al. 2025 (arXiv 2506.19852) and the authors' code: least 128, decay 1 or 1/2.
#pragma once

#include "analysis/mechanisms/key_mask.h"
#include "analysis/mechanisms/matrix.h"

namespace saccade::mechanisms {

struct RadialRule {
  int64_t frames = 1, tokens = 1;  // tokens per frame
  double decay = 1.0;
  int64_t least = 128;
  bool near_full = false;
};

// Half-width of the band in which frames `apart` see each other; negative: they do not.
[[nodiscard]] double radial_width(const RadialRule& rule, int64_t apart);
// [frames * tokens, frames * tokens]; not causal.
[[nodiscard]] KeyMask radial_mask(const RadialRule& rule);
// [block, block] of `side` positions.
[[nodiscard]] KeyMask radial_blocks(const KeyMask& mask, int64_t side);

// ln weight = intercept - rate distance, least squares over distances whose mean weight is positive.
struct Decay {
  std::vector<double> means;  // [distance]: mean weight of the visible cells that far apart; NaN without any
  double rate = 0.0, intercept = 0.0;  // NaN with fewer than two distances
};
// weights: [query, key]; frames of `tokens` positions: distance in frames. tokens = 1: in positions.
[[nodiscard]] Decay decay_over_frames(const Matrix& weights, const KeyMask& visible, int64_t tokens);
// Distance inside a frame: |y - x|, over pairs of positions of the same frame.
[[nodiscard]] Decay decay_inside_frames(const Matrix& weights, const KeyMask& visible, int64_t tokens);

}  // namespace saccade::mechanisms
