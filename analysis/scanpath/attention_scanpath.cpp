#include "analysis/scanpath/attention_scanpath.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace saccade {
namespace {

Result<void> check(const HostTensor& rows, PatchGrid grid, PictureSize picture,
                   const AttentionScanpathOptions& options) {
  const auto refuse = [](const std::string& what) { return make_error(ErrorCode::invalid_argument, what); };
  if (grid.rows < 1 || grid.columns < 1 || grid.rows > 65'536 || grid.columns > 65'536)
    return refuse(fmt::format("a grid of {} x {} patches", grid.rows, grid.columns));
  if (rows.shape().size() != 2 || rows.shape()[0] < 1 || rows.shape()[1] != grid.rows * grid.columns)
    return refuse(fmt::format("attention of shape [{}] for a grid of {} x {} patches; expected [step, {}]",
                              fmt::join(rows.shape(), ", "), grid.rows, grid.columns,
                              grid.rows * grid.columns));
  if (!picture.known()) return refuse("the size of the picture is not known; give its width and height");
  if (!(options.sink_times >= 0.0 && options.sigma >= 0.0 && options.sigma <= 1000.0 &&
        options.dwell_ms >= 0.0 && options.inhibited >= 0.0 && options.inhibited <= 1.0 &&
        options.recovery >= 1.0))
    return refuse(
        fmt::format("sink_times {}, sigma {}, inhibited {}, recovery {}; expected at least 0, at least 0, "
                    "0 to 1, at least 1",
                    options.sink_times, options.sigma, options.inhibited, options.recovery));
  for (int64_t i = 0; i < rows.size(); ++i)
    if (!std::isfinite(rows.data()[i]) || rows.data()[i] < 0.0F)
      return refuse(
          fmt::format("step {} gives patch {} an attention of {}; expected finite weights of 0 or more",
                      i / rows.shape()[1], i % rows.shape()[1], rows.data()[i]));
  return {};
}

std::vector<int64_t> find_sinks(const HostTensor& rows, double times) {
  const int64_t patches = rows.shape()[1];
  std::vector<double> means(static_cast<size_t>(patches), 0.0);
  for (int64_t i = 0; i < rows.size(); ++i) means[static_cast<size_t>(i % patches)] += rows.data()[i];
  std::vector<double> sorted = means;
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  const double median = sorted.size() % 2 == 1 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
  std::vector<int64_t> sinks;
  for (int64_t j = 0; j < patches; ++j)
    if (times > 0.0 && median > 0.0 && means[static_cast<size_t>(j)] > times * median) sinks.push_back(j);
  return sinks;
}

void inhibit(std::vector<double>& factors, PatchGrid grid, int64_t patch,
             const AttentionScanpathOptions& options) {
  for (double& factor : factors) factor = std::min(1.0, factor * options.recovery);
  for (int64_t row = patch / grid.columns - 1; row <= patch / grid.columns + 1; ++row)
    for (int64_t column = patch % grid.columns - 1; column <= patch % grid.columns + 1; ++column)
      if (row >= 0 && row < grid.rows && column >= 0 && column < grid.columns)
        factors[static_cast<size_t>(row * grid.columns + column)] = options.inhibited;
}

double entropy_of(const std::vector<double>& shares) {
  double entropy = 0.0;
  for (const double share : shares) entropy -= share > 0.0 ? share * std::log(share) : 0.0;
  return entropy;
}

}  // namespace

Result<AttentionScanpath> attention_scanpath(const HostTensor& rows, PatchGrid grid, PictureSize picture,
                                             const AttentionScanpathOptions& options) {
  SACCADE_CHECK(check(rows, grid, picture, options));
  AttentionScanpath scanpath;
  scanpath.path.size = picture;
  scanpath.sinks = find_sinks(rows, options.sink_times);
  const int64_t patches = rows.shape()[1];
  std::vector<double> factors(static_cast<size_t>(patches), 1.0);
  std::string nowhere;
  for (int64_t step = 0; step < rows.shape()[0]; ++step) {
    const auto row = rows.slice(step);
    std::vector<double> shares(row.begin(), row.end());
    const double mass = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (const int64_t sink : scanpath.sinks) shares[static_cast<size_t>(sink)] = 0.0;
    const double left = std::accumulate(shares.begin(), shares.end(), 0.0);
    if (!(left > 0.0)) {
      nowhere += (nowhere.empty() ? "" : ", ") + std::to_string(step);
      continue;
    }
    for (double& share : shares) share /= left;
    SaliencyMap row_map({grid.columns, grid.rows});
    row_map.values = shares;
    SACCADE_TRY(const SaliencyMap smooth, blurred(row_map, options.sigma));
    std::vector<double> seen = smooth.values;
    if (options.inhibition)
      for (size_t j = 0; j < seen.size(); ++j) seen[j] *= factors[j];
    const int64_t patch = std::max_element(seen.begin(), seen.end()) - seen.begin();
    if (options.inhibition) inhibit(factors, grid, patch, options);
    scanpath.steps.push_back({step, patch, mass, shares[static_cast<size_t>(patch)], entropy_of(shares)});
    const int64_t patch_x = patch % grid.columns, patch_y = patch / grid.columns;
    scanpath.path.fixations.push_back(
        {(static_cast<double>(patch_x) + 0.5) * static_cast<double>(picture.width) /
             static_cast<double>(grid.columns),
         (static_cast<double>(patch_y) + 0.5) * static_cast<double>(picture.height) /
             static_cast<double>(grid.rows),
         options.dwell_ms, static_cast<double>(step) * options.dwell_ms, step});
  }
  if (scanpath.steps.empty())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("no step looks at the picture outside its {} sinks; set sink_times=0 to keep them",
                    scanpath.sinks.size()));
  if (!nowhere.empty())
    scanpath.findings.push_back(
        fmt::format("Steps {} give the picture no attention and have no fixation.", nowhere));
  if (!scanpath.sinks.empty())
    scanpath.findings.push_back(
        fmt::format("{} of {} patches are sinks (mean above {:.3g} times the median) and left "
                    "out.",
                    scanpath.sinks.size(), patches, options.sink_times));
  return scanpath;
}

Table attention_steps_table(const AttentionScanpath& scanpath, PatchGrid grid,
                            const std::vector<std::string>& tokens) {
  Table table{"steps", {"step", "token", "patch", "row", "column", "mass", "share", "entropy"}, {}};
  for (const AttentionStep& step : scanpath.steps) {
    const auto at = static_cast<size_t>(step.step);
    table.rows.push_back({step.step, at < tokens.size() ? tokens[at] : "", step.patch,
                          step.patch / grid.columns, step.patch % grid.columns, step.mass, step.share,
                          step.entropy});
  }
  return table;
}

}  // namespace saccade
