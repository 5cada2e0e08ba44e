// GIFT: which parts of a picture the question turns the attention to, and by how much to amplify them.
//
// For consecutive query tokens t of the question, shift_t = max(0, A[t, img] - A[t - 1, img]) per head. Of
// all heads the half with the largest total shift is kept; the mean over heads and tokens, clipped to mean +-
// 3 standard deviations and scaled to [0, 1], is x; m = exp(alpha x). While answering, image weights are
// multiplied by m, weights on the question by r = sum(A m) / sum(A) over the image, and the row renormalised.
// Source: Qi et al. 2025 (arXiv 2510.22067), saliency, layers and alpha from copies of the authors' code;
// that r has this form is inferred.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "analysis/mechanisms/matrix.h"

namespace saccade {

// rows: one head's weights on the image, [query token, patch], the first row being the token before the
// question. counted: the tokens whose shift counts, one flag per row after the first; all false: all count.
[[nodiscard]] std::vector<double> gaze_shift(const mechanisms::Matrix& rows,
                                             const std::vector<bool>& counted);
// heads: gaze_shift of each, [head][patch]. x in [0, 1]; all 0 where nothing shifts.
[[nodiscard]] std::vector<double> gaze_saliency(const std::vector<std::vector<double>>& heads);
[[nodiscard]] std::vector<double> amplification(std::span<const double> saliency, double alpha);
// r for one row of weights on the image; 1 where there is none.
[[nodiscard]] double question_factor(std::span<const double> weights, std::span<const double> factors);

// Whether a token's text looks like a word with meaning of its own: letters, and no English function word.
// A list in the place of a tagger (own).
[[nodiscard]] bool is_content_word(std::string_view text);

}  // namespace saccade
