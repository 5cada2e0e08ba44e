// What a mechanism would do to a head that was trained without it: how much of its attention it keeps, and
// how far its output moves. Beside it, at the same number of keys in every row, the best keys there are
// (oracle) and the start and the nearest keys (sinks + recent).
//
// Pattern imposed on a model not trained with it: w is the mechanism's map; under a mask p renormalised on
// the keys kept. kept = mean over rows of sum_j min(p, w), which for a mask is the weight it leaves; recall =
// share of a row's ten largest p among the keys kept (of a map: among the ten largest w); change = |w v - p
// v| / |p v|, Frobenius over all rows. Source: more.md's common interface; min(p, w) for maps is ours.
// Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/mechanisms/catalogue.h"

namespace saccade::mechanisms {

struct ImposedScores {
  double density = 0.0;             // keys kept (with weight) over keys that the model shows
  double kept = 0.0, recall = 0.0;  // in [0, 1]
  double change = 0.0;              // NaN without values
  double oracle_kept = 0.0, recent_kept = 0.0;
  double oracle_change = 0.0, recent_change = 0.0;  // NaN without values
  double divergence = 0.0;                          // mean KL(p || w), nats; inf for masks that cut weight
  double spearman = 0.0, discordant = 0.0;          // of w against p; NaN for masks, which keep the order
};

// The map itself, [query, key]: of a mask, the softmax over the keys it keeps. Where a mask shows keys that
// the model hides, their scores come from q and k as they are.
[[nodiscard]] Matrix imposed_map(const HeadView& head, const Imposed& imposed, bool widens);
[[nodiscard]] ImposedScores score(const HeadView& head, const Imposed& imposed, const Matrix& map,
                                  bool widens);

// In every row as many keys as `mask` keeps of what the model shows.
[[nodiscard]] KeyMask oracle_mask(const Matrix& weights, const KeyMask& kept);
[[nodiscard]] KeyMask recent_mask(const KeyMask& visible, const KeyMask& kept, int64_t sinks);

// A mask as edits: "knockout HEADS query=... key=...", rows with equal keys together; nothing where every row
// keeps what the model shows. heads: "5.1", "*.*".
[[nodiscard]] std::vector<std::string> knockouts(const KeyMask& mask, const KeyMask& visible,
                                                 std::string_view heads);

}  // namespace saccade::mechanisms
