// The numbers that edits of z and of hook sites work with: vectors of files, gates. Pure; thread: any.
#pragma once

#include <span>
#include <vector>

#include "core/capture/vector_file.h"
#include "core/run/edit.h"

namespace saccade {

// LoFiT's pair (arXiv 2406.01563): z := (1 + by a) z + by v, each [d_head]. Null: zero.
struct HeadOffset {
  const std::vector<float>* a = nullptr;
  const std::vector<float>* v = nullptr;
};
// /head_offsets/LAYER/HEAD/{a,v}; both null for a head the file does not have. Errors: another length than
// d_head.
[[nodiscard]] Result<HeadOffset> head_offset(const VectorFile& file, const Edit& edit, HeadId head,
                                             int64_t d_head);
// The dataset the edit names; without a name, the one that is called like the site, or the file's only one.
// Errors list what the file has; another length than `width` is one.
[[nodiscard]] Result<const std::vector<float>*> steering_vector(const VectorFile& file, const Edit& edit,
                                                                int64_t width);
// Factors of candidate heads for one token, from the lengths of their queries (mixture of heads without
// training, arXiv 2410.11842): softmax of norms / sample standard deviation; the `keep` largest stay, ties to
// the lower head. Hard: 1 and 0; soft: the softmax of those that stay, summing to `keep`.
[[nodiscard]] std::vector<float> gates_of(std::span<const float> norms, int64_t keep, bool soft);

}  // namespace saccade
