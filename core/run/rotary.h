// Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34), tables in double, applied in float32.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/model/model_spec.h"

namespace saccade {

// Angular frequency of each rotated pair, after the family's scaling. [dimensions / 2], radians per position.
// Dynamic and longrope scaling depend on how many positions there are; the others ignore `n_position`.
[[nodiscard]] std::vector<double> rotary_frequencies(const RotarySpec& rotary, int64_t n_position = 0);

// Whether keys rotated for a text of `before` positions are not those of a text of `after`: a cache of them
// is then of no use any more.
[[nodiscard]] bool rotation_changes(const RotarySpec& rotary, int64_t before, int64_t after);

// Along time, row and column; the same number three times where there is only a place in the sequence.
using AxisPosition = std::array<int64_t, 3>;

class RotaryTable {
 public:
  explicit RotaryTable(RotarySpec rotary);
  // Makes positions [0, n) available, with the frequencies of a text of n positions.
  void extend(int64_t n);
  // Copies one head's vector [d_head] from `in` to `out`, rotating its first `dimensions` for `position`.
  // in == out is fine.
  void rotate(const float* in, float* out, int64_t d_head, int64_t position) const {
    rotate(in, out, d_head, AxisPosition{position, position, position});
  }
  // The same where axes have positions of their own. Without sections the first counts.
  void rotate(const float* in, float* out, int64_t d_head, const AxisPosition& position) const;

 private:
  RotarySpec rotary_;
  int64_t length_ = 0;  // of the text that the frequencies stand for
  std::vector<double> frequencies_;
  std::vector<float> cos_, sin_;  // [position, dimensions / 2]
};

// The tables of one model: most have one, Gemma 3 a second for its layers with a window.
struct RotaryTables {
  explicit RotaryTables(const ModelSpec& spec) : main(spec.rotary), local(spec.local_rotary) {}
  RotaryTable main, local;
  // Null when the layer does not rotate.
  [[nodiscard]] RotaryTable* of(const ModelSpec& spec, int32_t layer) {
    const RotarySpec* rotary = spec.rotary_of(layer);
    if (!rotary) return nullptr;
    return rotary == &spec.local_rotary ? &local : &main;
  }
};

}  // namespace saccade
