#include "analysis/mechanisms/radial.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace saccade::mechanisms {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// least squares of ln mean against distance
void fit(Decay& decay) {
  double n = 0.0, x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
  for (size_t d = 0; d < decay.means.size(); ++d) {
    if (!(decay.means[d] > 0.0)) continue;
    const auto distance = static_cast<double>(d);
    const double value = std::log(decay.means[d]);
    n += 1.0;
    x += distance;
    y += value;
    xx += distance * distance;
    xy += distance * value;
  }
  const double spread = n * xx - x * x;
  decay.rate = spread > 0.0 ? -(n * xy - x * y) / spread : nan;
  decay.intercept = spread > 0.0 ? (y + decay.rate * x) / n : nan;
}

// distance(i, j) < 0: the pair does not count.
template <class Distance>
Decay decay_over(const Matrix& weights, const KeyMask& visible, Distance distance) {
  std::vector<double> sums, counts;
  for (int64_t i = 0; i < weights.rows; ++i)
    for (int64_t j = 0; j < weights.columns; ++j) {
      const int64_t apart = distance(i, j);
      if (apart < 0 || !visible.sees(i, j)) continue;
      const auto at = static_cast<size_t>(apart);
      if (at >= sums.size()) {
        sums.resize(at + 1, 0.0);
        counts.resize(at + 1, 0.0);
      }
      sums[at] += weights.at(i, j);
      counts[at] += 1.0;
    }
  Decay decay;
  for (size_t d = 0; d < sums.size(); ++d) decay.means.push_back(counts[d] > 0.0 ? sums[d] / counts[d] : nan);
  fit(decay);
  return decay;
}

}  // namespace

double radial_width(const RadialRule& rule, int64_t apart) {
  if (apart == 0 || (apart == 1 && rule.near_full)) return static_cast<double>(rule.tokens);
  const auto bits = [](int64_t value) {
    return static_cast<int>(std::bit_width(static_cast<uint64_t>(value)));
  };
  const double share = std::ldexp(1.0, bits(rule.tokens) - bits(apart)), width = share * rule.decay;
  if (width >= static_cast<double>(rule.least)) return width;
  const auto every =
      std::max<int64_t>(1, static_cast<int64_t>(std::floor(static_cast<double>(rule.least) / share)));
  return apart % every == 0 ? static_cast<double>(rule.least) : -1.0;
}

KeyMask radial_mask(const RadialRule& rule) {
  const int64_t n = rule.frames * rule.tokens;
  KeyMask mask(n, n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const double width = radial_width(rule, std::abs(i / rule.tokens - j / rule.tokens));
      if (j < rule.tokens || static_cast<double>(std::abs(i % rule.tokens - j % rule.tokens)) <= width)
        mask.show(i, j);
    }
  return mask;
}

KeyMask radial_blocks(const KeyMask& mask, int64_t side) {
  const int64_t blocks = (mask.keys() + side - 1) / side;
  KeyMask kept((mask.queries() + side - 1) / side, blocks);
  for (int64_t b = 0; b < kept.queries(); ++b)
    for (int64_t c = 0; c < blocks; ++c) {
      const int64_t rows_end = std::min(mask.queries(), (b + 1) * side);
      int64_t held = 0, full = 0;
      for (int64_t j = c * side; j < std::min(mask.keys(), (c + 1) * side); ++j) {
        int64_t seen = 0;
        for (int64_t i = b * side; i < rows_end; ++i) seen += mask.sees(i, j) ? 1 : 0;
        held += seen > 0 ? 1 : 0;
        full += 3 * seen > rows_end - b * side ? 1 : 0;
      }
      if (held > 0 && 5 * full > 3 * held) kept.show(b, c);
    }
  return kept;
}

Decay decay_over_frames(const Matrix& weights, const KeyMask& visible, int64_t tokens) {
  return decay_over(weights, visible,
                    [&](int64_t i, int64_t j) { return std::abs(i / tokens - j / tokens); });
}

Decay decay_inside_frames(const Matrix& weights, const KeyMask& visible, int64_t tokens) {
  return decay_over(weights, visible, [&](int64_t i, int64_t j) {
    return i / tokens == j / tokens ? std::abs(i % tokens - j % tokens) : int64_t{-1};
  });
}

}  // namespace saccade::mechanisms
