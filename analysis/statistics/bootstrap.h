// Bootstrap intervals of measures that are made of counts per item, and of paired differences. Pure; thread:
// any.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace saccade {

struct BootstrapInterval {
  double value = 0.0;            // of all items
  double low = 0.0, high = 0.0;  // 95 %, percentiles; NaN where no drawing had a value
};

// Sums of counts -> the measure; NaN where it is undefined.
using MeasureOfCounts = std::function<double(std::span<const double> sums)>;

// counts: [item][count], all of one length. Items are drawn with replacement (splitmix64 from `seed`: the
// same on every machine); drawings without a value are left out.
[[nodiscard]] BootstrapInterval bootstrap(const std::vector<std::vector<double>>& counts,
                                          const MeasureOfCounts& measure, int draws, uint64_t seed);
// measure(b) - measure(a) over the same items in both, drawn together.
[[nodiscard]] BootstrapInterval paired_bootstrap(const std::vector<std::vector<double>>& a,
                                                 const std::vector<std::vector<double>>& b,
                                                 const MeasureOfCounts& measure, int draws, uint64_t seed);

}  // namespace saccade
