#include "analysis/table_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace saccade {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return made;
}

std::optional<double> read_number(std::string_view text) {
  double number = 0.0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> number_in(const Cell& cell) {
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  if (const auto* whole = std::get_if<int64_t>(&cell)) return static_cast<double>(*whole);
  return std::nullopt;
}

// "a > 1 and b, c & d": the clauses.
std::vector<std::string> clauses_of(std::string_view text) {
  std::string plain(text);
  std::string low = lower(text);
  for (size_t at = low.find(" and "); at != std::string::npos; at = low.find(" and ", at + 1))
    plain.replace(at, 5, "  ,  ");
  std::replace(plain.begin(), plain.end(), '&', ',');
  std::vector<std::string> clauses;
  for (size_t at = 0; at <= plain.size();) {
    const size_t end = std::min(plain.find(',', at), plain.size());
    const std::string_view clause = trimmed(std::string_view(plain).substr(at, end - at));
    if (!clause.empty()) clauses.emplace_back(clause);
    at = end + 1;
  }
  return clauses;
}

}  // namespace

std::string cell_text(const Cell& cell, int digits) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<int64_t>(&cell)) return fmt::format("{}", *number);
  const double value = std::get<double>(cell);
  return std::isfinite(value) ? fmt::format("{:.{}g}", value, digits) : "\u2013";
}

Result<TableFilter::Clause> TableFilter::comparison(std::string_view left, std::string_view op,
                                                    std::string_view right,
                                                    const std::vector<std::string>& columns) {
  Clause clause;
  left = trimmed(left);
  right = trimmed(right);
  if (left.size() > 2 && left.front() == '|' && left.back() == '|') {
    clause.magnitude = true;
    left = trimmed(left.substr(1, left.size() - 2));
  }
  const auto column = std::find_if(columns.begin(), columns.end(),
                                   [&](const std::string& name) { return lower(name) == lower(left); });
  if (column == columns.end())
    return make_error(ErrorCode::invalid_argument, fmt::format("there is no column '{}'; the columns are {}",
                                                               left, fmt::join(columns, ", ")));
  if (right.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} {} what? Write a number, such as {} {} 0.1", left, op, left, op));
  clause.column = static_cast<size_t>(column - columns.begin());
  clause.op = op == "<"    ? Operator::less
              : op == "<=" ? Operator::at_most
              : op == ">"  ? Operator::greater
              : op == ">=" ? Operator::at_least
              : op == "!=" ? Operator::unequal
                           : Operator::equal;
  clause.text = lower(right);
  const auto number = read_number(right);
  clause.number = number.value_or(std::numeric_limits<double>::quiet_NaN());
  if (!number && clause.op != Operator::equal && clause.op != Operator::unequal)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("'{}' is no number to compare {} with", right, left));
  return clause;
}

Result<TableFilter> TableFilter::parse(std::string_view text, const std::vector<std::string>& columns) {
  TableFilter filter;
  for (const std::string& part : clauses_of(text)) {
    const size_t at = part.find_first_of("<>=!");
    if (at != std::string::npos && at > 0) {
      size_t end = part.find_first_not_of("<>=!", at);
      if (end == std::string::npos) end = part.size();
      const std::string_view op = std::string_view(part).substr(at, end - at);
      if (op == "<" || op == "<=" || op == ">" || op == ">=" || op == "=" || op == "==" || op == "!=") {
        SACCADE_TRY(Clause clause, comparison(std::string_view(part).substr(0, at), op,
                                              std::string_view(part).substr(end), columns));
        filter.clauses_.push_back(std::move(clause));
        continue;
      }
    }
    for (size_t word = 0; word < part.size();) {
      const size_t end = std::min(part.find(' ', word), part.size());
      if (end > word)
        filter.clauses_.push_back(
            {Operator::words, 0, false, 0.0, lower(std::string_view(part).substr(word, end - word))});
      word = end + 1;
    }
  }
  return filter;
}

bool TableFilter::fits(const Clause& clause, const std::vector<Cell>& row) {
  if (clause.op == Operator::words)
    return std::any_of(row.begin(), row.end(), [&](const Cell& cell) {
      return lower(cell_text(cell)).find(clause.text) != std::string::npos;
    });
  if (clause.column >= row.size()) return false;
  const Cell& cell = row[clause.column];
  auto value = number_in(cell);
  if (value && clause.magnitude) value = std::abs(*value);
  const bool numbers = value && !std::isnan(clause.number);
  const bool same = numbers ? *value == clause.number : lower(cell_text(cell)) == clause.text;
  switch (clause.op) {
    case Operator::equal:
      return same;
    case Operator::unequal:
      return !same;
    case Operator::less:
      return numbers && *value < clause.number;
    case Operator::at_most:
      return numbers && *value <= clause.number;
    case Operator::greater:
      return numbers && *value > clause.number;
    case Operator::at_least:
      return numbers && *value >= clause.number;
    case Operator::words:
      break;
  }
  return true;
}

bool TableFilter::matches(const std::vector<Cell>& row) const {
  return std::all_of(clauses_.begin(), clauses_.end(),
                     [&](const Clause& clause) { return fits(clause, row); });
}

}  // namespace saccade
