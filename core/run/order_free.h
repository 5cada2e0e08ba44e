// An answer that does not depend on the order of some segments of the prompt (PINE: Wang et al. 2024,
// "Eliminating Position Bias of Language Models: A Mechanistic Approach", arXiv 2407.01100, section 3).
//
// A prompt is a prefix, segments that may be exchanged, and a suffix. `bounds` are the positions where
// segments begin, and where the last one ends: b_0 < ... < b_m, segment j is [b_j, b_j+1). Segments see each
// other whole, themselves and the prefix causally; the suffix sees all. All segments are placed so that they
// end where the last one does, and each query of each head then puts the segments in an order of its own:
// those it finds important nearest to itself. Segment j moves back by its shift, the length of what is ranked
// before it:
//   position of a key of segment j = initial_position(key) - shift(query, j)
// Importance of segment j for a query of the suffix: softmax of q k^T, both unrotated, over the tokens of all
// segments, summed over j's and divided by how many these are. For segment i as query: the same without its
// own tokens, summed over its tokens; itself has shift 0.
//
// How maps of such layers are made: rotary scores depend on distances alone, so a key moved back by a shift
// is met by a query turned on by it. A head's queries get one slot of d_head numbers for keys outside
// segments and one per segment, each turned by that segment's shift; keys stand in their own slot and are 0
// in the others. One scalar product of the wide vectors is then the score, and kernels, statistics and tiles
// need to know nothing of it. q and k in captures are as always, each rotated to its (initial) position; the
// shifts are kept beside them. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/run/rotary.h"
#include "kernels/attention.h"

namespace saccade::order_free {

using Bounds = std::span<const int64_t>;

[[nodiscard]] inline int64_t n_segment(Bounds bounds) { return static_cast<int64_t>(bounds.size()) - 1; }
// -1 where a position is in none.
[[nodiscard]] int64_t segment_of(Bounds bounds, int64_t position);
// Where it stands before it is moved: segments end where the last one does, all else stays.
[[nodiscard]] int64_t initial_position(Bounds bounds, int64_t position);

// Shifts of the segments for one query, most important first; `own` has none (-1: the query is in no
// segment). Equal importance keeps the order given.
[[nodiscard]] std::vector<int64_t> shifts_of(Bounds bounds, std::span<const double> importance,
                                             int64_t own = -1);

// q [row, head, d_head] and k [key, kv_head, d_head] without rotation; rows are positions [first_row, ...),
// keys positions [0, ...) that reach to the last bound at least. Gives [head, row, segment], whole numbers; 0
// for rows of the prefix.
[[nodiscard]] HostTensor segment_shifts(Bounds bounds, const HostTensor& q, const HostTensor& k,
                                        int64_t first_row, double scale);

// What moves by whole positions, without the factor that some scalings put on cosine and sine.
[[nodiscard]] RotaryTable shift_table(const RotarySpec& rotary, Bounds bounds);

// Heads [first_head, first_head + heads) of q [row, head, d_head] in slots: [row, heads, (1 + segments) *
// d_head]. shifts as segment_shifts() gives them. Without a table (layers that do not rotate) all slots are q
// itself.
[[nodiscard]] HostTensor slot_queries(const HostTensor& q, const HostTensor& shifts, const RotaryTable* table,
                                      int64_t first_head, int64_t heads);
// The same of k [key, kv_head, d_head], keys positions [0, ...).
[[nodiscard]] HostTensor slot_keys(Bounds bounds, const HostTensor& k, int64_t first_head, int64_t heads);

// What queries [first_row, first_row + rows) of keys [0, n_key) do not see, for a mask that is not causal.
[[nodiscard]] std::vector<EdgeRect> hidden(Bounds bounds, int64_t first_row, int64_t rows, int64_t n_key);

}  // namespace saccade::order_free
