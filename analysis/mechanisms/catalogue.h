// Every mechanism of this folder under one name and one call: given one head of a run, which keys its rows
// would see, or which weights they would give.
//
// Mechanisms of grids act among the patches of the run's first picture and leave everything else as the model
// has it. A mask never shows more than the model does, except for those that say so (`widens`).
// Thread: any.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "analysis/mechanisms/head_masks.h"
#include "analysis/mechanisms/matrix.h"
#include "analysis/mechanisms/modality.h"
#include "kernels/base/result.h"

namespace saccade::mechanisms {

// What the mechanisms read; each its own.
struct Constants {
  int64_t window = 64, stride = 1, dilation = 1;
  int64_t block = 16;    // tokens of a block, group, chunk or frame
  int64_t side = 2;      // of a block of a grid, in patches; regions along a side for bi-former
  int64_t keep = 3;      // blocks, regions or chunks that a row keeps
  int64_t sink = 4;      // keys at the start that are always seen
  int64_t samples = 16;  // keys drawn (hyper), kept (recycled); agents
  int64_t period = 8;    // rows between full ones (recycled); stride of s2
  double share = 0.5;    // seer, moba-threshold, hilo, flex-prefill's coverage where it asks for one
  double threshold = 0.1, power = 3.0;
  uint64_t seed = 1;
  ElasticRule elastic;  // of this head
};

// One head of one run. q, k, v, weights: [position, d_head] and [query, key].
struct HeadView {
  int32_t layer = 0, head = 0, heads = 1;
  double scale = 1.0;
  bool causal = true;
  Matrix q, k, v;   // v has no rows where it is not known
  Matrix weights;   // the run's own map
  KeyMask visible;  // what the model itself lets a row see
  std::optional<PlacedGrid> picture;
  [[nodiscard]] int64_t n() const { return visible.queries(); }
};

// The rows of a matrix over all positions that are the picture's patches. The head has a picture.
[[nodiscard]] Matrix patch_rows(const HeadView& head, const Matrix& rows);

// Either a mask or weights.
struct Imposed {
  std::optional<KeyMask> mask;  // before it is cut to what the model shows
  std::optional<Matrix> weights;
};

enum class Needs { nothing, picture, causal, two_way_picture };

struct MechanismInfo {
  std::string_view name, summary, source;
  Needs needs = Needs::nothing;
  bool by_content = false;  // needs q, k, v or weights; the others follow from positions and the head's index
  bool needs_values = false;
  bool widens = false;  // shows keys that the model hides
  Result<Imposed> (*impose)(const HeadView&, const Constants&) = nullptr;
};

[[nodiscard]] std::span<const MechanismInfo> catalogue();
[[nodiscard]] const MechanismInfo* find_mechanism(std::string_view name);

// impose() with its needs checked. Errors say what the run lacks.
[[nodiscard]] Result<Imposed> impose(const MechanismInfo& mechanism, const HeadView& head,
                                     const Constants& constants);

}  // namespace saccade::mechanisms
