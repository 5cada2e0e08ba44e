#include "analysis/scanpath/saliency_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace saccade {
namespace {

constexpr double raised_by = 1e-20;

Result<void> check(const SaliencyMap& map, const FixatedPixels& fixated) {
  SACCADE_CHECK(check_map(map, fixated.size));
  if (fixated.pixels.empty())
    return make_error(ErrorCode::invalid_argument,
                      fixated.outside > 0
                          ? fmt::format("all {} fixations lie outside the picture of {}; check its size",
                                        fixated.outside, to_string(fixated.size))
                          : std::string("there is no fixation to compare with"));
  return {};
}

struct Moments {
  double mean = 0.0, deviation = 0.0;  // of the population; 0 for a flat map
};

Moments moments_of(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (*least == *most) return {*least, 0.0};
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / n)};
}

// How to make a density of a map: p = (value - shift) / sum.
struct Density {
  double shift = 0.0, sum = 0.0;
  [[nodiscard]] double operator()(double value) const { return (value - shift) / sum; }
};

// A map that is 0 everywhere is the uniform density.
Density density_of(const std::vector<double>& values, double raise) {
  const double least = *std::min_element(values.begin(), values.end());
  Density density{std::min(least, 0.0) - raise, 0.0};
  for (const double value : values) density.sum += value - density.shift;
  if (!(density.sum > 0.0)) density = {density.shift - 1.0, static_cast<double>(values.size())};
  return density;
}

std::vector<double> read(const SaliencyMap& map, const std::vector<Pixel>& pixels) {
  std::vector<double> values;
  values.reserve(pixels.size());
  for (const Pixel& pixel : pixels) values.push_back(map.at(pixel.x, pixel.y));
  return values;
}

// How many of some values lie below and at each of a few thresholds, in one pass over the values.
class Ranks {
 public:
  explicit Ranks(std::vector<double> thresholds) : thresholds_(std::move(thresholds)) {
    std::sort(thresholds_.begin(), thresholds_.end());
    thresholds_.erase(std::unique(thresholds_.begin(), thresholds_.end()), thresholds_.end());
    below_.assign(thresholds_.size() + 1, 0);
    equal_.assign(thresholds_.size() + 1, 0);
  }

  void add(const std::vector<double>& values, int64_t each) {
    const double* const first = thresholds_.data();
    for (const double value : values) {
      // The first threshold that is not less, without branches.
      const double* base = first;
      for (size_t length = thresholds_.size(); length > 0;) {
        const size_t half = (length + 1) / 2;
        base += base[half - 1] < value ? half : 0;
        length -= half;
      }
      const auto at = static_cast<size_t>(base - first);
      const bool same = at < thresholds_.size() && *base == value;
      (same ? equal_ : below_)[at] += each;
    }
    total_ += each * static_cast<int64_t>(values.size());
  }

  struct Counts {
    std::vector<double> threshold;
    std::vector<double> area;      // share below + half of the share equal
    std::vector<double> at_least;  // share at or above
  };
  [[nodiscard]] Counts counts() const {
    Counts counts;
    counts.threshold = thresholds_;
    int64_t below = 0;
    const auto total = static_cast<double>(total_);
    for (size_t i = 0; i < thresholds_.size(); ++i) {
      below += below_[i];
      counts.area.push_back((static_cast<double>(below) + 0.5 * static_cast<double>(equal_[i])) / total);
      counts.at_least.push_back(static_cast<double>(total_ - below) / total);
      below += equal_[i];
    }
    return counts;
  }
  [[nodiscard]] int64_t total() const { return total_; }

 private:
  std::vector<double> thresholds_;  // ascending, each once
  std::vector<int64_t> below_;      // values between the threshold before and this one
  std::vector<int64_t> equal_;
  int64_t total_ = 0;
};

std::vector<Pixel> each_once(std::vector<Pixel> pixels) {
  std::sort(pixels.begin(), pixels.end());
  pixels.erase(std::unique(pixels.begin(), pixels.end()), pixels.end());
  return pixels;
}

Result<void> leave_out_fixated(const SaliencyMap& map, const FixatedPixels& fixated, Ranks& ranks) {
  ranks.add(read(map, each_once(fixated.pixels)), -1);
  if (ranks.total() <= 0)
    return make_error(ErrorCode::invalid_argument, "every pixel was fixated: there is nothing to tell apart");
  return {};
}

