// What a request's edits do inside one layer's attention, as the kernels take it: edges cut from the mask,
// and a plan per head for scores and weights. Edits of z are not here (core/run/site_edits.h): they act after
// it.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/run/edit.h"
#include "core/run/position_layout.h"
#include "kernels/attention.h"

namespace saccade {

struct LayerPlan {
  std::vector<std::vector<EdgeRect>> knockouts;  // empty, or one list per head
  std::vector<HeadPlan> heads;                   // empty, or one plan per head
  std::vector<int64_t> segments = {};            // order-free: their bounds (core/run/order_free.h); or empty
  TokenPositions positions = {};                 // reposition, shift; filled in by SiteEdits
};

// A block of the map of another run that a `pattern` edit puts in: rows and columns are absolute positions.
struct PatternBlock {
  PositionRange query, key;
  std::vector<float> values;  // [query, key]
};
// The block for a head; `query` is one range of the edit's, or no value where it has none.
using FindPattern = std::function<Result<PatternBlock>(const Edit& edit, HeadId head,
                                                       const std::optional<PositionRange>& query)>;

// Edits without effect are passed over. Errors are those of find_pattern.
[[nodiscard]] Result<LayerPlan> plan_of(std::span<const Edit> edits, int32_t layer, const ModelSpec& spec,
                                        const FindPattern& find_pattern);

// Keys as the kernels take them; no value: every key.
[[nodiscard]] KeySet key_set(const std::optional<PositionSet>& keys);

}  // namespace saccade
