// Two runs side by side: what changed, in the answer, in the loss, head by head.
#pragma once

#include <string>
#include <vector>

#include "analysis/field.h"
#include "core/capture/capture.h"
#include "core/tokens/tokenizer.h"

namespace saccade {

struct NextTokenChange {
  int32_t id = 0;
  std::string text;
  double probability_a = 0.0, probability_b = 0.0;
  float logit_a = 0.0f, logit_b = 0.0f;
  int32_t rank_a = 0, rank_b = 0;  // 1 = most probable
};

struct Comparison {
  double kl = 0.0;                     // KL(A || B) of the next-token distributions, nats
  double js = 0.0;                     // Jensen-Shannon divergence, nats, at most ln 2
  std::vector<NextTokenChange> top;    // the union of both top-k, by probability in A then B
  bool same_tokens = false;            // both runs read the same ids; the fields below need that
  std::vector<float> loss_difference;  // B - A, per position
  Field entropy_change;                // [layer, head]: mean over rows of (entropy B - entropy A), nats
  Field pattern_change;  // [layer, head]: mean over rows of |received mass B - A| / 2 over keys, in [0, 1]
  std::vector<std::string> findings;
};

// Errors when the vocabularies differ. `text_of` may be null (dumps without a model): ids are then the text.
[[nodiscard]] Result<Comparison> compare(const Capture& a, const Capture& b, const Tokenizer* tokenizer,
                                         int top_k = 10);

// Which runs of characters two texts share: for marking differences in generated text. Word by word.
enum class DiffKind { same, only_a, only_b };
struct DiffPiece {
  DiffKind kind = DiffKind::same;
  std::string text;
};
[[nodiscard]] std::vector<DiffPiece> diff_words(const std::string& a, const std::string& b);

}  // namespace saccade
