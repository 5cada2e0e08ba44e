// HeadColumn: one number per head, wherever a result holds such numbers: a field [layer, head], or a column
// of a table whose rows are heads. What colours the head grid and what a scatter plot's axes are. Thread:
// any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/field.h"
#include "core/base/ids.h"

namespace saccade {

struct HeadColumn {
  std::string name;   // "effect"; of a table "together.effect"
  std::string label;  // "Change of logit difference"
  std::string unit;
  ValueKind kind = ValueKind::magnitude;
  HostTensor values;  // [layer, head]; NaN where there is none
};

// Every such column of a result about a model of n_layer x n_head heads, fields first. A table's column that
// a field of the same name already gives is left out, and so are tables that name a head twice.
[[nodiscard]] std::vector<HeadColumn> head_columns(const AnalysisResult& result, int64_t n_layer,
                                                   int64_t n_head);

// The head that a text names: "5.1", "L5H1", or with one of its inputs, "5.1.q".
[[nodiscard]] std::optional<HeadId> head_in(std::string_view text);
// The heads that a row names, in the order of its columns; a cell may list several ("0.1 2.3"). Columns of
// token texts are not looked at: a token can be "1.2".
[[nodiscard]] std::vector<HeadId> heads_of_row(const Table& table, size_t row);

// How two columns go together over the heads that have a number in both.
struct Correlation {
  double pearson = 0.0;   // NaN with fewer than three heads, or where a column is constant
  double spearman = 0.0;  // the same of ranks, ties at their mean rank
  int64_t heads = 0;
};
[[nodiscard]] Correlation correlation_of(const HeadColumn& x, const HeadColumn& y);

}  // namespace saccade
