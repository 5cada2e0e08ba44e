// How much a head copies a needle, from what it looked at while the answer was decoded. Pure; thread: any.
//
// Sources: Wu et al. 2024 (arXiv 2404.15574): the k = 1 row of the token fed in, against the token the same
// pass produced. The semantic score is CompressKV's (repository TUDa-HWAI/CompressKV).
#pragma once

#include <span>
#include <vector>

#include "core/run/edit.h"
#include "core/run/head_step.h"

namespace saccade {

struct DecodedAnswer {
  std::span<const int32_t> prompt;    // ids
  PositionRange span;                 // of the answer in the prompt
  std::span<const int32_t> produced;  // ids, one per step
  std::span<const HeadStep> steps;
};

// A head hits at a step when its strongest key lies in the span and holds the token that was produced.
[[nodiscard]] bool hits(const DecodedAnswer& answer, size_t step, size_t head);

// [head], layers one after another.
struct CopyScores {
  std::vector<double> count;  // hits / length of the span: as Retrieval_Head's program; can exceed 1
  std::vector<double> set;    // distinct keys hit / length of the span: as its paper; at most 1
};
[[nodiscard]] CopyScores copy_scores(const DecodedAnswer& answer, size_t heads);

// Sum over the produced tokens that occur in the span of the head's whole weight on the span (key_mass: the
// steps watched the span). [head]
[[nodiscard]] std::vector<double> semantic_scores(const DecodedAnswer& answer, size_t heads);

}  // namespace saccade
