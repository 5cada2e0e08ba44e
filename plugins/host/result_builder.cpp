#include "plugins/host/result_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "plugins/host/plugin_text.h"

namespace saccade::plugins {
namespace {

Error refuse(std::string why) { return make_error(ErrorCode::bad_format, std::move(why)); }

constexpr std::array known_axes{AxisKind::layer, AxisKind::head, AxisKind::query, AxisKind::key,
                                AxisKind::token, AxisKind::step, AxisKind::top};

AxisKind kind_of(const std::string& name) {
  for (const AxisKind kind : known_axes)
    if (name == to_string(kind)) return kind;
  return AxisKind::other;
}

// Of the axes that are the run's own; the others are as long as the plugin says.
std::optional<int64_t> length_of(AxisKind kind, const Capture& capture) {
  switch (kind) {
    case AxisKind::layer:
      return capture.spec.n_layer;
    case AxisKind::head:
      return capture.spec.n_head;
    case AxisKind::query:
    case AxisKind::key:
    case AxisKind::token:
      return capture.n_token();
    case AxisKind::step:
    case AxisKind::top:
    case AxisKind::other:
      return std::nullopt;
  }
  return std::nullopt;
}

Result<ValueKind> read_kind(int32_t kind, ValueKind declared) {
  switch (kind) {
    case SACCADE_AS_DECLARED:
      return declared;
    case SACCADE_PROBABILITY:
      return ValueKind::probability;
    case SACCADE_SIGNED:
      return ValueKind::signed_difference;
    case SACCADE_MAGNITUDE:
      return ValueKind::magnitude;
    default:
      return refuse(fmt::format("its kind {} is none of this interface", kind));
  }
}

template <class Promises>
Result<const typename Promises::value_type*> find_promise(const Promises& promises, const std::string& name,
                                                          const char* what) {
  std::vector<std::string> names;
  for (const auto& promise : promises) {
    if (promise.name == name) return &promise;
    names.push_back(promise.name);
  }
  return refuse(fmt::format("{} '{}' is not in the manifest, which declares {}", what, shown(name),
                            names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

}  // namespace

Result<std::string> ResultBuilder::read_text(const char* text, size_t longest, const std::string& what) {
  Result<std::string> read = read_c_text(text, longest);
  if (!read.ok()) return refuse(what + " " + read.error().message);
  text_ += read->size();
  if (text_ > most_text) return refuse(fmt::format("its texts are longer than {} bytes together", most_text));
  return read;
}

Result<const FieldPromise*> ResultBuilder::promised_field(const saccade_field* given) const {
  if (!given) return refuse("add_field was given a null pointer");
  if (given->size < sizeof(saccade_field))
    return refuse(fmt::format("add_field was given a struct of {} bytes, version {} has {}", given->size,
                              SACCADE_PLUGIN_API, sizeof(saccade_field)));
  const Result<std::string> name = read_c_text(given->name, longest_name);
  if (!name.ok()) return refuse("the name of a field " + name.error().message);
  SACCADE_TRY(const FieldPromise* promise, find_promise(manifest_.fields, *name, "field"));
  if (result_.field(*name)) return refuse(fmt::format("field '{}' was handed over twice", *name));
  return promise;
}

Result<Axis> ResultBuilder::read_axis(const saccade_axis& given, const std::string& promised) {
  SACCADE_TRY(const std::string name, read_text(given.name, longest_name, "the name of an axis"));
  if (name != promised)
    return refuse(fmt::format("axis '{}' stands where the manifest declares '{}'", shown(name), promised));
  Axis axis{kind_of(name), name, {}};
  const std::optional<int64_t> wanted = length_of(axis.kind, capture_);
  if (wanted && given.length != *wanted)
    return refuse(fmt::format("axis '{}' has length {}, the run has {}", name, given.length, *wanted));
  if (given.length < 1 || given.length > most_values)
    return refuse(fmt::format("axis '{}' has length {}", name, given.length));
  if (!given.labels) return axis;
  if (given.length > most_cells)
    return refuse(
        fmt::format("axis '{}' has {} labels, at most {} are taken", name, given.length, most_cells));
  for (int64_t i = 0; i < given.length; ++i) {
    SACCADE_TRY(std::string label,
                read_text(given.labels[i], longest_name, fmt::format("label {} of axis '{}'", i, name)));
    axis.labels.push_back(std::move(label));
  }
  return axis;
}

Result<void> ResultBuilder::add_field(const saccade_field* given) {
  SACCADE_TRY(const FieldPromise* promise, promised_field(given));
  const auto here = [&](Error error) { return std::move(error).with("field '" + promise->name + "'"); };
  if (given->rank != static_cast<int32_t>(promise->axes.size()))
    return here(refuse(fmt::format("it has {} axes, the manifest declares {} ({})", given->rank,
                                   promise->axes.size(), fmt::join(promise->axes, ", "))));
  if (!given->axes || !given->values) return here(refuse("its axes or values are a null pointer"));
  Field field;
  field.name = promise->name;
  field.label = promise->label;
  field.unit = promise->unit;
  field.request = capture_.provenance.request;
  std::vector<int64_t> shape;
  int64_t count = 1;
  for (size_t i = 0; i < promise->axes.size(); ++i) {
    Result<Axis> axis = read_axis(given->axes[i], promise->axes[i]);
    if (!axis.ok()) return here(std::move(axis).error());
    field.axes.push_back(std::move(*axis));
    shape.push_back(given->axes[i].length);
    if (shape.back() > most_values / count)
      return here(refuse(fmt::format("it has more than {} values", most_values)));
    count *= shape.back();
  }
  if (given->count != count)
    return here(refuse(
        fmt::format("it has {} values, its axes [{}] make {}", given->count, fmt::join(shape, ", "), count)));
  if (count > most_values - values_)
    return here(refuse(fmt::format("the fields have more than {} values together", most_values)));
  for (const auto& [text, into] : {std::pair{given->label, &field.label}, {given->unit, &field.unit}}) {
    if (!text) continue;
    Result<std::string> read = read_text(text, longest_name, "its label or unit");
    if (!read.ok()) return here(std::move(read).error());
    *into = std::move(*read);
  }
  const Result<ValueKind> kind = read_kind(given->kind, promise->kind);
  if (!kind.ok()) return here(kind.error());
  field.kind = *kind;
  field.values = HostTensor(shape, false);
  std::copy_n(given->values, count, field.values.mutable_values().begin());
  values_ += count;
  result_.fields.push_back(std::move(field));
  return {};
}

Result<const TablePromise*> ResultBuilder::promised_table(const saccade_table* given) const {
  if (!given) return refuse("add_table was given a null pointer");
  if (given->size < sizeof(saccade_table))
    return refuse(fmt::format("add_table was given a struct of {} bytes, version {} has {}", given->size,
                              SACCADE_PLUGIN_API, sizeof(saccade_table)));
  const Result<std::string> name = read_c_text(given->name, longest_name);
  if (!name.ok()) return refuse("the name of a table " + name.error().message);
  SACCADE_TRY(const TablePromise* promise, find_promise(manifest_.tables, *name, "table"));
  for (const Table& table : result_.tables)
    if (table.name == *name) return refuse(fmt::format("table '{}' was handed over twice", *name));
  return promise;
}

Result<Cell> ResultBuilder::read_cell(const saccade_cell& given) {
  switch (given.type) {
    case SACCADE_TEXT: {
      SACCADE_TRY(std::string text, read_text(given.text, longest_text, "a cell"));
      return Cell(std::move(text));
    }
    case SACCADE_INTEGER:
      return Cell(given.integer);
    case SACCADE_NUMBER:
      return Cell(given.number);
    default:
      return refuse(fmt::format("a cell's type {} is none of this interface", given.type));
  }
}

Result<void> ResultBuilder::add_table(const saccade_table* given) {
  SACCADE_TRY(const TablePromise* promise, promised_table(given));
  const auto here = [&](Error error) { return std::move(error).with("table '" + promise->name + "'"); };
  const auto columns = static_cast<int64_t>(promise->columns.size());
  if (given->columns != columns)
    return here(refuse(fmt::format("it has {} columns, the manifest declares {} ({})", given->columns,
                                   columns, fmt::join(promise->columns, ", "))));
  if (given->rows < 0 || given->rows > (most_cells - cells_) / columns)
    return here(refuse(
        fmt::format("it has {} rows; at most {} cells are taken of one result", given->rows, most_cells)));
  if (given->rows > 0 && !given->cells) return here(refuse("its cells are a null pointer"));
  Table table{promise->name, promise->columns, {}};
  for (int64_t row = 0; row < given->rows; ++row) {
    std::vector<Cell>& cells = table.rows.emplace_back();
    for (int64_t column = 0; column < columns; ++column) {
      Result<Cell> cell = read_cell(given->cells[row * columns + column]);
      if (!cell.ok()) return here(std::move(cell).error().with(fmt::format("row {}", row)));
      cells.push_back(std::move(*cell));
    }
  }
  cells_ += given->rows * columns;
  result_.tables.push_back(std::move(table));
  return {};
}

Result<void> ResultBuilder::add_finding(const char* sentence) {
  if (result_.findings.size() >= most_findings)
    return refuse(fmt::format("it has more than {} findings", most_findings));
  SACCADE_TRY(std::string text, read_text(sentence, longest_text, "a finding"));
  if (text.empty()) return refuse("a finding is empty");
  result_.findings.push_back(std::move(text));
  return {};
}

}  // namespace saccade::plugins
