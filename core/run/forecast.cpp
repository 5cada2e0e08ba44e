// What a run will need, from shapes alone: nothing is allocated to find out.
#include <algorithm>

#include "core/run/runner_state.h"

namespace saccade {
namespace {

constexpr int64_t word = sizeof(float);
constexpr int64_t row_statistics = 6;     // entropy, max weight and key, sink, local, distance
constexpr int64_t column_statistics = 2;  // received, received_max

int64_t capture_bytes(const ModelSpec& spec, const CapturePlan& plan, const std::string& dtype, int64_t n) {
  int64_t per_layer = 0;
  if (plan.residuals) per_layer += n * spec.d_model;
  const int64_t halves = dtype == "bf16" ? 2 : 1;  // q and k are kept as they were multiplied
  if (plan.attention)
    per_layer += n * (spec.n_head + spec.n_kv_head) * spec.d_head / halves + n * spec.n_head;
  if (plan.statistics) {
    const auto named = static_cast<int64_t>(plan.key_masses.size()) + (plan.value_mass ? 1 : 0);
    per_layer += n * spec.n_head * (row_statistics + column_statistics + named);
    if (plan.block_size > 0) {
      const int64_t blocks = (n + plan.block_size - 1) / plan.block_size;
      per_layer += 2 * spec.n_head * blocks * blocks;
    }
  }
  int64_t total = per_layer * spec.n_layer + n * spec.d_model + spec.n_vocab;
  for (const SiteRef& site : plan.sites) {
    if (site.site == HookSite::pattern || site.site == HookSite::attn_scores)
      continue;  // regenerated when written
    int64_t size = 1;
    for (const int64_t extent : shape_of(site.site, spec, n)) size *= extent;
    total += size;
  }
  return total * word;
}

int64_t working_bytes(const ModelSpec& spec, int64_t n) {
  const int64_t attention_width = (2 * spec.n_head + 2 * spec.n_kv_head) * spec.d_head * 2;
  const int64_t mlp_width = (spec.gated_mlp ? 3 : 2) * static_cast<int64_t>(spec.d_mlp);
  const int64_t rows = n * (std::max(attention_width, mlp_width) + 4 * spec.d_model);
  const int64_t logits = std::min<int64_t>(n, 128) * spec.n_vocab * 3;
  const int64_t widened = spec.weight_dtype == "float32" || spec.weight_dtype.empty()
                              ? 0
                              : static_cast<int64_t>(spec.d_mlp) * spec.d_model;
  return (std::max(rows + widened, logits) + (int64_t{8} << 20)) * word;
}

}  // namespace

MemoryForecast forecast_memory(const ModelSpec& spec, int64_t weight_bytes, const CapturePlan& plan,
                               const std::string& dtype, int64_t n_token, int64_t available) {
  MemoryForecast forecast;
  forecast.weights = weight_bytes;
  forecast.captures = capture_bytes(spec, plan, dtype, n_token);
  forecast.working = working_bytes(spec, n_token);
  forecast.available = available;
  const auto fits = [&](int64_t n) {
    return capture_bytes(spec, plan, dtype, n) + working_bytes(spec, n) <= available;
  };
  int64_t low = 0, high = spec.n_context;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    (fits(middle) ? low : high) = fits(middle) ? middle : middle - 1;
  }
  forecast.longest = low;
  return forecast;
}

}  // namespace saccade
