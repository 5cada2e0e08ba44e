#include "analysis/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saccade {
namespace {

class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  size_t below(size_t n) {
    state_ += 0x9e3779b97f4a7c15U;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<size_t>((z ^ (z >> 31)) % n);
  }

 private:
  uint64_t state_;
};

void add(std::vector<double>& sums, const std::vector<double>& counts) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts[i];
}

// value(drawn items) for all items in order, then for `draws` drawings.
BootstrapInterval interval_of(size_t items, int draws, uint64_t seed,
                              const std::function<double(const std::vector<size_t>&)>& value) {
  std::vector<size_t> drawn(items);
  for (size_t i = 0; i < items; ++i) drawn[i] = i;
  BootstrapInterval interval;
  interval.value = value(drawn);
  SplitMix random(seed);
  std::vector<double> values;
  for (int draw = 0; draw < draws; ++draw) {
    for (size_t& item : drawn) item = random.below(items);
    if (const double one = value(drawn); !std::isnan(one)) values.push_back(one);
  }
  interval.low = interval.high = std::numeric_limits<double>::quiet_NaN();
  if (values.empty()) return interval;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  interval.low = at(0.025);
  interval.high = at(0.975);
  return interval;
}

double measure_of(const std::vector<std::vector<double>>& counts, const std::vector<size_t>& drawn,
                  const MeasureOfCounts& measure) {
  std::vector<double> sums(counts.front().size(), 0.0);
  for (const size_t item : drawn) add(sums, counts[item]);
  return measure(sums);
}

}  // namespace

BootstrapInterval bootstrap(const std::vector<std::vector<double>>& counts, const MeasureOfCounts& measure,
                            int draws, uint64_t seed) {
  constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
  if (counts.empty()) return {nothing, nothing, nothing};
  return interval_of(counts.size(), draws, seed,
                     [&](const std::vector<size_t>& drawn) { return measure_of(counts, drawn, measure); });
}

BootstrapInterval paired_bootstrap(const std::vector<std::vector<double>>& a,
                                   const std::vector<std::vector<double>>& b, const MeasureOfCounts& measure,
                                   int draws, uint64_t seed) {
  constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
  if (a.empty() || a.size() != b.size()) return {nothing, nothing, nothing};
  return interval_of(a.size(), draws, seed, [&](const std::vector<size_t>& drawn) {
    return measure_of(b, drawn, measure) - measure_of(a, drawn, measure);
  });
}

}  // namespace saccade
