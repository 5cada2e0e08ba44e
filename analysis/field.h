// Field: numbers with named axes, a unit, and the request they came from. A view says which axes it draws; a
// method says which it makes. AnalysisResult: what a method hands back.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/host_tensor.h"

namespace saccade {

enum class AxisKind { layer, head, query, key, token, step, top, other };
[[nodiscard]] const char* to_string(AxisKind kind);

struct Axis {
  AxisKind kind = AxisKind::other;
  std::string name;                 // "layer", "head", "query"...; for `other`, its own
  std::vector<std::string> labels;  // empty, or one per index (token texts)
};

// How a colour map should treat the numbers.
enum class ValueKind { probability, signed_difference, magnitude };

struct Field {
  std::string name;   // "induction"
  std::string label;  // "Induction score"
  std::string unit;   // "" for pure numbers, "nats", "tokens"
  ValueKind kind = ValueKind::magnitude;
  std::vector<Axis> axes;  // one per dimension of values
  HostTensor values;
  std::string request;  // digest of the run(s)

  [[nodiscard]] bool has_axes(std::initializer_list<AxisKind> kinds) const;  // exactly these, in order
};

using Cell = std::variant<std::string, int64_t, double>;
struct Table {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
};

struct AnalysisResult {
  std::string method;
  nlohmann::json parameters = nlohmann::json::object();  // complete, as computed with
  std::vector<Field> fields;
  std::vector<Table> tables;
  std::vector<std::string> findings;  // one sentence each
  std::vector<std::string> requests;
  bool partial = false;

  [[nodiscard]] const Field* field(std::string_view name) const;
};

// The document of `analyze --json`: method, params, requests, fields {name: axes, shape, unit, values ...},
// tables, findings, partial. `values` is flat, row-major in the order of `axes`; what is not a number is
// null.
[[nodiscard]] nlohmann::json to_json(const AnalysisResult& result);

}  // namespace saccade
