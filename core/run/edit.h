// An Edit is an intervention as data: where (heads or a hook site) and what. Values save, replay, undo, diff
// and hash.
//
// Text form (the window, the command line and sessions share it): VERB TARGET [key=value]...
// What acts on z, before W_O, or on a hook site:
//   zero 9.9                      z of the head := 0; with query= only at those positions, as for all of
//   these scale 9.9 by=0.5              z := by * z mean 5.* over=positions       z := its mean over the
//   positions of this run mean 5.* from=ref.h5          z := the mean over positions of z in another run
//   replace 9.9 from=other.h5     z := z of another run, position by position (the same number of tokens)
//   offset 5.1 from=lofit.h5      z := (1 + by a) z + by v, a and v of /head_offsets/LAYER/HEAD in the file
//   offset 5.1 add=0.1,-0.2       the same with v given, one number for each of d_head
//   gate 8-15.* keep=4            per token only the `keep` target heads of a layer with the longest queries
//   add blocks.3.hook_resid_post from=steer.h5 by=4    x := x + by v, v a dataset of d_model numbers
//   zero blocks.3.hook_resid_pre  a site instead of heads, for zero, scale, mean and replace
//   replace 9.9 at=q from=ref.h5  zero, scale, mean and replace also act on a head's q, k or v instead of z
//   (q
//                                 and k after rotation). k and v belong to all query heads of a group.
//   replace 9.9 at=q_input from=other  q of the head is projected from the residual of another run; likewise
//                                 k_input and v_input. All other heads read this run's residual.
// What acts on scores, before the softmax:
//   knockout 9.9 query=14 key=4   p[14, 4] := 0 before renormalising
//   temperature 5.1 by=0.5        s := s / by
//   bias 5.1 by=2 key=3:7         s := s + by
//   boost 5.1 by=0.7 key=3:7      s := s + by |s|
//   stream 5.1 sink=64 recent=256 only the first `sink` and the last `recent` keys are seen
//   stream *.* from=gates.tsv by=0.5    the same for those KV heads (each with all its query heads) whose
//                                 DuoAttention gates are the lowest, by= of all; from= is their file or
//                                 folder
// What acts on weights, after the softmax:
//   uniform 5.* by=1              p := (1 - by) p + by / n on the n visible keys (of key=, if given)
//   identity 5.* by=0.4           p := (1 - by) p + by [key = query]
//   force 5.1 key=3,7 by=0.5      uniform on some keys: p := (1 - by) p + by / n on those visible
//   column-scale 5.1 key=0 by=0.4 p := by p on those keys; renormalise=yes makes the row sum to 1 again
//   redistribute 5.1 key=0 to=rest by=0.4   p := by p on key=; what they lose goes to `to`, in proportion;
//                                 least-mass=, least-share=: only rows with so much weight on `within` (key
//                                 and to, unless given), and such a part of that on `to`
//   power 5.1 by=2                p := p^by / sum
//   sharpen 5.1 by=3              p := max(0, n p - 1)^by / sum: keys above the uniform level 1 / n
//   pattern 5.1 from=other.h5     p := p of another run (rows query=, keys key=)
// What acts on positions, before the scores:
//   order-free *.* segments=4,9,15   the segments 4:9 and 9:15 of the prompt count as if they had no order
//                                 (PINE, core/run/order_free.h); on all heads of a layer together
//   reposition *.* layout=concentric   rotary positions are laid out otherwise
//                                 (core/run/position_layout.h): a picture's in rings (CCA), from the last
//                                 to the first (reversed), column by column (columns) or mixed (shuffled,
//                                 seed=); tokens= which, all pictures unless given
//   shift 3-5.* by=-12 tokens=20:   rotary positions of these tokens := position + by, a whole number
//                                 Both act on queries and keys of whole layers, in list order; who may see
//                                 whom stays with the order of the tokens.
// Knockouts act first, then edits of scores, of weights and of z, each kind in list order; the formulas are
// those of kernels/map_edits.h.
// TARGET for heads: 9.9  L9H9  5-7.*  *.0,3  (layers . heads, each a list of numbers and ranges, or *).
// Positions: 14  3:7 (half open)  20: (to the end, decoded tokens included)  lists 0,3:7  * = all. They are
// absolute, so that they mean the same in decoding. Besides numbers they name regions: img (all pictures),
// img2 (the second), sys (before the first), txt (other text) and gen (what is generated); a name means what
// it names in whatever prompt the edit is used with.
// A disabled edit is kept but does nothing; its text starts with "#".
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/image/placed_image.h"
#include "core/run/hook_site.h"

