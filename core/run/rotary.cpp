#include "core/run/rotary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace saccade {
namespace {

// Llama 3.1's rule: long wavelengths are stretched by `factor`, short ones kept, those between blended.
double llama3_frequency(double frequency, const RotarySpec& rotary) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const double context = rotary.original_context;
  if (wavelength < context / rotary.high_frequency_factor) return frequency;
  if (wavelength > context / rotary.low_frequency_factor) return frequency / rotary.factor;
  const double blend = (context / wavelength - rotary.low_frequency_factor) /
                       (rotary.high_frequency_factor - rotary.low_frequency_factor);
  return (1.0 - blend) * frequency / rotary.factor + blend * frequency;
}

// The pair that turns `rotations` times over the original context (Peng et al. 2023, arXiv 2309.00071,
// sec. 3.2).
double pair_with_rotations(double rotations, const RotarySpec& rotary) {
  return rotary.dimensions * std::log(rotary.original_context / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(rotary.base));
}

// YaRN: fast pairs are kept, slow ones interpolated, a linear ramp between.
double yarn_frequency(double frequency, int32_t pair, const RotarySpec& rotary) {
  double low = pair_with_rotations(rotary.high_frequency_factor, rotary);
  double high = pair_with_rotations(rotary.low_frequency_factor, rotary);
  if (rotary.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, rotary.dimensions - 1.0);
  if (low == high) high += 0.001;
  const double slow = std::clamp((pair - low) / (high - low), 0.0, 1.0);
  return slow * frequency / rotary.factor + (1.0 - slow) * frequency;
}

// NTK-aware scaling by length: the base grows once the text is longer than the original context.
double dynamic_base(const RotarySpec& rotary, int64_t n_position) {
  const double length = static_cast<double>(std::max<int64_t>(n_position, rotary.original_context));
  const double stretch = rotary.factor * length / rotary.original_context - (rotary.factor - 1.0);
  return rotary.base * std::pow(stretch, rotary.dimensions / (rotary.dimensions - 2.0));
}

double scaled(double frequency, int32_t pair, const RotarySpec& rotary, int64_t n_position) {
  switch (rotary.scaling) {
    case RotaryScaling::none:
    case RotaryScaling::dynamic:  // its base is
      return frequency;
    case RotaryScaling::linear:
      return frequency / rotary.factor;
    case RotaryScaling::yarn:
      return yarn_frequency(frequency, pair, rotary);
    case RotaryScaling::llama3:
      return llama3_frequency(frequency, rotary);
    case RotaryScaling::longrope: {
      const bool is_long = n_position > rotary.original_context;
      return frequency / (is_long ? rotary.long_factors : rotary.short_factors)[static_cast<size_t>(pair)];
    }
  }
  return frequency;
}

}  // namespace

std::vector<double> rotary_frequencies(const RotarySpec& rotary, int64_t n_position) {
  const bool dynamic = rotary.scaling == RotaryScaling::dynamic && rotary.dimensions > 2;
  const double base = dynamic ? dynamic_base(rotary, n_position) : rotary.base;
  std::vector<double> frequencies;
  if (rotary.sections_begin_anew) {
    for (const int32_t n : rotary.sections)
      for (int32_t j = 0; j < n; ++j) frequencies.push_back(std::pow(base, -static_cast<double>(j) / n));
    return frequencies;
  }
  for (int32_t i = 0; i < rotary.dimensions; i += 2) {
    const double frequency = std::pow(base, -static_cast<double>(i) / rotary.dimensions);
    frequencies.push_back(scaled(frequency, i / 2, rotary, n_position));
  }
  return frequencies;
}

bool rotation_changes(const RotarySpec& rotary, int64_t before, int64_t after) {
  switch (rotary.scaling) {
    case RotaryScaling::none:
    case RotaryScaling::linear:
    case RotaryScaling::yarn:
    case RotaryScaling::llama3:
      return false;
    case RotaryScaling::dynamic:
      return after != before && std::max(before, after) > rotary.original_context;
    case RotaryScaling::longrope:
      return (before > rotary.original_context) != (after > rotary.original_context) &&
             rotary.short_factors != rotary.long_factors;
  }
  return false;
}

RotaryTable::RotaryTable(RotarySpec rotary)
    : rotary_(std::move(rotary)), frequencies_(rotary_frequencies(rotary_)) {}

void RotaryTable::extend(int64_t n) {
  const auto pairs = static_cast<int64_t>(frequencies_.size());
  if (pairs == 0) return;
  if (rotation_changes(rotary_, length_, n)) {
    frequencies_ = rotary_frequencies(rotary_, n);
    cos_.clear();
    sin_.clear();
  }
  length_ = n;
  for (auto position = static_cast<int64_t>(cos_.size()) / pairs; position < n; ++position)
    for (const double frequency : frequencies_) {
      const double angle = static_cast<double>(position) * frequency;
      cos_.push_back(static_cast<float>(std::cos(angle) * rotary_.attention_factor));
      sin_.push_back(static_cast<float>(std::sin(angle) * rotary_.attention_factor));
    }
}

void RotaryTable::rotate(const float* in, float* out, int64_t d_head, const AxisPosition& position) const {
  const auto pairs = static_cast<int64_t>(frequencies_.size());
  const bool halves = rotary_.pairing == RotaryPairing::halves;
  const auto turn = [&](int64_t begin, int64_t end, int64_t place) {
    const float* c = cos_.data() + place * pairs;
    const float* s = sin_.data() + place * pairs;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = halves ? i : 2 * i;
      const int64_t second = halves ? i + pairs : 2 * i + 1;
      const float a = in[first], b = in[second];
      out[first] = a * c[i] - b * s[i];
      out[second] = a * s[i] + b * c[i];
    }
  };
  if (rotary_.sections.empty()) turn(0, pairs, position[0]);
  for (size_t axis = 0, begin = 0; axis < rotary_.sections.size(); ++axis) {
    const size_t end = begin + static_cast<size_t>(rotary_.sections[axis]);
    turn(static_cast<int64_t>(begin), static_cast<int64_t>(end), position[axis]);
    begin = end;
  }
  const int64_t rotated = 2 * pairs;
  if (d_head > rotated)
    std::memmove(out + rotated, in + rotated, static_cast<size_t>(d_head - rotated) * sizeof(float));
}

}  // namespace saccade
