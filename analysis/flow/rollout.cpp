#include "analysis/flow/rollout.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/scanpath/parallel.h"

namespace saccade {
namespace {

size_t blocks_of(int64_t n) { return static_cast<size_t>((n + fused_rows_at_once - 1) / fused_rows_at_once); }

JobContext quiet(const JobContext& job) { return {job.cancel, {}}; }

}  // namespace

void add_product(std::span<const float> a, std::span<const float> g, int64_t n, std::span<float> out) {
  const auto rows = static_cast<int64_t>(a.size()) / std::max<int64_t>(n, 1);
  // A panel of g stays in the cache while all rows pass over it.
  constexpr int64_t panel = 64;
  for (int64_t first = 0; first < n; first += panel) {
    const int64_t last = std::min(n, first + panel);
    for (int64_t i = 0; i < rows; ++i) {
      float* const to = out.data() + i * n;
      for (int64_t k = first; k < last; ++k) {
        const float weight = a[static_cast<size_t>(i * n + k)];
        if (weight == 0.0F) continue;
        const float* const from = g.data() + k * n;
        for (int64_t j = 0; j < n; ++j) to[j] += weight * from[j];
      }
    }
  }
}

Result<std::vector<std::vector<double>>> rollout_from(const FusedMaps& maps, const std::vector<double>& start,
                                                      const RolloutOptions& options, const JobContext& job) {
  const int64_t n = maps.size();
  if (static_cast<int64_t>(start.size()) != n)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} shares to begin with for {} tokens", start.size(), n));
  std::vector<std::vector<double>> shares(static_cast<size_t>(maps.layers()) + 1);
  shares.back() = start;
  const size_t blocks = blocks_of(n);
  for (int32_t l = maps.layers() - 1; l >= 0; --l) {
    const auto at = static_cast<size_t>(l);
    job.progress(static_cast<double>(maps.layers() - 1 - l) / maps.layers(),
                 fmt::format("rollout through layer {}", l));
    SACCADE_CHECK(job.check());
    if (!maps.acts(l)) {
      shares[at] = shares[at + 1];
      continue;
    }
    const std::vector<double>& above = shares[at + 1];
    // Each block's part on its own, added up in order: the same numbers for any number of threads.
    std::vector<std::vector<double>> parts(blocks);
    SACCADE_CHECK(in_parallel(blocks, options.threads, "", quiet(job), [&](size_t block) -> Result<void> {
      const int64_t begin = static_cast<int64_t>(block) * fused_rows_at_once,
                    end = std::min(n, begin + fused_rows_at_once);
      int64_t lo = begin, hi = end;  // rows with a share
      while (lo < hi && above[static_cast<size_t>(lo)] == 0.0) ++lo;
      while (hi > lo && above[static_cast<size_t>(hi - 1)] == 0.0) --hi;
      if (lo == hi) return {};
      std::vector<float> rows(static_cast<size_t>((hi - lo) * n));
      SACCADE_CHECK(maps.mixed_rows(l, lo, hi, options.residual, rows));
      std::vector<double>& part = parts[block];
      part.assign(static_cast<size_t>(n), 0.0);
      for (int64_t i = lo; i < hi; ++i) {
        const double share = above[static_cast<size_t>(i)];
        const float* const row = rows.data() + (i - lo) * n;
        for (int64_t j = 0; j < n; ++j) part[static_cast<size_t>(j)] += share * row[j];
      }
      return {};
    }));
    std::vector<double>& below = shares[at];
    below.assign(static_cast<size_t>(n), 0.0);
    for (const std::vector<double>& part : parts)
      for (size_t j = 0; j < part.size(); ++j) below[j] += part[j];
  }
  return shares;
}

Result<HostTensor> rollout_map(const FusedMaps& maps, const RolloutOptions& options, const JobContext& job) {
  const int64_t n = maps.size();
  if (n > rollout_most_tokens)
    return make_error(ErrorCode::out_of_memory,
                      fmt::format("the whole rollout of {} tokens is a matrix of {} x {}; it is made for up "
                                  "to {} tokens, single targets for any number",
                                  n, n, n, rollout_most_tokens));
  HostTensor r({n, n});
  for (int64_t i = 0; i < n; ++i) r.mutable_values()[static_cast<size_t>(i * n + i)] = 1.0F;
  const size_t blocks = blocks_of(n);
  for (int32_t l = 0; l < maps.layers(); ++l) {
    job.progress(static_cast<double>(l) / maps.layers(), fmt::format("rollout through layer {}", l));
    SACCADE_CHECK(job.check());
    if (!maps.acts(l)) continue;
    HostTensor next({n, n});
    SACCADE_CHECK(in_parallel(blocks, options.threads, "", quiet(job), [&](size_t block) -> Result<void> {
      const int64_t begin = static_cast<int64_t>(block) * fused_rows_at_once,
                    end = std::min(n, begin + fused_rows_at_once);
      std::vector<float> rows(static_cast<size_t>((end - begin) * n));
      SACCADE_CHECK(maps.mixed_rows(l, begin, end, options.residual, rows));
      add_product(rows, r.values(), n,
                  next.mutable_values().subspan(static_cast<size_t>(begin * n), rows.size()));
      return {};
    }));
    r = std::move(next);
  }
  return r;
}

}  // namespace saccade