PerFixation areas(const Ranks& ranks, const std::vector<double>& fixated_values) {
  const Ranks::Counts counts = ranks.counts();
  PerFixation areas;
  for (const double value : fixated_values) {
    const auto at = std::lower_bound(counts.threshold.begin(), counts.threshold.end(), value);
    areas.push_back(counts.area[static_cast<size_t>(at - counts.threshold.begin())]);
  }
  return areas;
}

std::vector<double> histogram(const std::vector<double>& values, double low, double high, int64_t bins) {
  std::vector<double> counts(static_cast<size_t>(bins), 0.0);
  for (const double value : values) {
    if (!(value >= low && value <= high)) continue;
    const double scaled = high > low ? (value - low) / (high - low) * static_cast<double>(bins) : 0.0;
    counts[std::min(static_cast<size_t>(scaled), counts.size() - 1)] += 1.0;
  }
  return counts;
}

// As numpy does it: the counts become a density over [low, high] before they are raised by 1e-20.
void to_density(std::vector<double>& counts, double width) {
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  double raised = 0.0;
  for (double& count : counts) raised += count = count / (sum * width) + raised_by;
  for (double& count : counts) count /= raised;
}

}  // namespace

double mean_of(const PerFixation& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Result<std::vector<double>> values_at(const SaliencyMap& map, const FixatedPixels& fixated) {
  SACCADE_CHECK(check(map, fixated));
  return read(map, fixated.pixels);
}

Result<PerFixation> nss(const SaliencyMap& map, const FixatedPixels& fixated) {
  SACCADE_CHECK(check(map, fixated));
  const Moments moments = moments_of(map.values);
  PerFixation scores = read(map, fixated.pixels);
  for (double& score : scores)
    score = moments.deviation > 0.0 ? (score - moments.mean) / moments.deviation : 0.0;
  return scores;
}

Result<PerFixation> auc(const SaliencyMap& map, const FixatedPixels& fixated, Negatives negatives) {
  SACCADE_CHECK(check(map, fixated));
  const std::vector<double> values = read(map, fixated.pixels);
  Ranks ranks(values);
  ranks.add(map.values, 1);
  if (negatives == Negatives::unfixated_pixels) SACCADE_CHECK(leave_out_fixated(map, fixated, ranks));
  return areas(ranks, values);
}

Result<PerFixation> shuffled_auc(const SaliencyMap& map, const FixatedPixels& fixated,
                                 const FixatedPixels& others) {
  SACCADE_CHECK(check(map, fixated));
  SACCADE_CHECK(check(map, others));
  const std::vector<double> values = read(map, fixated.pixels);
  Ranks ranks(values);
  ranks.add(read(map, others.pixels), 1);
  return areas(ranks, values);
}

Result<double> auc_judd(const SaliencyMap& map, const FixatedPixels& fixated) {
  SACCADE_CHECK(check(map, fixated));
  const std::vector<double> values = read(map, fixated.pixels);
  Ranks hits(values), misses(values);
  hits.add(values, 1);
  misses.add(map.values, 1);
  SACCADE_CHECK(leave_out_fixated(map, fixated, misses));
  const std::vector<double> true_positives = hits.counts().at_least,
                            false_positives = misses.counts().at_least;
  double area = 0.0, x = 0.0, y = 0.0;
  for (size_t i = true_positives.size(); i-- > 0;) {  // from the highest threshold down
    area += 0.5 * (true_positives[i] + y) * (false_positives[i] - x);
    x = false_positives[i];
    y = true_positives[i];
  }
  return area + 0.5 * (1.0 + y) * (1.0 - x);
}

Result<double> correlation(const SaliencyMap& map, const SaliencyMap& truth) {
  SACCADE_CHECK(check_map(map, truth.size));
  SACCADE_CHECK(check_map(truth, truth.size));
  const Moments a = moments_of(map.values), b = moments_of(truth.values);
  if (!(a.deviation > 0.0) || !(b.deviation > 0.0)) return 0.0;
  double products = 0.0;
  for (size_t i = 0; i < map.values.size(); ++i)
    products += (map.values[i] - a.mean) * (truth.values[i] - b.mean);
  return products / static_cast<double>(map.values.size()) / (a.deviation * b.deviation);
}

Result<double> similarity(const SaliencyMap& map, const SaliencyMap& truth) {
  SACCADE_CHECK(check_map(map, truth.size));
  SACCADE_CHECK(check_map(truth, truth.size));
  const Density p = density_of(map.values, 0.0), q = density_of(truth.values, 0.0);
  double sum = 0.0;
  for (size_t i = 0; i < map.values.size(); ++i) sum += std::min(p(map.values[i]), q(truth.values[i]));
  return sum;
}

Result<double> kl_divergence(const SaliencyMap& map, const SaliencyMap& truth) {
  SACCADE_CHECK(check_map(map, truth.size));
  SACCADE_CHECK(check_map(truth, truth.size));
  const Density p = density_of(map.values, raised_by), q = density_of(truth.values, raised_by);
  double sum = 0.0;
  for (size_t i = 0; i < map.values.size(); ++i) {
    const double share = q(truth.values[i]);
    sum += share * std::log(share / p(map.values[i]));
  }
  return sum;
}

Result<PerFixation> log_likelihood(const SaliencyMap& map, const FixatedPixels& fixated) {
  SACCADE_CHECK(check(map, fixated));
  const Density density = density_of(map.values, raised_by);
  PerFixation values = read(map, fixated.pixels);
  for (double& value : values) value = std::log(density(value));
  return values;
}

Result<PerFixation> information_gain(const SaliencyMap& map, const SaliencyMap& baseline,
                                     const FixatedPixels& fixated) {
  SACCADE_TRY(PerFixation gain, log_likelihood(map, fixated));
  SACCADE_TRY(const PerFixation base, log_likelihood(baseline, fixated));
  for (size_t i = 0; i < gain.size(); ++i) gain[i] = (gain[i] - base[i]) / std::numbers::ln2;
  return gain;
}

Result<double> histogram_kl(const std::vector<double>& fixated, const std::vector<double>& other, double low,
                            double high, int64_t bins) {
  if (fixated.empty() || other.empty() || !(low <= high) || bins < 1 || bins > 1'000'000)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a comparison of {} with {} values in {} bins from {} to {}",
                                  fixated.size(), other.size(), bins, low, high));
  std::vector<double> p = histogram(fixated, low, high, bins), q = histogram(other, low, high, bins);
  const double width = high > low ? (high - low) / static_cast<double>(bins) : 1.0;
  to_density(p, width);
  to_density(q, width);
  double sum = 0.0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] * (std::log(p[i]) - std::log(q[i]));
  return sum;
}

