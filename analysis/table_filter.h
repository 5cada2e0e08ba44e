// TableFilter: which rows of a table are shown, as one typed line: clauses joined by "and", "&" or a comma.
// A clause is a comparison (effect > 0.1, |effect| >= 0.1, head = 5.1, kind != zero) or words, each of which
// some cell of the row must hold. Case does not matter; a number that is NaN fits no comparison but !=.
// Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/field.h"
#include "kernels/base/result.h"

namespace saccade {

class TableFilter {
 public:
  TableFilter() = default;  // lets everything through
  // Errors: a comparison with a column the table does not have (the columns are listed), or without a value,
  // or of sizes with something that is no number.
  static Result<TableFilter> parse(std::string_view text, const std::vector<std::string>& columns);

  [[nodiscard]] bool matches(const std::vector<Cell>& row) const;
  [[nodiscard]] bool empty() const { return clauses_.empty(); }

 private:
  enum class Operator { words, less, at_most, greater, at_least, equal, unequal };
  struct Clause {
    Operator op = Operator::words;
    size_t column = 0;
    bool magnitude = false;  // |column|
    double number = 0.0;     // NaN where the value is a text
    std::string text;        // lower case; of words, one word
  };
  static Result<Clause> comparison(std::string_view left, std::string_view op, std::string_view right,
                                   const std::vector<std::string>& columns);
  static bool fits(const Clause& clause, const std::vector<Cell>& row);

  std::vector<Clause> clauses_;
};

// A cell as a table shows it: numbers to `digits` significant ones, a dash for what is no number.
[[nodiscard]] std::string cell_text(const Cell& cell, int digits = 4);

}  // namespace saccade
