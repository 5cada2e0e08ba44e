// One map for a phrase from the maps of its words (RefAM): stop words and sinks left out, or used as magnets.
//
// phrase_map: mean over the words that count; a global sink is a patch among the top 1 % of more than 80 % of
// all words: it becomes 0, and the rest sums to 1 again. magnet_map: stop words appended to a prompt compete
// for patches; each patch belongs to the word whose map is largest there, and only those that content words
// win stay. Source: ideas of Kukleva et al. 2025 (RefAM, arXiv 2509.22650), of diffusion transformers; the
// rules and constants are ours. Thread: any.
#pragma once

#include "analysis/mechanisms/matrix.h"

namespace saccade {

struct SinkRule {
  double top = 0.01;   // of the patches, at least one
  double words = 0.8;  // of the words, more than
};
// maps: [word, patch]. Ascending.
[[nodiscard]] std::vector<int64_t> global_sinks(const mechanisms::Matrix& maps, const SinkRule& rule = {});
// counts: one flag per word; all false: all count. [patch]
[[nodiscard]] std::vector<double> phrase_map(const mechanisms::Matrix& maps, const std::vector<bool>& counts,
                                             const SinkRule& rule = {});

struct Magnets {
  std::vector<int64_t> owner;  // [patch]: the word that wins it; ties go to the first
  std::vector<double> map;     // [patch]: the mean of content words where one of them wins, 0 elsewhere
};
[[nodiscard]] Magnets magnet_map(const mechanisms::Matrix& maps, const std::vector<bool>& is_content);

}  // namespace saccade
