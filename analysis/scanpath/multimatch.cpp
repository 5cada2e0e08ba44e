#include "analysis/scanpath/multimatch.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

namespace saccade {
namespace {

struct Saccade {
  double x = 0.0, y = 0.0;    // start, pixels
  double dx = 0.0, dy = 0.0;  // vector, pixels
  [[nodiscard]] double length() const { return std::hypot(dx, dy); }
  [[nodiscard]] double angle() const { return std::atan2(dy, dx); }
};

// durations[i] is that of the fixation where saccade i starts; one or more follow the last saccade.
struct VectorPath {
  std::vector<Saccade> saccades;
  std::vector<double> durations;
};

VectorPath vectors_of(const Scanpath& path) {
  VectorPath vectors;
  const auto& fixations = path.fixations;
  for (size_t i = 0; i < fixations.size(); ++i) {
    vectors.durations.push_back(fixations[i].duration);
    if (i + 1 < fixations.size())
      vectors.saccades.push_back({fixations[i].x, fixations[i].y, fixations[i + 1].x - fixations[i].x,
                                  fixations[i + 1].y - fixations[i].y});
  }
  return vectors;
}

Saccade joined(const Saccade& first, const Saccade& second) {
  return {first.x, first.y, first.dx + second.dx, first.dy + second.dy};
}

double degrees_between(const Saccade& a, const Saccade& b) {
  const double lengths = a.length() * b.length();
  if (!(lengths > 0.0)) return 360.0;  // no direction, never the same one
  const double cosine = std::clamp((a.dx * b.dx + a.dy * b.dy) / lengths, -1.0, 1.0);
  return std::acos(cosine) * 180.0 / std::numbers::pi;
}

// One pass that joins saccade i to the next wherever joins(i) says so.
template <class Joins>
VectorPath join_pairs(const VectorPath& path, size_t end, const Joins& joins) {
  VectorPath simpler;
  for (size_t i = 0; i < end; ++i) {
    const bool join = i + 1 < path.saccades.size() && joins(i);
    simpler.saccades.push_back(join ? joined(path.saccades[i], path.saccades[i + 1]) : path.saccades[i]);
    simpler.durations.push_back(path.durations[i]);
    if (join) ++i;
  }
  return simpler;
}

VectorPath simplify_direction(const VectorPath& path, const MultiMatchOptions& options) {
  VectorPath simpler = join_pairs(path, path.saccades.size(), [&](size_t i) {
    return degrees_between(path.saccades[i], path.saccades[i + 1]) < options.direction_degrees &&
           path.durations[i + 1] < options.duration_ms;
  });
  simpler.durations.push_back(path.durations.back());
  return simpler;
}

VectorPath simplify_length(const VectorPath& path, const MultiMatchOptions& options) {
  const size_t count = path.saccades.size();
  bool last_was_joined = false;  // to the one before, and so has no turn of its own
  VectorPath simpler = join_pairs(path, count - 1, [&](size_t i) {
    const bool join =
        path.saccades[i].length() < options.amplitude &&
        (path.durations[i + 1] < options.duration_ms || path.durations[i] < options.duration_ms);
    last_was_joined = join && i + 2 == count;
    return join;
  });
  if (!last_was_joined) {
    const Saccade& last = path.saccades.back();
    const bool brief = path.durations.back() < options.duration_ms ||
                       path.durations[path.durations.size() - 2] < options.duration_ms;
    if (last.length() < options.amplitude && brief && !simpler.saccades.empty()) {
      // The toolbox's own way, see the header: the position stays that of the saccade before.
      const Saccade sum = joined(path.saccades[count - 2], last);
      simpler.saccades.back().dx = sum.dx;
      simpler.saccades.back().dy = sum.dy;
      simpler.durations.push_back(path.durations[count - 2]);
    } else {
      simpler.saccades.push_back(last);
      simpler.durations.push_back(path.durations[count - 1]);
    }
  }
  simpler.durations.push_back(path.durations.back());
  return simpler;
}

// Until neither pass changes anything; each change makes a list shorter, so this ends.
VectorPath simplified(VectorPath path, const MultiMatchOptions& options) {
  while (true) {
    VectorPath simpler = simplify_length(simplify_direction(path, options), options);
    const bool same =
        simpler.saccades.size() == path.saccades.size() && simpler.durations.size() == path.durations.size();
    path = std::move(simpler);
    if (same) return path;
  }
}

double vector_difference(const Saccade& u, const Saccade& v) { return std::hypot(u.dx - v.dx, u.dy - v.dy); }

// The pairs along the cheapest way through M, from (0, 0) to the last pair. The graph has no cycles, so
// filling it row by row gives what Dijkstra's algorithm gives.
std::vector<std::pair<size_t, size_t>> align(const std::vector<Saccade>& a, const std::vector<Saccade>& b) {
  const size_t rows = a.size(), columns = b.size();
  std::vector<double> cost(rows * columns);
  const auto at = [&](size_t i, size_t j) -> double& { return cost[i * columns + j]; };
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) {
      double before = 0.0;
      if (i > 0 && j > 0)
        before = std::min({at(i - 1, j - 1), at(i - 1, j), at(i, j - 1)});
      else if (i > 0)
        before = at(i - 1, 0);
      else if (j > 0)
        before = at(0, j - 1);
      at(i, j) = before + vector_difference(a[i], b[j]);
    }
  std::vector<std::pair<size_t, size_t>> way{{rows - 1, columns - 1}};
  while (way.back() != std::pair<size_t, size_t>{0, 0}) {
    auto [i, j] = way.back();
    if (i > 0 && j > 0) {
      const double diagonal = at(i - 1, j - 1), up = at(i - 1, j), left = at(i, j - 1);
      if (diagonal <= up && diagonal <= left)
        --i, --j;
      else if (up <= left)
        --i;
      else
        --j;
    } else if (i > 0) {
      --i;
    } else {
      --j;
    }
    way.emplace_back(i, j);
  }
  return way;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

double angle_difference(const Saccade& u, const Saccade& v) {
  const double difference = std::abs(u.angle() - v.angle());
  return difference > std::numbers::pi ? 2.0 * std::numbers::pi - difference : difference;
}

}  // namespace

Result<MultiMatch> multimatch(const Scanpath& a, const Scanpath& b, const MultiMatchOptions& options) {
  SACCADE_CHECK(check_comparable(a, b, 3));
  VectorPath first = vectors_of(a), second = vectors_of(b);
  if (options.simplify) {
    first = simplified(std::move(first), options);
    second = simplified(std::move(second), options);
  }
  std::array<std::vector<double>, 5> differences;
  for (const auto& [i, j] : align(first.saccades, second.saccades)) {
    const Saccade &u = first.saccades[i], &v = second.saccades[j];
    const double d = first.durations[i], e = second.durations[j], longest = std::max(d, e);
    differences[0].push_back(vector_difference(u, v));
    differences[1].push_back(angle_difference(u, v));
    differences[2].push_back(std::abs(u.length() - v.length()));
    differences[3].push_back(std::hypot(u.x - v.x, u.y - v.y));
    differences[4].push_back(longest > 0.0 ? std::abs(d - e) / longest : 0.0);
  }
  const double diagonal = a.size.diagonal();
  return MultiMatch{1.0 - median(std::move(differences[0])) / (2.0 * diagonal),
                    1.0 - median(std::move(differences[1])) / std::numbers::pi,
                    1.0 - median(std::move(differences[2])) / diagonal,
                    1.0 - median(std::move(differences[3])) / diagonal,
                    1.0 - median(std::move(differences[4]))};
}

}  // namespace saccade
