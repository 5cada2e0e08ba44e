#include "analysis/scanpath/delimited_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace saccade {
namespace {

constexpr size_t most_columns = 4096, most_cells = 40'000'000;

Error bad(int64_t line, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("line {}: {}", line, what));
}

// One record, from `text` at `at`; moves `at` behind its line end and counts the lines that it crosses.
Result<std::vector<std::string>> next_record(std::string_view text, char separator, size_t& at,
                                             int64_t& line) {
  std::vector<std::string> cells(1);
  const int64_t first = line;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\n') ++line;
      if (c != '"') {
        cells.back() += c;
      } else if (at + 1 < text.size() && text[at + 1] == '"') {
        cells.back() += '"';
        ++at;
      } else {
        quoted = false;
      }
    } else if (c == '"' && cells.back().empty()) {
      quoted = true;
    } else if (c == separator) {
      if (cells.size() == most_columns)
        return bad(first, fmt::format("more than {} columns; this is no table of fixations", most_columns));
      cells.emplace_back();
    } else if (c == '\n') {
      break;
    } else if (c != '\r' || (at + 1 < text.size() && text[at + 1] != '\n')) {
      cells.back() += c;
    }
  }
  if (quoted) return bad(first, "a quote is opened and never closed");
  ++at;
  ++line;
  return cells;
}

std::string plain(std::string_view name) {
  std::string kept;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) kept += c;
    if (c >= 'A' && c <= 'Z') kept += static_cast<char>(c - 'A' + 'a');
  }
  return kept;
}

char separator_of(std::string_view header) {
  char best = ',';
  for (const char c : {'\t', ';'})
    if (std::count(header.begin(), header.end(), c) > std::count(header.begin(), header.end(), best))
      best = c;
  return best;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<DelimitedText> DelimitedText::parse(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.find('\0') != std::string_view::npos)
    return make_error(ErrorCode::bad_format, "holds zero bytes: this is no text file in UTF-8");
  DelimitedText parsed;
  size_t at = 0;
  int64_t line = 1;
  while (at < text.size() && (text[at] == '\n' || text[at] == '\r')) line += text[at++] == '\n' ? 1 : 0;
  parsed.separator_ = separator_of(text.substr(at, text.find('\n', at) - at));
  if (at >= text.size()) return make_error(ErrorCode::bad_format, "is empty; expected a header line");
  SACCADE_TRY(parsed.columns_, next_record(text, parsed.separator_, at, line));
  while (at < text.size()) {
    const int64_t here = line;
    SACCADE_TRY(std::vector<std::string> cells, next_record(text, parsed.separator_, at, line));
    if (cells.size() == 1 && trimmed(cells.front()).empty() && parsed.columns_.size() > 1) continue;
    if (cells.size() != parsed.columns_.size())
      return bad(here,
                 fmt::format("{} fields where the header has {}", cells.size(), parsed.columns_.size()));
    if (parsed.cells_.size() + cells.size() > most_cells)
      return make_error(ErrorCode::unsupported,
                        fmt::format("more than {} cells; split the file by subject", most_cells));
    std::move(cells.begin(), cells.end(), std::back_inserter(parsed.cells_));
    parsed.lines_.push_back(here);
  }
  return parsed;
}

std::optional<size_t> DelimitedText::column(std::span<const std::string_view> names) const {
  for (const std::string_view name : names)
    for (size_t i = 0; i < columns_.size(); ++i)
      if (plain(columns_[i]) == plain(name)) return i;
  return std::nullopt;
}

Result<std::optional<double>> DelimitedText::number(int64_t row, size_t column) const {
  std::string text(trimmed(cell(row, column)));
  static constexpr std::array<std::string_view, 6> missing{"", "na", "nan", "null", "none", "missing"};
  const std::string letters = plain(text);
  if (text == "." || text.empty() ||
      (letters.size() == text.size() && std::find(missing.begin(), missing.end(), letters) != missing.end()))
    return std::optional<double>();
  if (separator_ != ',' && std::count(text.begin(), text.end(), ',') == 1 &&
      text.find('.') == std::string::npos)
    text[text.find(',')] = '.';
  double value = 0.0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || std::isinf(value))
    return bad(line_of(row),
               fmt::format("column '{}' says '{}'; expected a number", columns_[column], text.substr(0, 40)));
  return std::isnan(value) ? std::optional<double>() : std::optional<double>(value);
}

}  // namespace saccade
