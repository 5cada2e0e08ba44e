#include "analysis/mechanisms/head_masks.h"

#include <algorithm>
#include <cmath>

namespace saccade::mechanisms {
namespace {

KeyMask causal_blocks(const KeyMask& blocks, int64_t side, int64_t n) {
  KeyMask mask = expand_blocks(blocks, side, n);
  mask &= KeyMask::causal(n);
  return mask;
}

}  // namespace

KeyMask sharded_blocks(int64_t blocks, const ShardedBlocks& rule) {
  const int64_t step = std::max<int64_t>(1, rule.stride / rule.heads);
  KeyMask mask(blocks, blocks);
  for (int64_t i = 0; i < blocks; ++i)
    for (int64_t j = 0; j <= i; ++j)
      if (i - j < rule.local || (j + rule.head * step + 1) % rule.stride == 0) mask.show(i, j);
  return mask;
}

KeyMask sharded_mask(int64_t n, int64_t block, const ShardedBlocks& rule) {
  return causal_blocks(sharded_blocks((n + block - 1) / block, rule), block, n);
}

KeyMask group_mask(int64_t n, int64_t group, bool shifted, int64_t sinks) {
  const int64_t shift = shifted ? group / 2 : 0;
  KeyMask mask(n, n);
  for (int64_t i = 0; i < n; ++i) {
    mask.show(i, {(i + shift) / group * group - shift, i + 1});
    mask.show(i, {0, std::min(sinks, i + 1)});
  }
  return mask;
}

int64_t ElasticRule::span(int64_t n) const { return std::llround(alpha + beta * static_cast<double>(n)); }

KeyMask elastic_blocks(int64_t n, int64_t block, const ElasticRule& rule) {
  const int64_t blocks = (n + block - 1) / block, back = (rule.span(n) + block - 1) / block;
  KeyMask mask(blocks, blocks);
  for (int64_t i = 0; i < blocks; ++i) {
    mask.show(i, 0);
    mask.show(i, {i - std::max<int64_t>(back, 1) + 1, i + 1});
  }
  return mask;
}

KeyMask elastic_mask(int64_t n, int64_t block, const ElasticRule& rule) {
  return causal_blocks(elastic_blocks(n, block, rule), block, n);
}

KeyMask stream_mask(int64_t n, int64_t sink, int64_t recent) {
  KeyMask mask(n, n);
  for (int64_t i = 0; i < n; ++i) {
    mask.show(i, {0, std::min(sink, i + 1)});
    mask.show(i, {i - recent + 1, i + 1});
  }
  return mask;
}

}  // namespace saccade::mechanisms
