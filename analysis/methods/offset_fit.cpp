#include "analysis/methods/offset_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/head_fields.h"
#include "core/capture/vector_writer.h"

namespace saccade {
namespace {

using Vectors = std::vector<std::vector<double>>;

std::vector<double> mean_of(const Vectors& examples, size_t left_out) {
  std::vector<double> mean(examples[0].size(), 0.0);
  const double count = static_cast<double>(examples.size()) - (left_out < examples.size() ? 1.0 : 0.0);
  for (size_t e = 0; e < examples.size(); ++e)
    for (size_t d = 0; d < mean.size() && e != left_out; ++d) mean[d] += examples[e][d] / count;
  return mean;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}

// Whether the example lies on its side of the middle of the two means, itself left out of its own.
bool is_told(const Vectors& own, const Vectors& other, size_t example) {
  constexpr size_t none = static_cast<size_t>(-1);
  const std::vector<double> here = mean_of(own, example), there = mean_of(other, none);
  double side = 0.0;
  for (size_t d = 0; d < here.size(); ++d)
    side += (own[example][d] - (here[d] + there[d]) / 2.0) * (here[d] - there[d]);
  return side > 0.0;
}

bool any(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return value != 0.0; });
}

}  // namespace

HeadOffsets::HeadOffsets(const ModelSpec& spec)
    : a(static_cast<size_t>(spec.n_heads_total()),
        std::vector<double>(static_cast<size_t>(spec.d_head), 0.0)),
      v(a) {}

std::shared_ptr<const VectorFile> HeadOffsets::file(const ModelSpec& spec) const {
  std::map<std::string, std::vector<float>> vectors;
  for (size_t i = 0; i < a.size(); ++i) {
    const HeadId head = head_at(static_cast<int64_t>(i), spec.n_head);
    const auto put = [&](const char* name, const std::vector<double>& values) {
      if (any(values) || i == 0)  // a file of nothing is none
        vectors[fmt::format("head_offsets/{}/{}/{}", head.layer.value, head.head.value, name)] =
            std::vector<float>(values.begin(), values.end());
    };
    put("a", a[i]);
    put("v", v[i]);
  }
  return make_vectors(std::move(vectors));
}

std::vector<double> offset_z(std::span<const double> z, std::span<const double> a,
                             std::span<const double> v) {
  std::vector<double> made;
  for (size_t d = 0; d < z.size(); ++d) made.push_back((1.0 + a[d]) * z[d] + v[d]);
  return made;
}

void Adam::step(Vectors& numbers, const Vectors& gradient) {
  constexpr double keep_mean = 0.9, keep_square = 0.999, epsilon = 1e-8;
  if (steps_ == 0) {
    mean_.assign(gradient.size(), std::vector<double>(gradient[0].size(), 0.0));
    square_ = mean_;
  }
  ++steps_;
  const double mean_share = 1.0 - std::pow(keep_mean, steps_),
               square_share = 1.0 - std::pow(keep_square, steps_);
  for (size_t i = 0; i < gradient.size(); ++i)
    for (size_t d = 0; d < gradient[i].size(); ++d) {
      const double g = gradient[i][d];
      mean_[i][d] = keep_mean * mean_[i][d] + (1.0 - keep_mean) * g;
      square_[i][d] = keep_square * square_[i][d] + (1.0 - keep_square) * g * g;
      numbers[i][d] -=
          rate_ * (mean_[i][d] / mean_share) / (std::sqrt(square_[i][d] / square_share) + epsilon);
    }
}

void add_gradients(const GradientCapture& gradient, const ModelSpec& spec, const HeadOffsets& offsets,
                   HeadOffsets& sums) {
  constexpr double least_factor = 1e-3;  // below it z cannot be told from what is left of it
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const HostTensor &z = gradient.values.at({HookSite::z, l}), &g = gradient.gradients.at({HookSite::z, l});
    for (int64_t i = 0; i < z.size(); ++i) {
      const auto d = static_cast<size_t>(i % spec.d_head);
      const auto head = static_cast<size_t>(int64_t{l} * spec.n_head + i / spec.d_head % spec.n_head);
      const double factor = 1.0 + offsets.a[head][d];
      sums.v[head][d] += g.data()[i];
      if (std::abs(factor) > least_factor)
        sums.a[head][d] += (z.data()[i] - offsets.v[head][d]) / factor * g.data()[i];
    }
  }
}

HeadProbe probe_head(const Vectors& positive, const Vectors& negative) {
  constexpr size_t none = static_cast<size_t>(-1);
  HeadProbe probe;
  const std::vector<double> high = mean_of(positive, none), low = mean_of(negative, none);
  probe.direction = high;
  for (size_t d = 0; d < high.size(); ++d) probe.direction[d] -= low[d];
  if (const double length = std::sqrt(dot(probe.direction, probe.direction)); length > 0.0)
    for (double& value : probe.direction) value /= length;
  std::vector<double> along;
  for (const Vectors* examples : {&positive, &negative})
    for (const std::vector<double>& example : *examples) along.push_back(dot(example, probe.direction));
  double mean = 0.0, square = 0.0;
  for (const double value : along) mean += value / static_cast<double>(along.size());
  for (const double value : along) square += (value - mean) * (value - mean);
  probe.spread = std::sqrt(square / static_cast<double>(along.size()));
  double told = 0.0;
  for (size_t e = 0; e < positive.size(); ++e) told += is_told(positive, negative, e) ? 1.0 : 0.0;
  for (size_t e = 0; e < negative.size(); ++e) told += is_told(negative, positive, e) ? 1.0 : 0.0;
  probe.accuracy = told / static_cast<double>(along.size());
  return probe;
}

}  // namespace saccade
