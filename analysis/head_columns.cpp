#include "analysis/head_columns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "analysis/statistics/rank.h"

namespace saccade {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

bool holds_tokens(std::string_view column) {
  constexpr std::array<std::string_view, 6> names{"token", "text", "prompt", "answer", "word", "citation"};
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return column.substr(0, name.size()) == name; });
}

std::optional<double> number_in(const Cell& cell) {
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  if (const auto* whole = std::get_if<int64_t>(&cell)) return static_cast<double>(*whole);
  return std::nullopt;
}

// The column whose texts name the head of each row.
std::optional<size_t> head_column_of(const Table& table) {
  for (const std::string_view name : {"head", "node"}) {
    const auto found = std::find(table.columns.begin(), table.columns.end(), name);
    if (found != table.columns.end()) return static_cast<size_t>(found - table.columns.begin());
  }
  return std::nullopt;
}

// Which row of the table is which head's (layer * n_head + head); nothing where rows do not name one head
// each, once.
std::optional<std::map<int64_t, size_t>> rows_by_head(const Table& table, int64_t n_layer, int64_t n_head) {
  const auto column = head_column_of(table);
  if (!column) return std::nullopt;
  std::map<int64_t, size_t> rows;
  for (size_t r = 0; r < table.rows.size(); ++r) {
    if (*column >= table.rows[r].size()) return std::nullopt;
    const auto* text = std::get_if<std::string>(&table.rows[r][*column]);
    const auto head = text ? head_in(*text) : std::nullopt;
    if (!head) continue;  // "mlp 3" among nodes
    if (head->layer.value >= n_layer || head->head.value >= n_head) return std::nullopt;
    if (!rows.emplace(head->layer.value * n_head + head->head.value, r).second) return std::nullopt;
  }
  if (rows.empty()) return std::nullopt;
  return rows;
}

bool is_shape(const Field& field, int64_t n_layer, int64_t n_head) {
  return field.has_axes({AxisKind::layer, AxisKind::head}) &&
         field.values.shape() == std::vector<int64_t>{n_layer, n_head};
}

void add_table(const Table& table, int64_t n_layer, int64_t n_head, const std::set<std::string>& known,
               std::vector<HeadColumn>& columns) {
  const auto rows = rows_by_head(table, n_layer, n_head);
  if (!rows) return;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const std::string& name = table.columns[c];
    if (name == "layer" || name == "index" || known.contains(name)) continue;
    HeadColumn column{table.name + "." + name, name + " (" + table.name + ")", "", ValueKind::magnitude,
                      HostTensor({n_layer, n_head})};
    const std::span<float> values = column.values.mutable_values();
    std::fill(values.begin(), values.end(), std::numeric_limits<float>::quiet_NaN());
    bool any = false, negative = false, texts = false;
    for (const auto& [head, row] : *rows) {
      if (c >= table.rows[row].size()) continue;
      const auto number = number_in(table.rows[row][c]);
      texts = texts || !number;
      if (!number || !std::isfinite(*number)) continue;
      values[static_cast<size_t>(head)] = static_cast<float>(*number);
      any = true;
      negative = negative || *number < 0.0;
    }
    if (!any || texts) continue;
    if (negative) column.kind = ValueKind::signed_difference;
    columns.push_back(std::move(column));
  }
}

}  // namespace

std::vector<HeadColumn> head_columns(const AnalysisResult& result, int64_t n_layer, int64_t n_head) {
  std::vector<HeadColumn> columns;
  std::set<std::string> known;
  for (const Field& field : result.fields) {
    if (!is_shape(field, n_layer, n_head)) continue;
    columns.push_back({field.name, field.label, field.unit, field.kind, field.values});
    known.insert(field.name);
  }
  for (const Table& table : result.tables) add_table(table, n_layer, n_head, known, columns);
  return columns;
}

std::optional<HeadId> head_in(std::string_view text) {
  if (text.size() > 2 && text[text.size() - 2] == '.' &&
      std::string_view("qkvz").find(text.back()) != std::string_view::npos)
    text.remove_suffix(2);
  const auto head = parse_head(text);
  if (!head.ok()) return std::nullopt;
  return *head;
}

std::vector<HeadId> heads_of_row(const Table& table, size_t row) {
  std::vector<HeadId> heads;
  const std::vector<Cell>& cells = table.rows[row];
  for (size_t c = 0; c < std::min(cells.size(), table.columns.size()); ++c) {
    const auto* text = std::get_if<std::string>(&cells[c]);
    if (!text || holds_tokens(table.columns[c])) continue;
    std::vector<HeadId> in_cell;
    bool all = true;
    for (size_t at = 0; all && at < text->size();) {
      const size_t begin = text->find_first_not_of(" ,", at);
      if (begin == std::string::npos) break;
      const size_t end = std::min(text->find_first_of(" ,", begin), text->size());
      const auto head = head_in(std::string_view(*text).substr(begin, end - begin));
      all = head.has_value();
      if (head) in_cell.push_back(*head);
      at = end;
    }
    if (!all) continue;
    for (const HeadId head : in_cell)
      if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
  }
  return heads;
}

Correlation correlation_of(const HeadColumn& x, const HeadColumn& y) {
  std::vector<double> xs, ys;
  if (x.values.shape() == y.values.shape())
    for (int64_t at = 0; at < x.values.size(); ++at) {
      const double a = x.values.data()[at], b = y.values.data()[at];
      if (!std::isfinite(a) || !std::isfinite(b)) continue;
      xs.push_back(a);
      ys.push_back(b);
    }
  const auto count = static_cast<int64_t>(xs.size());
  if (count < 3) return {none, none, count};
  return {pearson(xs, ys), spearman(xs, ys), count};
}

}  // namespace saccade