namespace saccade {

enum class EditVerb {
  zero,
  scale,
  mean,
  replace,
  knockout,
  temperature,
  bias,
  boost,
  stream,
  uniform,
  identity,
  force,
  column_scale,
  redistribute,
  power,
  sharpen,
  pattern,
  offset,
  add,
  gate,
  order_free,
  reposition,
  shift,
};

// What of a head an edit acts on. The inputs are the residual that its q, k or v alone is projected from.
enum class HeadPart { z, q, k, v, q_input, k_input, v_input };
[[nodiscard]] constexpr bool is_input(HeadPart part) { return part >= HeadPart::q_input; }
[[nodiscard]] std::string_view to_string(HeadPart part);

// How reposition lays tokens out (core/run/position_layout.h).
enum class PositionLayout { concentric, reversed, columns, shuffled };
[[nodiscard]] std::string_view to_string(PositionLayout layout);

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

// Half-open token positions. An end of open_end is wherever the tokens end, decoded ones included.
struct PositionRange {
  static constexpr int64_t open_end = std::numeric_limits<int64_t>::max();
  int64_t begin = 0, end = 0;
  bool operator==(const PositionRange&) const = default;
};

// A region of the tokens by name; picture: 1, 2, ... = that picture alone, 0 = all of the region.
struct RegionName {
  TokenRegion region = TokenRegion::txt;
  int32_t picture = 0;
  auto operator<=>(const RegionName&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

// Positions in ranges that are sorted and do not touch, however they were given, and regions by name, which
// have no numbers before they are looked up (core/run/edit_regions.h).
class PositionSet {
 public:
  PositionSet() = default;
  PositionSet(PositionRange range);  // NOLINT(google-explicit-constructor): a range is a set
  explicit PositionSet(std::vector<PositionRange> ranges, std::vector<RegionName> regions = {});
  [[nodiscard]] const std::vector<PositionRange>& ranges() const { return ranges_; }
  [[nodiscard]] const std::vector<RegionName>& regions() const { return regions_; }
  [[nodiscard]] bool empty() const { return ranges_.empty() && regions_.empty(); }
  // Of the numbers alone.
  [[nodiscard]] bool contains(int64_t position) const;
  [[nodiscard]] bool meets(const PositionSet& other) const;
  bool operator==(const PositionSet&) const = default;

 private:
  std::vector<PositionRange> ranges_;
  std::vector<RegionName> regions_;  // sorted, each once
};

// Which fields a verb has is said in core/run/edit_verbs.h; the others keep their defaults.
struct Edit {
  EditVerb verb = EditVerb::zero;
  std::variant<HeadTarget, SiteRef> target;
  double by = 1.0;
  // mean, replace, pattern: a dump file or the name of another run, empty = this run; offset, add: a file of
  // vectors; stream: a file of gates
  std::string from;
  // no value = all. reposition and shift: query is tokens=, those that are moved
  std::optional<PositionSet> query, key;
  std::optional<PositionSet> to;      // redistribute: the receivers; no value = every key not in `key`
  std::optional<PositionSet> within;  // redistribute: what its row test counts; no value = key and to
  int64_t sink = 64, recent = 256;    // stream
  double least_mass = 0.0, least_share = 0.0;  // redistribute: the rows it acts on
  std::optional<bool> renormalise;             // column-scale (no value = no), pattern (no value = yes)
  std::vector<double> add;                     // offset: v, [d_head]
  std::string dataset;                         // add: which of the file's datasets
  HeadPart at = HeadPart::z;                   // zero, scale, mean, replace of heads
  int64_t keep = 0;                            // gate: heads that stay on
  bool soft = false;                           // gate: weighed instead of on or off
  std::vector<int64_t> segments;  // order-free: where segments begin, and where the last one ends
  PositionLayout layout = PositionLayout::concentric;  // reposition
  int64_t seed = 1;                                    // reposition: of layout=shuffled
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
// Refuses layers and heads that the model does not have, positions beyond the tokens, regions that the tokens
// do not have, factors out of range. n_token alone: of text.
[[nodiscard]] Result<void> check_edits(std::span<const Edit> edits, const ModelSpec& spec,
                                       const TokenPlaces& places);
[[nodiscard]] Result<void> check_edits(std::span<const Edit> edits, const ModelSpec& spec, int64_t n_token);

// False for edits that cannot change anything (disabled, or scale by exactly 1): the runner skips them, which
// is what makes a do-nothing list bit-equal to the baseline.
[[nodiscard]] bool has_effect(const Edit& edit);
// The first layer whose computation the edit changes; n_layer when it changes none of them.
[[nodiscard]] int32_t first_layer_of(const Edit& edit, const ModelSpec& spec);

}  // namespace saccade
