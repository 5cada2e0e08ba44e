// The logits of a picture and texts, from the embeddings of a pair's two towers: e^scale cos(picture, text) +
// bias (CLIP, arXiv 2103.00020, section 2.3; SigLIP, arXiv 2303.15343, equation 1).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/run/runner.h"

namespace saccade {

struct TextLogit {
  std::string text;
  double cosine = 0.0, logit = 0.0;
  double probability = 0.0;  // CLIP: a softmax over the texts; SigLIP: of each on its own, a sigmoid
};

// "as:clip_text:PATH" or "as:siglip_text:PATH": how the other tower of a pictures' tower opens; unsupported
// where there is none.
[[nodiscard]] Result<std::string> text_tower_of(const Model& pictures);

// picture: the answer of a run of `pictures`. The texts go through `texts` together; a SigLIP tower reads
// them padded to its full length, as it was trained. Refuses a checkpoint without a logit scale.
[[nodiscard]] Result<std::vector<TextLogit>> text_logits(const Model& pictures,
                                                         std::span<const float> picture, Runner& texts,
                                                         const std::vector<std::string>& wanted,
                                                         const JobContext& job);
// The same for texts that are tokens already; TextLogit::text is theirs.
[[nodiscard]] Result<std::vector<TextLogit>> text_logits(const Model& pictures,
                                                         std::span<const float> picture, Runner& texts,
                                                         std::vector<TokenSequence> wanted,
                                                         const JobContext& job);

}  // namespace saccade