Result<SaliencyScores> saliency_scores(const SaliencyMap& map, const FixatedPixels& fixated,
                                       const SaliencyMap& truth, const FixatedPixels* others,
                                       const SaliencyMap* baseline) {
  SaliencyScores scores;
  scores.fixations = static_cast<int64_t>(fixated.pixels.size());
  scores.outside = fixated.outside;
  SACCADE_TRY(const PerFixation normalised, nss(map, fixated));
  SACCADE_TRY(const PerFixation ranked, auc(map, fixated));
  SACCADE_TRY(scores.auc_judd, auc_judd(map, fixated));
  SACCADE_TRY(scores.cc, correlation(map, truth));
  SACCADE_TRY(scores.sim, similarity(map, truth));
  SACCADE_TRY(scores.kl, kl_divergence(map, truth));
  SACCADE_TRY(const PerFixation likelihood, log_likelihood(map, fixated));
  scores.nss = mean_of(normalised);
  scores.auc = mean_of(ranked);
  scores.log_likelihood = mean_of(likelihood);
  scores.shuffled_auc = scores.information_gain = std::numeric_limits<double>::quiet_NaN();
  if (others != nullptr) {
    SACCADE_TRY(const PerFixation shuffled, shuffled_auc(map, fixated, *others));
    scores.shuffled_auc = mean_of(shuffled);
  }
  if (baseline != nullptr) {
    SACCADE_TRY(const PerFixation gain, information_gain(map, *baseline, fixated));
    scores.information_gain = mean_of(gain);
  }
  return scores;
}

}  // namespace saccade
