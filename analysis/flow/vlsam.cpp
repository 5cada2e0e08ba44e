#include "analysis/flow/vlsam.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/flow/rollout.h"
#include "analysis/scanpath/parallel.h"
#include "core/model/visibility.h"

namespace saccade {
namespace {

// T <- (I + A')(I + T), columns times `factors`; gives the largest entry.
Result<float> step(const FusedMaps& maps, int32_t layer, const std::vector<double>& factors, int threads,
                   HostTensor& t, const JobContext& job) {
  const int64_t n = maps.size();
  for (int64_t i = 0; i < n; ++i) t.mutable_values()[static_cast<size_t>(i * n + i)] += 1.0F;  // I + T
  HostTensor next({n, n}, false);
  const auto blocks = static_cast<size_t>((n + fused_rows_at_once - 1) / fused_rows_at_once);
  std::vector<float> most(blocks, 0.0F);
  SACCADE_CHECK(in_parallel(blocks, threads, "", {job.cancel, {}}, [&](size_t block) -> Result<void> {
    const int64_t begin = static_cast<int64_t>(block) * fused_rows_at_once,
                  end = std::min(n, begin + fused_rows_at_once);
    const auto first = static_cast<size_t>(begin * n), count = static_cast<size_t>((end - begin) * n);
    std::vector<float> rows(count);
    SACCADE_CHECK(maps.rows(layer, begin, end, rows));
    const std::span<float> out = next.mutable_values().subspan(first, count);
    std::copy_n(t.data() + first, count, out.begin());
    add_product(rows, t.values(), n, out);
    for (size_t i = 0; i < count; ++i) {
      out[i] *= static_cast<float>(factors[i % static_cast<size_t>(n)]);
      most[block] = std::max(most[block], out[i]);
    }
    return {};
  }));
  t = std::move(next);
  return *std::max_element(most.begin(), most.end());
}

}  // namespace

std::vector<double> causal_factors(const ModelSpec& spec, int32_t layer, int64_t n) {
  std::vector<double> factors(static_cast<size_t>(n), 1.0);
  for (int64_t j = 0; j < n; ++j) {
    const int64_t seen_by = queries_that_see(spec, layer, j, n);
    factors[static_cast<size_t>(j)] = 1.0 - static_cast<double>(seen_by - 1) / static_cast<double>(n);
  }
  return factors;
}

Result<HostTensor> vlsam_flow(const FusedMaps& maps, const VlSamOptions& options, const JobContext& job) {
  const int64_t n = maps.size();
  if (n > vlsam_most_tokens)
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("VL-SAM's flow of {} tokens is a matrix of {} x {}; it is made for up to {} "
                    "tokens: shorten the prompt or give a smaller picture",
                    n, n, n, vlsam_most_tokens));
  HostTensor t({n, n});
  for (int32_t l = 0; l < maps.layers(); ++l) {
    job.progress(static_cast<double>(l) / maps.layers(), fmt::format("flow through layer {}", l));
    SACCADE_CHECK(job.check());
    const std::vector<double> factors = options.causal_correction
                                            ? causal_factors(maps.capture().spec, l, n)
                                            : std::vector<double>(static_cast<size_t>(n), 1.0);
    SACCADE_TRY(const float most, step(maps, l, factors, options.threads, t, job));
    if (!(most > 0.0F) || !std::isfinite(most))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("the flow through layer {} is {} everywhere", l, most));
    for (float& value : t.mutable_values()) value /= most;
  }
  return t;
}

PeakPoints peak_points(std::span<const float> map, int64_t rows, int64_t columns, double deviations) {
  PeakPoints points;
  double sum = 0.0, squares = 0.0;
  for (const float value : map) sum += value;
  const double mean = sum / static_cast<double>(map.size());
  for (const float value : map) squares += (value - mean) * (value - mean);
  points.threshold = mean + deviations * std::sqrt(squares / static_cast<double>(map.size()));
  points.negative = std::min_element(map.begin(), map.end()) - map.begin();
  std::vector<bool> seen(map.size(), false);
  for (int64_t first = 0; first < rows * columns; ++first) {
    std::vector<int64_t> area, waiting{first};
    while (!waiting.empty()) {
      const int64_t place = waiting.back();
      waiting.pop_back();
      const auto at = static_cast<size_t>(place);
      if (seen[at] || !(map[at] > points.threshold)) continue;
      seen[at] = true;
      area.push_back(place);
      const int64_t column = place % columns;
      if (place >= columns) waiting.push_back(place - columns);
      if (place + columns < rows * columns) waiting.push_back(place + columns);
      if (column > 0) waiting.push_back(place - 1);
      if (column + 1 < columns) waiting.push_back(place + 1);
    }
    if (area.size() > points.area.size()) points.area = std::move(area);
  }
  std::sort(points.area.begin(), points.area.end());
  for (const int64_t place : points.area)
    if (!points.positive || map[static_cast<size_t>(place)] > map[static_cast<size_t>(*points.positive)])
      points.positive = place;
  return points;
}

}  // namespace saccade
