#include "analysis/scanpath/path_distance.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

double distance(const Fixation& a, const Fixation& b) { return std::hypot(a.x - b.x, a.y - b.y); }

// Row by row over all pairs: cell = step(best of the cells before, distance of the pair). `best` chooses.
template <class Value, class Step>
Value through_pairs(const Scanpath& a, const Scanpath& b, const Step& step) {
  const size_t m = b.fixations.size();
  std::vector<Value> above(m), row(m);
  for (size_t i = 0; i < a.fixations.size(); ++i) {
    for (size_t j = 0; j < m; ++j) {
      const double d = distance(a.fixations[i], b.fixations[j]);
      if (i > 0 && j > 0)
        row[j] = step(std::min({above[j - 1], above[j], row[j - 1]}), d);
      else if (i > 0)
        row[j] = step(above[j], d);
      else if (j > 0)
        row[j] = step(row[j - 1], d);
      else
        row[j] = step(Value{}, d);
    }
    std::swap(above, row);
  }
  return above.back();
}

}  // namespace

Result<WarpedDistance> dtw(const Scanpath& a, const Scanpath& b) {
  SACCADE_CHECK(check_comparable(a, b, 1));
  using Way = std::pair<double, int64_t>;  // sum and pairs; of equal sums the one with fewer pairs
  const Way way = through_pairs<Way>(a, b, [](const Way& before, double d) {
    return Way{before.first + d, before.second + 1};
  });
  return WarpedDistance{way.first, way.first / static_cast<double>(way.second), way.second};
}

Result<double> frechet(const Scanpath& a, const Scanpath& b) {
  SACCADE_CHECK(check_comparable(a, b, 1));
  return through_pairs<double>(a, b, [](double before, double d) { return std::max(before, d); });
}

}  // namespace saccade
