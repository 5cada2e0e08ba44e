// Masks that differ from head to head and are fixed by position alone, for causal sequences of n tokens.
//
//   S2-Attention     query block i sees key block j of head h iff j <= i and (i - j < local or
//                    (j + h step + 1) mod stride == 0), step = max(1, floor(stride / H)); causal in blocks.
//                    Source: Lin et al. 2024 (arXiv 2407.17678) and its kernels.
//   shifted groups   groups of G tokens; every second half of the heads sees groups that begin G / 2 later.
//                    Source: Chen et al. 2023 (LongLoRA, arXiv 2309.12307); sinks always seen: SinkLoRA.
//   elastic          head h looks back w = alpha + beta n tokens, in blocks; the first block is always seen.
//                    Source: Fu et al. 2024 (MoA, arXiv 2406.14909).
//   stream           the first `sink` and the last `recent` keys. Source: Xiao et al. 2023 (arXiv
//   2309.17453).
#pragma once

#include <cstdint>

#include "analysis/mechanisms/key_mask.h"

namespace saccade::mechanisms {

struct ShardedBlocks {
  int64_t local = 1, stride = 8;
  int64_t heads = 1, head = 0;
};
// [query block, key block]. local, stride, heads >= 1.
[[nodiscard]] KeyMask sharded_blocks(int64_t blocks, const ShardedBlocks& rule);
[[nodiscard]] KeyMask sharded_mask(int64_t n, int64_t block, const ShardedBlocks& rule);

// group >= 1; shifted: groups are [-G / 2, G / 2), [G / 2, 3 G / 2), ...
[[nodiscard]] KeyMask group_mask(int64_t n, int64_t group, bool shifted, int64_t sinks = 0);

// Tokens that a head looks back on, itself included, for n tokens; rounded to the nearest.
struct ElasticRule {
  double alpha = 0.0, beta = 1.0;
  [[nodiscard]] int64_t span(int64_t n) const;
};
// [query block, key block] for n tokens: the first key block, and those less than ceil(span / block) back.
[[nodiscard]] KeyMask elastic_blocks(int64_t n, int64_t block, const ElasticRule& rule);
[[nodiscard]] KeyMask elastic_mask(int64_t n, int64_t block, const ElasticRule& rule);

[[nodiscard]] KeyMask stream_mask(int64_t n, int64_t sink, int64_t recent);

}  // namespace saccade::mechanisms
