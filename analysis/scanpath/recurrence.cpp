#include "analysis/scanpath/recurrence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr int64_t most_fixations = 8'000;  // the plot takes N * N bytes

// The recurrence plot of N fixations against N; with `upper` only i < j counts.
struct Plot {
  int64_t n = 0;
  std::vector<char> recurrent;  // [i, j]
  [[nodiscard]] bool at(int64_t i, int64_t j) const { return recurrent[static_cast<size_t>(i * n + j)] != 0; }
};

Plot plot_of(const std::vector<Fixation>& a, const std::vector<Fixation>& b, int64_t n, double radius,
             bool upper) {
  Plot plot{n, std::vector<char>(static_cast<size_t>(n * n))};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = upper ? i + 1 : 0; j < n; ++j) {
      const Fixation &f = a[static_cast<size_t>(i)], &g = b[static_cast<size_t>(j)];
      plot.recurrent[static_cast<size_t>(i * n + j)] = std::hypot(f.x - g.x, f.y - g.y) <= radius;
    }
  return plot;
}

// Points in runs of at least `line` along the way that starts at (i, j) and steps by (di, dj).
int64_t points_in_lines(const Plot& plot, int64_t i, int64_t j, int64_t di, int64_t dj, int64_t line) {
  int64_t points = 0, run = 0;
  for (; i < plot.n && j < plot.n; i += di, j += dj) {
    if (plot.at(i, j)) {
      ++run;
      continue;
    }
    points += run >= line ? run : 0;
    run = 0;
  }
  return points + (run >= line ? run : 0);
}

Recurrence measure(const Plot& plot, double pairs, int64_t line) {
  Recurrence measures;
  const int64_t n = measures.fixations = plot.n;
  double mass = 0.0;
  int64_t diagonal = 0, straight = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      if (plot.at(i, j)) {
        ++measures.points;
        mass += static_cast<double>(j - i);
      }
  if (measures.points == 0) return measures;
  for (int64_t k = 0; k < n; ++k) {
    diagonal += points_in_lines(plot, 0, k, 1, 1, line);
    if (k > 0) diagonal += points_in_lines(plot, k, 0, 1, 1, line);
    straight += points_in_lines(plot, k, 0, 0, 1, line) + points_in_lines(plot, 0, k, 1, 0, line);
  }
  const auto points = static_cast<double>(measures.points);
  measures.recurrence = 100.0 * points / pairs;
  measures.determinism = 100.0 * static_cast<double>(diagonal) / points;
  measures.laminarity = 100.0 * static_cast<double>(straight) / (2.0 * points);
  measures.centre = 100.0 * mass / (static_cast<double>(n - 1) * points);
  return measures;
}

Result<void> check(int64_t n, const Scanpath& path, const RecurrenceOptions& options) {
  if (n < 2 || n > most_fixations)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} has {} fixations; recurrence needs 2 to {}", describe(path), n, most_fixations));
  if (!(options.radius > 0.0) || options.line < 2)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("recurrence with a radius of {} pixels and lines of {} points; expected "
                                  "above 0 and at least 2",
                                  options.radius, options.line));
  return {};
}

}  // namespace

Result<Recurrence> recurrence(const Scanpath& path, const RecurrenceOptions& options) {
  const auto n = static_cast<int64_t>(path.fixations.size());
  SACCADE_CHECK(check(n, path, options));
  const auto pairs = static_cast<double>(n) * static_cast<double>(n - 1) / 2.0;
  return measure(plot_of(path.fixations, path.fixations, n, options.radius, true), pairs, options.line);
}

Result<Recurrence> cross_recurrence(const Scanpath& a, const Scanpath& b, const RecurrenceOptions& options) {
  SACCADE_CHECK(check_comparable(a, b, 2));
  const bool a_is_shorter = a.fixations.size() < b.fixations.size();
  const auto n = static_cast<int64_t>((a_is_shorter ? a : b).fixations.size());
  SACCADE_CHECK(check(n, a_is_shorter ? a : b, options));
  return measure(plot_of(a.fixations, b.fixations, n, options.radius, false),
                 static_cast<double>(n) * static_cast<double>(n), options.line);
}

}  // namespace saccade
