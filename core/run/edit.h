// An Edit is an intervention as data: where (heads or a hook site) and what. Values save, replay, undo, diff
// and hash. Head edits act on z, before W_O; knockouts act on scores, before the softmax.
//
// Text form (the window, the command line and sessions share it): VERB TARGET [key=value]...
//   zero 9.9                      z of the head := 0 at every position
//   scale 9.9 by=0.5              z := by * z
//   mean 5.* over=positions       z := its mean over the positions of this run
//   mean 5.* from=ref.h5          z := the mean over positions of z in another run
//   replace 9.9 from=other.h5     z := z of another run, position by position (the same number of tokens)
//   knockout 9.9 query=14 key=4   p[14, 4] := 0 before renormalising; ranges 3:7 (half open), "*" = all
//   zero blocks.3.hook_resid_pre  a site instead of heads, for zero, scale, mean and replace
// TARGET for heads: 9.9  L9H9  5-7.*  *.0,3  (layers . heads, each a list of numbers and ranges, or *).
// A disabled edit is kept but does nothing; its text starts with "#".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/run/hook_site.h"

namespace saccade {

enum class EditVerb { zero, scale, mean, replace, knockout };

// Inclusive ranges of zero-based indices; empty = all ("*").
struct IndexSet {
  std::vector<std::pair<int32_t, int32_t>> ranges;
  [[nodiscard]] bool contains(int32_t index) const;
  bool operator==(const IndexSet&) const = default;
};

struct HeadTarget {
  IndexSet layers, heads;
  bool operator==(const HeadTarget&) const = default;
};

// Half-open token positions; no value = all.
struct PositionRange {
  int64_t begin = 0, end = 0;
  bool operator==(const PositionRange&) const = default;
};

struct Edit {
  EditVerb verb = EditVerb::zero;
  std::variant<HeadTarget, SiteRef> target;
  double by = 1.0;   // scale
  std::string from;  // mean, replace: a dump file or the name of another run; empty = this run
  std::optional<PositionRange> query, key;  // knockout
  bool enabled = true;
  bool operator==(const Edit&) const = default;
};

[[nodiscard]] std::string to_text(const Edit& edit);
[[nodiscard]] std::string to_text(const HeadTarget& target);  // "5-7.*"
// Errors show the text, the offending word and what would be accepted.
[[nodiscard]] Result<Edit> parse_edit(std::string_view text);

[[nodiscard]] HeadTarget target_of(HeadId head);
// The heads a target names in this model, sorted.
[[nodiscard]] std::vector<HeadId> heads_of(const HeadTarget& target, const ModelSpec& spec);
// Refuses layers and heads that the model does not have, positions beyond n_token, factors that are not
// finite.
[[nodiscard]] Result<void> check_edits(std::span<const Edit> edits, const ModelSpec& spec, int64_t n_token);

// False for edits that cannot change anything (disabled, or scale by exactly 1): the runner skips them, which
// is what makes a do-nothing list bit-equal to the baseline.
[[nodiscard]] bool has_effect(const Edit& edit);
// The first layer whose computation the edit changes; n_layer when it changes none of them.
[[nodiscard]] int32_t first_layer_of(const Edit& edit, const ModelSpec& spec);

}  // namespace saccade
