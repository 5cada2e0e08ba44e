// str(), repr() and iteration.
#include <fmt/format.h>

#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

class Printer {
 public:
  explicit Printer(Machine& machine) : machine_(machine) {}
  Result<void> add(const Value& value);
  std::string take() { return std::move(out_); }

 private:
  Result<void> add_items(const Values& items, std::string_view open, std::string_view close);
  Result<void> add_sequence(const Sequence& sequence);
  Result<void> add_dict(const Dict& dict);
  Result<void> put(std::string_view text) {
    out_ += text;
    if (out_.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
    return machine_.work(text.size());
  }
  Machine& machine_;
  std::string out_;
};

Result<void> Printer::add_items(const Values& items, std::string_view open, std::string_view close) {
  SACCADE_CHECK(put(open));
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) SACCADE_CHECK(put(", "));
    SACCADE_CHECK(add(items[i]));
  }
  return put(close);
}

Result<void> Printer::add_sequence(const Sequence& sequence) {
  switch (sequence.kind) {
    case SequenceKind::list:
      return add_items(sequence.items, "[", "]");
    case SequenceKind::tuple:
      return add_items(sequence.items, "(", sequence.items.size() == 1 ? ",)" : ")");
    case SequenceKind::range:
      return put(sequence.shown);
    case SequenceKind::keys:
      return add_items(sequence.items, "dict_keys([", "])");
    case SequenceKind::values:
      return add_items(sequence.items, "dict_values([", "])");
    case SequenceKind::items:
      return add_items(sequence.items, "dict_items([", "])");
  }
  return {};
}

Result<void> Printer::add_dict(const Dict& dict) {
  SACCADE_CHECK(put("{"));
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) SACCADE_CHECK(put(", "));
    first = false;
    SACCADE_CHECK(add(key));
    SACCADE_CHECK(put(": "));
    SACCADE_CHECK(add(value));
  }
  return put("}");
}

Result<void> Printer::add(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return put("Undefined");
    case Kind::none:
      return put("None");
    case Kind::boolean:
      return put(value.boolean() ? "True" : "False");
    case Kind::integer:
      return put(std::to_string(value.integer()));
    case Kind::real:
      return put(number_text(value.real()));
    case Kind::text:
      return put(value.is_markup() ? fmt::format("Markup({})", quoted(value.text())) : quoted(value.text()));
    case Kind::sequence:
      return add_sequence(value.sequence());
    case Kind::dict:
      return add_dict(value.dict());
    case Kind::iterator:
    case Kind::callable:
    case Kind::object:
      break;
  }
  return not_supported(
      fmt::format("a value of type '{}' cannot be printed: it has no text", value.type_name()));
}

// The source's items one after the other; `source` keeps them alive.
Result<Value> iterate_items(const Value& source) {
  return make_iterator(
      [source, at = size_t{0}]() mutable -> Result<std::optional<Value>> {
        const Values& items = source.items();
        if (at >= items.size()) return std::optional<Value>();
        return std::optional<Value>(items[at++]);
      },
      source.depth());
}

Result<Value> iterate_dict(const Value& source) {
  return make_iterator(
      [source, at = size_t{0}]() mutable -> Result<std::optional<Value>> {
        const auto& entries = source.dict().entries();
        if (at >= entries.size()) return std::optional<Value>();
        return std::optional<Value>(entries[at++].first);
      },
      source.depth());
}

Result<Value> iterate_text(const Value& source) {
  return make_iterator(
      [source, at = size_t{0}]() mutable -> Result<std::optional<Value>> {
        const std::string& text = source.text();
        if (at >= text.size()) return std::optional<Value>();
        const size_t length = tokens::utf8_length(text[at]);
        at += length;
        return std::optional<Value>(Value::of(text.substr(at - length, length)));
      },
      0);
}

}  // namespace

Result<std::string> to_repr(Machine& machine, const Value& value) {
  Printer printer(machine);
  SACCADE_CHECK(printer.add(value));
  return printer.take();
}

Result<std::string> to_text(Machine& machine, const Value& value) {
  if (value.is(Kind::undefined)) return std::string();
  if (!value.is(Kind::text)) return to_repr(machine, value);
  SACCADE_CHECK(machine.work(value.text().size()));
  return value.text();
}

Result<Value> iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return make_iterator([]() -> Result<std::optional<Value>> { return std::optional<Value>(); }, 0);
    case Kind::text:
      return iterate_text(value);
    case Kind::sequence:
      return iterate_items(value);
    case Kind::dict:
      return iterate_dict(value);
    case Kind::iterator:
      return value;
    case Kind::object:
      return not_supported(fmt::format("looping over '{}' is not supported", value.type_name()));
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
    case Kind::callable:
      break;
  }
  return type_error(fmt::format("'{}' object is not iterable", value.type_name()));
}

Result<std::optional<Value>> next(Machine& machine, const Value& iterator) {
  SACCADE_CHECK(machine.step());
  const Level level(machine);  // an iterator may ask another one
  if (!level.entered().ok()) return level.entered().error();
  return iterator.iterator().next();
}

Result<Values> collect(Machine& machine, const Value& value) {
  if (value.is(Kind::sequence)) {
    SACCADE_CHECK(machine.work(value.size()));
    return value.items();
  }
  SACCADE_TRY(const Value iterator, iterate(value));
  Values items;
  while (true) {
    SACCADE_TRY(std::optional<Value> item, next(machine, iterator));
    if (!item) return items;
    items.push_back(std::move(*item));
  }
}

}  // namespace saccade::jinja
