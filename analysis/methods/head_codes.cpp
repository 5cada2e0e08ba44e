#include "analysis/methods/head_codes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace saccade {
namespace {

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (size_t x = 0; x < a.size(); ++x) sum += (double{a[x]} - b[x]) * (double{a[x]} - b[x]);
  return sum;
}

// The engine's own numbers, so that draws are the same on every system.
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// k-means++ (Arthur and Vassilvitskii 2007): far samples are likelier to become centres.
std::vector<std::vector<float>> first_centres(const HostTensor& samples, int32_t clusters,
                                              std::mt19937_64& random) {
  const int64_t count = samples.shape()[0];
  std::vector<std::vector<float>> centres;
  std::vector<double> nearest(static_cast<size_t>(count), std::numeric_limits<double>::infinity());
  int64_t next = static_cast<int64_t>(random() % static_cast<uint64_t>(count));
  while (static_cast<int32_t>(centres.size()) < clusters) {
    centres.emplace_back(samples.slice(next).begin(), samples.slice(next).end());
    double total = 0.0;
    for (int64_t i = 0; i < count; ++i) {
      double& best = nearest[static_cast<size_t>(i)];
      best = std::min(best, squared_distance(samples.slice(i), centres.back()));
      total += best;
    }
    if (!(total > 0.0)) break;  // every sample is a centre already
    double left = uniform(random) * total;
    next = -1;
    for (int64_t i = 0; i < count; ++i) {
      if (nearest[static_cast<size_t>(i)] <= 0.0) continue;
      next = i;
      left -= nearest[static_cast<size_t>(i)];
      if (left <= 0.0) break;
    }
  }
  return centres;
}

// Adam (Kingma and Ba 2015) over one array of parameters.
class Adam {
 public:
  explicit Adam(size_t size) : mean_(size, 0.0F), square_(size, 0.0F) {}
  void step(std::vector<float>& parameters, size_t at, float gradient, float rate) {
    mean_[at] = 0.9F * mean_[at] + 0.1F * gradient;
    square_[at] = 0.999F * square_[at] + 0.001F * gradient * gradient;
    parameters[at] -= rate * mean_[at] / (std::sqrt(square_[at]) + 1e-8F);
  }

 private:
  std::vector<float> mean_, square_;
};

}  // namespace

std::vector<int32_t> k_means_codes(const HostTensor& samples, int32_t clusters, uint64_t seed) {
  std::mt19937_64 random(seed);
  const int64_t count = samples.shape()[0], width = samples.shape()[1];
  std::vector<int32_t> codes(static_cast<size_t>(count), -1);
  if (count == 0) return codes;
  std::vector<std::vector<float>> centres = first_centres(samples, clusters, random);
  for (int round = 0; round < 100; ++round) {
    bool moved = false;
    for (int64_t i = 0; i < count; ++i) {
      int32_t best = 0;
      for (size_t c = 1; c < centres.size(); ++c)
        if (squared_distance(samples.slice(i), centres[c]) <
            squared_distance(samples.slice(i), centres[static_cast<size_t>(best)]))
          best = static_cast<int32_t>(c);
      moved = moved || codes[static_cast<size_t>(i)] != best;
      codes[static_cast<size_t>(i)] = best;
    }
    if (!moved) break;
    for (size_t c = 0; c < centres.size(); ++c) {
      std::vector<double> sum(static_cast<size_t>(width), 0.0);
      double members = 0.0;
      for (int64_t i = 0; i < count; ++i) {
        if (codes[static_cast<size_t>(i)] != static_cast<int32_t>(c)) continue;
        for (size_t x = 0; x < sum.size(); ++x) sum[x] += samples.slice(i)[x];
        members += 1.0;
      }
      for (size_t x = 0; x < sum.size() && members > 0.0; ++x)
        centres[c][x] = static_cast<float>(sum[x] / members);
    }
  }
  return codes;
}

