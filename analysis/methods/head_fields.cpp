#include "analysis/methods/head_fields.h"

#include <array>
#include <cmath>
#include <limits>

namespace saccade {
namespace {

// Student's t at 97.5 % for 1 to 30 degrees of freedom; the normal quantile beyond.
double t_quantile(int64_t degrees) {
  constexpr std::array<double, 30> table{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                         2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                         2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                         2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
  return degrees <= 30 ? table[static_cast<size_t>(degrees - 1)] : 1.96;
}

}  // namespace

Field head_field(std::string name, std::string label, std::string unit, ValueKind kind, int64_t layers,
                 int64_t heads, std::string request) {
  Field field{std::move(name),
              std::move(label),
              std::move(unit),
              kind,
              {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
              HostTensor({layers, heads}),
              std::move(request)};
  return field;
}

Table heads_table(std::span<const Field> fields) {
  Table table{"heads", {"head", "layer", "index"}, {}};
  for (const Field& field : fields) table.columns.push_back(field.name);
  if (fields.empty()) return table;
  const int64_t heads = fields[0].values.shape()[1];
  for (int64_t at = 0; at < fields[0].values.size(); ++at) {
    const HeadId id = head_at(at, heads);
    std::vector<Cell> row{to_string(id), int64_t{id.layer.value}, int64_t{id.head.value}};
    for (const Field& field : fields) row.emplace_back(static_cast<double>(field.values.data()[at]));
    table.rows.push_back(std::move(row));
  }
  return table;
}

MeanInterval mean_interval(std::span<const double> values) {
  MeanInterval result;
  double sum = 0.0, squares = 0.0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++result.count;
  }
  const auto n = static_cast<double>(result.count);
  result.mean = result.count > 0 ? sum / n : std::numeric_limits<double>::quiet_NaN();
  for (const double value : values)
    if (!std::isnan(value)) squares += (value - result.mean) * (value - result.mean);
  result.half_width = result.count > 1 ? t_quantile(result.count - 1) * std::sqrt(squares / (n - 1) / n)
                                       : std::numeric_limits<double>::quiet_NaN();
  return result;
}

}  // namespace saccade
