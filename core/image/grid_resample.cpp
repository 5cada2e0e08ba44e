#include "core/image/grid_resample.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

struct Tap {
  int32_t index = 0;
  double weight = 0.0;
};
using Taps = std::vector<std::vector<Tap>>;  // of every target

double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

Taps plain_taps(int32_t from, int32_t to) {
  Taps taps(static_cast<size_t>(to));
  const double scale = static_cast<double>(from) / to;
  for (int32_t i = 0; i < to; ++i) {
    const double centre = scale * (i + 0.5) - 0.5;
    const auto below = static_cast<int32_t>(std::floor(centre));
    for (int32_t k = below - 1; k <= below + 2; ++k)
      taps[static_cast<size_t>(i)].push_back({std::clamp(k, 0, from - 1), cubic(centre - k, -0.75)});
  }
  return taps;
}

Taps antialiased_taps(int32_t from, int32_t to) {
  Taps taps(static_cast<size_t>(to));
  const double scale = static_cast<double>(from) / to, widening = std::max(scale, 1.0);
  const double reach = 2.0 * widening;
  for (int32_t i = 0; i < to; ++i) {
    std::vector<Tap>& own = taps[static_cast<size_t>(i)];
    const double centre = scale * (i + 0.5);
    const auto first = std::max(static_cast<int32_t>(std::floor(centre - reach + 0.5)), 0);
    const auto end = std::min(static_cast<int32_t>(std::floor(centre + reach + 0.5)), from);
    double sum = 0.0;
    for (int32_t k = first; k < end; ++k) {
      own.push_back({k, cubic((k - centre + 0.5) / widening, -0.5)});
      sum += own.back().weight;
    }
    for (Tap& tap : own) tap.weight /= sum;
  }
  return taps;
}

// Where the cells after the first begin, as shares of the picture: LibTorch's arange(1/n, 1, 1/n) in float32.
// It takes eight numbers at a time, from the first of them rounded, in pairs of eights while there are such.
std::vector<float> borders_of(int32_t n) {
  const double cell = 1.0 / n;
  const auto count = static_cast<int32_t>(std::ceil((1.0 - cell) / cell));
  std::vector<float> borders;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t lane = i < count / 16 * 16 ? i % 8 : 0;
    const auto first = static_cast<float>(cell + cell * (i - lane));
    borders.push_back(static_cast<float>(first + lane * cell));
  }
  return borders;
}

// Of each of `to` patches along one axis the row of `from`: how many cells begin at or before the patch. In
// float32, as models were trained: what rounding puts into the cell before stays there.
std::vector<int32_t> cells_of(int32_t from, int32_t to) {
  const std::vector<float> borders = borders_of(from);
  const float step = 1.0f / static_cast<float>(to);
  std::vector<int32_t> cells;
  for (int32_t i = 0; i < to; ++i) {
    const float share = std::min(static_cast<float>(i) * step, static_cast<float>(1.0 - 1e-6));
    const auto below = std::upper_bound(borders.begin(), borders.end(), share) - borders.begin();
    cells.push_back(std::min(static_cast<int32_t>(below), from - 1));
  }
  return cells;
}

HostTensor by_share(const HostTensor& table, const GridSize& from, const GridSize& to) {
  const std::vector<int32_t> down = cells_of(from.height, to.height), across = cells_of(from.width, to.width);
  const int64_t d = table.shape()[1];
  HostTensor made({int64_t{to.height} * to.width, d}, false);
  float* out = made.mutable_values().data();
  for (const int32_t row : down)
    for (const int32_t column : across)
      out = std::copy_n(table.data() + (int64_t{row} * from.width + column) * d, d, out);
  return made;
}

}  // namespace

HostTensor resample_grid(const HostTensor& table, const GridSize& from, const GridSize& to,
                         GridResampling resampling) {
  if (resampling == GridResampling::fractional) return by_share(table, from, to);
  if (from == to) return table;
  const bool plain = resampling == GridResampling::bicubic;
  const Taps down = plain ? plain_taps(from.height, to.height) : antialiased_taps(from.height, to.height);
  const Taps across = plain ? plain_taps(from.width, to.width) : antialiased_taps(from.width, to.width);
  const int64_t d = table.shape()[1];
  HostTensor made({int64_t{to.height} * to.width, d}, false);
  std::vector<double> sum(static_cast<size_t>(d));
  float* out = made.mutable_values().data();
  for (const std::vector<Tap>& rows : down)
    for (const std::vector<Tap>& columns : across) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (const Tap& row : rows)
        for (const Tap& column : columns) {
          const float* at = table.data() + (int64_t{row.index} * from.width + column.index) * d;
          const double weight = row.weight * column.weight;
          for (int64_t c = 0; c < d; ++c) sum[static_cast<size_t>(c)] += weight * at[c];
        }
      out = std::transform(sum.begin(), sum.end(), out, [](double s) { return static_cast<float>(s); });
    }
  return made;
}

}  // namespace saccade
