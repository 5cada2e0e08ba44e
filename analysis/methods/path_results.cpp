#include "analysis/methods/path_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "analysis/images/patch_field.h"

namespace saccade {

Result<HeadTarget> parse_head_target(const std::string& text) {
  auto edit = parse_edit("zero " + text);
  if (edit.ok())
    if (const auto* heads = std::get_if<HeadTarget>(&edit->target); heads && !edit->query && !edit->key)
      return *heads;
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("heads='{}': expected heads like 9.9, L9H9, 5-7.* or *.0,3", text));
}

ParameterInfo query_parameter() {
  return {
      "query",
      "From token",
      "Position whose output is traced back; -1: where the model's answer is read (the last token, or CLS "
      "or the patches as the model pools).",
      -1,
      -1,
      1e9};
}

std::vector<ParameterInfo> fusion_parameters() {
  return {{"heads", "Heads", "Which heads are followed, like 5-7.* or *.0,3; layers without any are passed.",
           "*.*"},
          choice("fusion", "Fusion", "How the heads of a layer become one map.", {"mean", "max", "min"}),
          {"discard", "Discard", "Share of each row's weights, the smallest, set to 0 before (own).", 0.0,
           0.0, 0.99}};
}

Result<FusedMaps> fused_maps(const MethodInput& input) {
  FusionOptions options;
  SACCADE_TRY(options.heads, parse_head_target(input.parameters["heads"].get<std::string>()));
  SACCADE_TRY(options.fusion, parse_fusion(input.parameters["fusion"].get<std::string>()));
  options.discard = input.parameters["discard"].get<double>();
  return FusedMaps::make(input.capture, *input.kernels, std::move(options));
}

std::vector<std::string> token_labels(const Capture& capture) {
  std::vector<std::string> labels;
  labels.reserve(capture.tokens.size());
  for (const Token& token : capture.tokens) labels.push_back(display_text(token));
  return labels;
}

Axis layer_axis(int64_t layers) {
  Axis axis{AxisKind::layer, "layer", {}};
  for (int64_t l = 0; l < layers; ++l) axis.labels.push_back(std::to_string(l));
  return axis;
}

Field field_about(std::string name, std::string label, ValueKind kind, std::vector<Axis> axes,
                  std::string unit) {
  return {std::move(name), std::move(label), std::move(unit), kind, std::move(axes), {}, {}};
}

Result<void> add_token_fields(const Capture& capture, const Field& about, const std::vector<int64_t>& leading,
                              std::span<const double> values, AnalysisResult& result) {
  const int64_t n = capture.n_token();
  Field field = about;
  field.request = capture.provenance.request;
  const std::vector<float> numbers(values.begin(), values.end());
  for (size_t k = 0; k < capture.images.size(); ++k) {
    Field over = field;
    over.name += k == 0 ? "_patches" : fmt::format("_patches_{}", k + 1);
    over.label += k == 0 ? ", over the picture" : fmt::format(", over picture {}", k + 1);
    SACCADE_TRY(Field patches, patch_field(std::move(over), leading, numbers, n, capture.images[k]));
    result.fields.push_back(std::move(patches));
  }
  std::vector<int64_t> shape = leading;
  shape.push_back(n);
  field.axes.push_back({AxisKind::token, "token", token_labels(capture)});
  field.values = HostTensor(shape, false);
  std::copy(numbers.begin(), numbers.end(), field.values.mutable_values().begin());
  result.fields.push_back(std::move(field));
  return {};
}

Table tokens_table(const Capture& capture, const std::string& name,
                   const std::vector<std::pair<std::string, std::vector<double>>>& columns) {
  Table table{name, {"position", "token"}, {}};
  for (const auto& column : columns) table.columns.push_back(column.first);
  for (int64_t i = 0; i < capture.n_token(); ++i) {
    std::vector<Cell> row{i, display_text(capture.tokens[static_cast<size_t>(i)])};
    for (const auto& column : columns) row.emplace_back(column.second[static_cast<size_t>(i)]);
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string largest_text(const Capture& capture, std::span<const double> shares, size_t count) {
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
      [&](size_t a, size_t b) { return shares[a] != shares[b] ? shares[a] > shares[b] : a < b; });
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += fmt::format("{}{} {:.1f} %", i == 0 ? "" : ", ",
                        token_text(capture, static_cast<int64_t>(order[i])), 100.0 * shares[order[i]]);
  return text;
}

double share_on_picture(const ImageRegion& region, std::span<const double> shares) {
  double sum = 0.0;
  for (int64_t patch = 0; patch < region.patches(); ++patch)
    sum += shares[static_cast<size_t>(region.position(patch))];
  return sum;
}

}  // namespace saccade
