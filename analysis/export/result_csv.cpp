// Tables and fields as CSV.
#include <fmt/format.h>

#include <cmath>

#include "analysis/export/result_figures.h"

namespace saccade {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string made = "\"";
  for (const char c : text) made += c == '"' ? "\"\"" : std::string(1, c);
  return made + "\"";
}

std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : std::string(); }

}  // namespace

std::string csv_of(const Table& table) {
  std::string text;
  for (size_t c = 0; c < table.columns.size(); ++c) text += (c ? "," : "") + quoted(table.columns[c]);
  text += "\n";
  for (const std::vector<Cell>& row : table.rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (c) text += ",";
      if (const auto* words = std::get_if<std::string>(&row[c]))
        text += quoted(*words);
      else if (const auto* whole = std::get_if<int64_t>(&row[c]))
        text += fmt::format("{}", *whole);
      else
        text += number(std::get<double>(row[c]));
    }
    text += "\n";
  }
  return text;
}

std::string csv_of(const Field& field) {
  const std::vector<int64_t>& shape = field.values.shape();
  std::string text;
  for (const Axis& axis : field.axes) {
    text += quoted(name_of(axis)) + ",";
    if (!axis.labels.empty()) text += quoted(name_of(axis) + "_label") + ",";
  }
  text += quoted(field.name) + "\n";
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t at = 0; at < field.values.size(); ++at) {
    int64_t rest = at;
    for (size_t i = shape.size(); i-- > 0;) {
      index[i] = rest % shape[i];
      rest /= shape[i];
    }
    for (size_t i = 0; i < std::min(index.size(), field.axes.size()); ++i) {
      text += fmt::format("{},", index[i]);
      if (!field.axes[i].labels.empty()) text += quoted(label_of(field.axes[i], index[i])) + ",";
    }
    text += number(field.values.data()[at]) + "\n";
  }
  return text;
}

std::string caption_of(const std::string& what, const ResultOrigin& origin) {
  std::string given;
  for (const auto& [name, value] : origin.parameters.items())
    given += fmt::format("{}{}={}", given.empty() ? "" : ", ", name,
                         value.is_string() ? value.get<std::string>() : value.dump());
  std::string text = what + ", by " + origin.method;
  if (!given.empty()) text += " (" + given + ")";
  if (!origin.run.model_name.empty()) text += " on " + origin.run.model_name;
  text += origin.partial ? "; partial: stopped before its end." : ".";
  return text;
}

}  // namespace saccade
