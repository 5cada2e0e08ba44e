#include "analysis/field.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

nlohmann::json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

const char* to_string(ValueKind kind) {
  switch (kind) {
    case ValueKind::probability:
      return "probability";
    case ValueKind::signed_difference:
      return "signed difference";
    case ValueKind::magnitude:
      return "magnitude";
  }
  return "magnitude";
}

nlohmann::json to_json(const Field& field) {
  auto axes = nlohmann::json::array();
  auto labels = nlohmann::json::object();
  for (const Axis& axis : field.axes) {
    const std::string name = axis.name.empty() ? to_string(axis.kind) : axis.name;
    axes.push_back(name);
    if (!axis.labels.empty()) labels[name] = axis.labels;
  }
  auto values = nlohmann::json::array();
  for (float value : field.values.values()) values.push_back(number_or_null(value));
  nlohmann::json document{
      {"label", field.label},          {"unit", field.unit}, {"kind", to_string(field.kind)}, {"axes", axes},
      {"shape", field.values.shape()}, {"values", values},   {"request", field.request}};
  if (!labels.empty()) document["axis_labels"] = labels;
  return document;
}

nlohmann::json to_json(const Table& table) {
  auto rows = nlohmann::json::array();
  for (const auto& row : table.rows) {
    auto cells = nlohmann::json::array();
    for (const Cell& cell : row) {
      if (const auto* number = std::get_if<double>(&cell))
        cells.push_back(number_or_null(*number));
      else if (const auto* whole = std::get_if<int64_t>(&cell))
        cells.push_back(*whole);
      else
        cells.push_back(std::get<std::string>(cell));
    }
    rows.push_back(std::move(cells));
  }
  return {{"columns", table.columns}, {"rows", rows}};
}

}  // namespace

const char* to_string(AxisKind kind) {
  switch (kind) {
    case AxisKind::layer:
      return "layer";
    case AxisKind::head:
      return "head";
    case AxisKind::query:
      return "query";
    case AxisKind::key:
      return "key";
    case AxisKind::token:
      return "token";
    case AxisKind::step:
      return "step";
    case AxisKind::top:
      return "top";
    case AxisKind::other:
      return "other";
  }
  return "other";
}

bool Field::has_axes(std::initializer_list<AxisKind> kinds) const {
  return std::equal(axes.begin(), axes.end(), kinds.begin(), kinds.end(),
                    [](const Axis& axis, AxisKind kind) { return axis.kind == kind; });
}

const Field* AnalysisResult::field(std::string_view name) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

nlohmann::json to_json(const AnalysisResult& result) {
  auto fields = nlohmann::json::object();
  for (const Field& field : result.fields) fields[field.name] = to_json(field);
  auto tables = nlohmann::json::object();
  for (const Table& table : result.tables) tables[table.name] = to_json(table);
  return {{"method", result.method},     {"params", result.parameters}, {"requests", result.requests},
          {"fields", std::move(fields)}, {"tables", std::move(tables)}, {"findings", result.findings},
          {"partial", result.partial}};
}

}  // namespace saccade
