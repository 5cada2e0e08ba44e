#include "analysis/images/phrase_maps.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// Mean of the rows that count.
std::vector<double> mean_of(const mechanisms::Matrix& maps, const std::vector<bool>& counts) {
  const bool any = std::find(counts.begin(), counts.end(), true) != counts.end();
  std::vector<double> mean(static_cast<size_t>(maps.columns), 0.0);
  double words = 0.0;
  for (int64_t w = 0; w < maps.rows; ++w) {
    if (any && !counts[static_cast<size_t>(w)]) continue;
    words += 1.0;
    for (size_t j = 0; j < mean.size(); ++j) mean[j] += maps.row(w)[j];
  }
  for (double& value : mean) value /= std::max(words, 1.0);
  return mean;
}

}  // namespace

std::vector<int64_t> global_sinks(const mechanisms::Matrix& maps, const SinkRule& rule) {
  std::vector<int64_t> times(static_cast<size_t>(maps.columns), 0), sinks;
  const auto count =
      std::max<int64_t>(1, static_cast<int64_t>(std::floor(rule.top * static_cast<double>(maps.columns))));
  for (int64_t w = 0; w < maps.rows; ++w)
    for (const int64_t j : mechanisms::top_indices(maps.row(w), count)) ++times[static_cast<size_t>(j)];
  for (int64_t j = 0; j < maps.columns; ++j)
    if (static_cast<double>(times[static_cast<size_t>(j)]) > rule.words * static_cast<double>(maps.rows))
      sinks.push_back(j);
  return sinks;
}

std::vector<double> phrase_map(const mechanisms::Matrix& maps, const std::vector<bool>& counts,
                               const SinkRule& rule) {
  std::vector<double> map = mean_of(maps, counts);
  for (const int64_t j : global_sinks(maps, rule)) map[static_cast<size_t>(j)] = 0.0;
  mechanisms::normalise(map);
  return map;
}

Magnets magnet_map(const mechanisms::Matrix& maps, const std::vector<bool>& is_content) {
  Magnets magnets;
  magnets.map = mean_of(maps, is_content);
  for (int64_t j = 0; j < maps.columns; ++j) {
    int64_t best = 0;
    for (int64_t w = 1; w < maps.rows; ++w)
      if (maps.at(w, j) > maps.at(best, j)) best = w;
    magnets.owner.push_back(best);
    if (!is_content[static_cast<size_t>(best)]) magnets.map[static_cast<size_t>(j)] = 0.0;
  }
  return magnets;
}

}  // namespace saccade
