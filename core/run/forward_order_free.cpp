// ForwardPass's attention where segments of the prompt have no order: q and k in slots
// (core/run/order_free.h), v and z as wide as these.
#include <algorithm>
#include <optional>

#include "core/run/forward.h"
#include "core/run/layer_attention.h"
#include "core/run/order_free.h"

namespace saccade {
namespace {

HostTensor as_tensor(const std::vector<float>& values, int64_t length, int64_t heads, int64_t d) {
  HostTensor tensor({length, heads, d}, false);
  std::copy_n(values.begin(), tensor.size(), tensor.mutable_values().begin());
  return tensor;
}

// [token, head, wide]: the values, then nothing.
HostTensor widened(const HeadsView& v, int64_t length, int64_t heads, int64_t d, int64_t wide) {
  HostTensor values({length, heads, wide});
  float* to = values.mutable_values().data();
  for (int64_t i = 0; i < length; ++i)
    for (int64_t h = 0; h < heads; ++h, to += wide)
      std::copy_n(v.data + i * v.token_stride + h * v.head_stride, d, to);
  return values;
}

}  // namespace

void ForwardPass::take_order_free(int32_t l, Attention& attention, const LayerPlan& plan,
                                  const LayerOptions& options, AttentionInput& input, Slots& slots) const {
  const order_free::Bounds bounds = plan.segments;
  const int64_t d = spec_.d_head, heads = spec_.n_head, kv_heads = spec_.n_kv_head;
  const int64_t rows = input.shape.n_query, n_key = input.shape.n_key;
  const KvCache* cache = options.cache;
  const HostTensor unrotated =
      cache != nullptr ? as_tensor(cache->unrotated, n_key, kv_heads, d) : attention.k_unrotated;
  attention.shifts = order_free::segment_shifts(bounds, attention.q_unrotated, unrotated,
                                                options.first_position, scores_of(spec_, l).scale);
  std::optional<RotaryTable> table;
  if (const RotarySpec* rotary = spec_.rotary_of(l)) table = order_free::shift_table(*rotary, bounds);
  slots.q = order_free::slot_queries(attention.q, attention.shifts, table ? &*table : nullptr, 0, heads);
  slots.k = order_free::slot_keys(
      bounds, cache != nullptr ? as_tensor(cache->keys, n_key, kv_heads, d) : attention.k, 0, kv_heads);
  const int64_t wide = slots.q.shape()[2];
  // With bfloat16 the views may be of that type; attention.v holds the same numbers.
  const HeadsView v = cache != nullptr ? input.v : attention.v;
  slots.v = widened(v, n_key, kv_heads, d, wide);
  slots.knockouts.assign(static_cast<size_t>(heads),
                         order_free::hidden(bounds, options.first_position, rows, n_key));
  for (size_t h = 0; h < plan.knockouts.size(); ++h)
    slots.knockouts[h].insert(slots.knockouts[h].end(), plan.knockouts[h].begin(), plan.knockouts[h].end());
  input.shape.d_head = wide;
  input.mask.causal = false;
  input.mask.knockouts = slots.knockouts;
  input.q = {slots.q.data(), heads * wide, wide};
  input.k = {slots.k.data(), kv_heads * wide, wide};
  input.v = {slots.v.data(), kv_heads * wide, wide};
}

}  // namespace saccade
