// Every measure between two paths, in one go.
#include <limits>

#include "analysis/scanpath/agreement.h"
#include "analysis/scanpath/path_distance.h"

namespace saccade {

std::vector<std::string> path_measure_names() {
  return {"MultiMatch shape",
          "MultiMatch direction",
          "MultiMatch length",
          "MultiMatch position",
          "MultiMatch duration",
          "ScanMatch",
          "Levenshtein",
          "Sequence score",
          "DTW",
          "Frechet"};
}

Result<std::vector<double>> path_measures(const Scanpath& a, const Scanpath& b,
                                          const MultiMatchOptions& multimatch_options,
                                          const ScanMatchOptions& scanmatch_options) {
  SACCADE_CHECK(check_comparable(a, b, 1));
  std::vector<double> values;
  if (a.fixations.size() >= 3 && b.fixations.size() >= 3) {
    SACCADE_TRY(const MultiMatch found, multimatch(a, b, multimatch_options));
    for (const double value : found.values()) values.push_back(value);
  } else {
    values.assign(5, std::numeric_limits<double>::quiet_NaN());
  }
  // A path of glances shorter than half a time bin has no letters: no number, not an end.
  auto scan = scanmatch(a, b, scanmatch_options);
  values.push_back(scan.ok() ? *scan : std::numeric_limits<double>::quiet_NaN());
  SACCADE_TRY(const AreaSequence first, grid_sequence(a, scanmatch_options.grid));
  SACCADE_TRY(const AreaSequence second, grid_sequence(b, scanmatch_options.grid));
  values.push_back(levenshtein_similarity(first, second));
  values.push_back(sequence_score(first, second));
  SACCADE_TRY(const WarpedDistance warped, dtw(a, b));
  SACCADE_TRY(const double leash, frechet(a, b));
  values.push_back(warped.mean);
  values.push_back(leash);
  return values;
}

}  // namespace saccade