Result<SparseDictionary> SparseDictionary::train(const HostTensor& samples, const DictionaryOptions& options,
                                                 const JobContext& job) {
  SparseDictionary made;
  made.width_ = samples.shape()[1];
  made.count_ = options.features;
  const auto width = static_cast<size_t>(made.width_), count = static_cast<size_t>(made.count_);
  double squares = 0.0;
  for (const float value : samples.values()) squares += double{value} * value;
  made.scale_ =
      squares > 0.0 ? static_cast<float>(std::sqrt(static_cast<double>(samples.size()) / squares)) : 1.0F;
  std::mt19937_64 random(options.seed);
  made.bias_.assign(count, 0.0F);
  for (size_t i = 0; i < count * width; ++i)
    made.decoder_.push_back(
        static_cast<float>((2.0 * uniform(random) - 1.0) / std::sqrt(static_cast<double>(width))));
  made.encoder_ = made.decoder_;
  Adam encoder(count * width), bias(count), decoder(count * width);
  std::vector<int64_t> order(static_cast<size_t>(samples.shape()[0]));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::vector<float> f(count), z(width), error(width);
  const auto rate = static_cast<float>(options.step), lambda = static_cast<float>(options.sparsity);
  for (int32_t epoch = 0; epoch < options.epochs; ++epoch) {
    job.progress(static_cast<double>(epoch) / options.epochs, fmt::format("dictionary, epoch {}", epoch + 1));
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    for (size_t s = 0; s < order.size(); ++s) {
      if (s % 64 == 0) SACCADE_CHECK(job.check());
      const std::span<const float> sample = samples.slice(order[s]);
      for (size_t x = 0; x < width; ++x) z[x] = made.scale_ * sample[x];
      made.features(sample, f);
      for (size_t x = 0; x < width; ++x) error[x] = -z[x];  // z' - z
      for (size_t j = 0; j < count; ++j)
        for (size_t x = 0; x < width && f[j] > 0.0F; ++x) error[x] += f[j] * made.decoder_[j * width + x];
      for (size_t j = 0; j < count; ++j) {
        if (f[j] <= 0.0F) continue;
        float by_feature = lambda;  // d loss / d f
        for (size_t x = 0; x < width; ++x) by_feature += 2.0F * error[x] * made.decoder_[j * width + x];
        for (size_t x = 0; x < width; ++x) {
          decoder.step(made.decoder_, j * width + x, 2.0F * error[x] * f[j], rate);
          encoder.step(made.encoder_, j * width + x, by_feature * z[x], rate);
        }
        bias.step(made.bias_, j, by_feature, rate);
        // Decoder rows of length at most 1: sparsity must not be had by making features small.
        double length = 0.0;
        for (size_t x = 0; x < width; ++x)
          length += double{made.decoder_[j * width + x]} * made.decoder_[j * width + x];
        for (size_t x = 0; x < width && length > 1.0; ++x)
          made.decoder_[j * width + x] /= static_cast<float>(std::sqrt(length));
      }
    }
  }
  return made;
}

void SparseDictionary::features(std::span<const float> z, std::vector<float>& f) const {
  const auto width = static_cast<size_t>(width_);
  for (size_t j = 0; j < f.size(); ++j) {
    float sum = bias_[j];
    for (size_t x = 0; x < width; ++x) sum += scale_ * z[x] * encoder_[j * width + x];
    f[j] = std::max(sum, 0.0F);
  }
}

int32_t SparseDictionary::code(std::span<const float> z) const {
  std::vector<float> f(static_cast<size_t>(count_));
  features(z, f);
  const auto best = std::max_element(f.begin(), f.end());
  return best != f.end() && *best > 0.0F ? static_cast<int32_t>(best - f.begin()) : -1;
}

double SparseDictionary::unexplained(const HostTensor& samples) const {
  const auto width = static_cast<size_t>(width_);
  std::vector<float> f(static_cast<size_t>(count_));
  double sum = 0.0;
  for (int64_t s = 0; s < samples.shape()[0]; ++s) {
    const std::span<const float> z = samples.slice(s);
    features(z, f);
    double left = 0.0, whole = 0.0;
    for (size_t x = 0; x < width; ++x) {
      double error = double{scale_} * z[x];
      whole += error * error;
      for (size_t j = 0; j < f.size(); ++j) error -= double{f[j]} * decoder_[j * width + x];
      left += error * error;
    }
    sum += whole > 0.0 ? left / whole : 0.0;
  }
  return sum / static_cast<double>(samples.shape()[0]);
}

double SparseDictionary::mean_active(const HostTensor& samples) const {
  std::vector<float> f(static_cast<size_t>(count_));
  double active = 0.0;
  for (int64_t s = 0; s < samples.shape()[0]; ++s) {
    features(samples.slice(s), f);
    active +=
        static_cast<double>(std::count_if(f.begin(), f.end(), [](float value) { return value > 0.0F; }));
  }
  return active / static_cast<double>(samples.shape()[0]);
}

}  // namespace saccade
