// DelimitedText: a CSV or TSV file with a header line, as foreign programs write it. RFC 4180 quoting; the
// separator (tab, comma or semicolon) is the one that the header line has most of; byte-order mark, CRLF and
// empty lines are passed over. In files that do not separate by commas a comma may be the decimal point.
// Immutable. Errors (bad_format) name the line: an unclosed quote, a row longer or shorter than the header.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

class DelimitedText {
 public:
  static Result<DelimitedText> parse(std::string_view text);

  [[nodiscard]] int64_t rows() const {
    return columns_.empty() ? 0 : static_cast<int64_t>(cells_.size() / columns_.size());
  }
  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  [[nodiscard]] int64_t line_of(int64_t row) const { return lines_[static_cast<size_t>(row)]; }
  [[nodiscard]] const std::string& cell(int64_t row, size_t column) const {
    return cells_[static_cast<size_t>(row) * columns_.size() + column];
  }
  // The first of `names` that is a column, comparing only lower-case letters and digits ("Fix X" = fix_x).
  [[nodiscard]] std::optional<size_t> column(std::span<const std::string_view> names) const;
  // Nothing for what says "missing": empty, ".", "NA", "NaN", "null". Error: neither missing nor a number.
  [[nodiscard]] Result<std::optional<double>> number(int64_t row, size_t column) const;

 private:
  char separator_ = ',';
  std::vector<std::string> columns_;
  std::vector<std::string> cells_;  // [row, column]
  std::vector<int64_t> lines_;      // of each row, from 1
};

}  // namespace saccade
