#include "core/run/rotary.h"

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

double scaled(double frequency, const RotarySpec& rotary) {
  switch (rotary.scaling) {
    case RotaryScaling::none:
      return frequency;
    case RotaryScaling::linear:
      return frequency / rotary.factor;
    case RotaryScaling::llama3:
      return llama3_frequency(frequency, rotary);
  }
  return frequency;
}

}  // namespace

std::vector<double> rotary_frequencies(const RotarySpec& rotary) {
  std::vector<double> frequencies;
  for (int32_t i = 0; i < rotary.dimensions; i += 2)
    frequencies.push_back(scaled(std::pow(rotary.base, -static_cast<double>(i) / rotary.dimensions), rotary));
  return frequencies;
}

RotaryTable::RotaryTable(const RotarySpec& rotary)
    : rotary_(rotary), frequencies_(rotary_frequencies(rotary)) {}

void RotaryTable::extend(int64_t n) {
  const auto pairs = static_cast<int64_t>(frequencies_.size());
  if (pairs == 0) return;
  for (auto position = static_cast<int64_t>(cos_.size()) / pairs; position < n; ++position)
    for (const double frequency : frequencies_) {
      cos_.push_back(static_cast<float>(std::cos(static_cast<double>(position) * frequency)));
      sin_.push_back(static_cast<float>(std::sin(static_cast<double>(position) * frequency)));
    }
}

void RotaryTable::rotate(const float* in, float* out, int64_t d_head, int64_t position) const {
  const auto pairs = static_cast<int64_t>(frequencies_.size());
  const float* c = cos_.data() + position * pairs;
  const float* s = sin_.data() + position * pairs;
  const bool halves = rotary_.pairing == RotaryPairing::halves;
  for (int64_t i = 0; i < pairs; ++i) {
    const int64_t first = halves ? i : 2 * i;
    const int64_t second = halves ? i + pairs : 2 * i + 1;
    const float a = in[first], b = in[second];
    out[first] = a * c[i] - b * s[i];
    out[second] = a * s[i] + b * c[i];
  }
  const int64_t rotated = 2 * pairs;
  if (d_head > rotated)
    std::memcpy(out + rotated, in + rotated, static_cast<size_t>(d_head - rotated) * sizeof(float));
}

}  // namespace saccade
