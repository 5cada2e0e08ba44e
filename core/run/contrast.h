// Logits steered away from those of a second stream that sees less, or sees it worse. Pure; thread: any.
//
// Source: contrastive decoding as DAMRO uses it (arXiv 2410.04514, eq. 6): l_out = (1 + alpha) l - alpha l',
// and a token with l < max(l) + ln(beta) is never drawn (Li et al. 2023, arXiv 2210.15097). With alpha = w
// it is also the guidance l + w (l - l') of perturbed-attention guidance.
#pragma once

#include <memory>
#include <span>

#include "core/base/host_tensor.h"

namespace saccade {

struct RunRequest;

// How an answer is steered.
struct Contrast {
  std::shared_ptr<const RunRequest> negative;  // l' comes from it; it reads the same new tokens. Null: none
  double alpha = 1.0;                          // 0: l as it is, but for the cut
  double plausibility = 0.1;                   // beta, in [0, 1]; 0: no token is cut
};

// logits, negative: [n_vocab]. What is cut is -infinity; the most probable token of `logits` never is.
[[nodiscard]] HostTensor contrasted(const HostTensor& logits, const HostTensor& negative, double alpha,
                                    double plausibility);

}  // namespace saccade
