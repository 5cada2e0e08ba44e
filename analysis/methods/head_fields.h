// What methods that give one number per head share: the field [layer, head], its table, intervals over
// prompts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/field.h"
#include "core/base/ids.h"
#include "core/model/model_spec.h"

namespace saccade {

[[nodiscard]] Field head_field(std::string name, std::string label, std::string unit, ValueKind kind,
                               int64_t layers, int64_t heads, std::string request);
[[nodiscard]] inline HeadId head_at(int64_t index, int64_t heads) {
  return {LayerIndex{static_cast<int32_t>(index / heads)}, HeadIndex{static_cast<int32_t>(index % heads)}};
}
// One row per head: its name, layer, index, then its number in every field; NaN where there is none.
[[nodiscard]] Table heads_table(std::span<const Field> fields);

struct MeanInterval {
  double mean = 0.0;
  double half_width = 0.0;  // of the 95 % interval of the mean (Student's t); NaN with fewer than two values
  int64_t count = 0;        // values that were there; the mean of none is NaN
};
// Values that are NaN are left out.
[[nodiscard]] MeanInterval mean_interval(std::span<const double> values);

}  // namespace saccade
