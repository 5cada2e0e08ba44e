// Which tokens a few heads would keep, from the attention of the last ones (CompressKV, SnapKV). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace saccade {

// rows: of each head, the weights of the last `window` queries on all keys, [window, keys]. Summed over the
// queries, without the keys of the window, average-pooled (5 keys wide, zeros beyond the ends), averaged over
// the heads. [keys - window]
[[nodiscard]] std::vector<double> token_importance(std::span<const std::vector<float>> rows, int64_t window,
                                                   int64_t keys);
// The `count` largest, ties to the earlier; sorted by position.
[[nodiscard]] std::vector<int64_t> strongest_tokens(std::span<const double> importance, int64_t count);

}  // namespace saccade
