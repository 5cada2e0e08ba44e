#include "core/tokens/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

std::string_view name_of(SequenceKind kind) {
  switch (kind) {
    case SequenceKind::list:
      return "list";
    case SequenceKind::tuple:
      return "tuple";
    case SequenceKind::range:
      return "range";
    case SequenceKind::keys:
      return "dict_keys";
    case SequenceKind::values:
      return "dict_values";
    case SequenceKind::items:
      return "dict_items";
  }
  return "list";
}

Error too_deep() {
  return not_supported(fmt::format("a value is nested deeper than {} levels", max_nesting));
}

// Whole floats hash like their integer.
std::string real_key(double value) {
  if (value == std::floor(value) && std::abs(value) < 0x1p62)
    return fmt::format("n{}", static_cast<int64_t>(value));
  return fmt::format("f{:x}", std::bit_cast<uint64_t>(value));
}

Result<std::string> tuple_key(const Values& items) {
  std::string key = "(";
  for (const Value& item : items) {
    SACCADE_TRY(const std::string part, hash_key(item));
    key += fmt::format("{}:{}", part.size(), part);
    if (key.size() > max_text_bytes) return not_supported("a key of a dict is too long");
  }
  return key;
}

}  // namespace

Value::Value() : state_(std::monostate()) {}

Value Value::undefined(std::string message) {
  return Value(State(Undefined{std::make_shared<const std::string>(std::move(message))}));
}

Value Value::of(std::string text, bool markup) {
  return Value(State(Text{std::make_shared<const std::string>(std::move(text)), markup}));
}

bool Value::is_markup() const {
  const Text* text = std::get_if<Text>(&state_);
  return text && text->markup;
}

bool Value::is_list() const { return is(Kind::sequence) && sequence().kind == SequenceKind::list; }

int64_t Value::integer() const {
  if (const bool* truth = std::get_if<bool>(&state_)) return *truth ? 1 : 0;
  return std::get<int64_t>(state_);
}

double Value::real() const {
  if (const double* number = std::get_if<double>(&state_)) return *number;
  return static_cast<double>(integer());
}

const std::string& Value::text() const { return *std::get<Text>(state_).text; }
const Sequence& Value::sequence() const { return *std::get<std::shared_ptr<const Sequence>>(state_); }
const Values& Value::items() const { return sequence().items; }
const Dict& Value::dict() const { return *std::get<std::shared_ptr<const Dict>>(state_); }
Iterator& Value::iterator() const { return *std::get<std::shared_ptr<Iterator>>(state_); }
const Callable& Value::callable() const { return *std::get<std::shared_ptr<const Callable>>(state_); }
Object& Value::object() const { return *std::get<std::shared_ptr<Object>>(state_); }
const std::string& Value::why_undefined() const { return *std::get<Undefined>(state_).message; }

bool Value::truth() const {
  switch (kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return boolean();
    case Kind::integer:
      return integer() != 0;
    case Kind::real:
      return real() != 0.0;
    case Kind::text:
      return !text().empty();
    case Kind::sequence:
      return !items().empty();
    case Kind::dict:
      return !dict().entries().empty();
    case Kind::iterator:
    case Kind::callable:
    case Kind::object:
      return true;
  }
  return false;
}

std::string_view Value::type_name() const {
  switch (kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::text:
      return is_markup() ? "Markup" : "str";
    case Kind::sequence:
      return name_of(sequence().kind);
    case Kind::dict:
      return "dict";
    case Kind::iterator:
      return iterator().type;
    case Kind::callable:
      return "function";
    case Kind::object:
      return object().type_name();
  }
  return "object";
}

int Value::depth() const {
  if (is(Kind::sequence)) return sequence().depth;
  if (is(Kind::dict)) return dict().depth();
  if (is(Kind::iterator)) return iterator().depth;
  if (is(Kind::callable)) return callable().depth;
  return 0;
}

size_t Value::size() const {
  if (is(Kind::text)) return text().size() + 1;
  if (is(Kind::sequence)) return items().size() + 1;
  if (is(Kind::dict)) return dict().entries().size() + 1;
  return 1;
}

const void* Value::identity() const {
  if (is(Kind::object)) return &object();
  if (is(Kind::callable)) return &callable();
  return nullptr;
}

Result<size_t> Value::length() const {
  if (is(Kind::undefined)) return size_t{0};
  if (is(Kind::text)) return tokens::count_characters(text());
  if (is(Kind::sequence)) return items().size();
  if (is(Kind::dict)) return dict().entries().size();
  return type_error(fmt::format("object of type '{}' has no len()", type_name()));
}

Result<void> Dict::set(const Value& key, Value value) {
  SACCADE_TRY(std::string hashed, hash_key(key));
  SACCADE_CHECK(check_holdable(key));
  SACCADE_CHECK(check_holdable(value));
  depth_ = std::max({depth_, key.depth() + 1, value.depth() + 1});
  if (depth_ > max_nesting) return too_deep();
  const auto [place, added] = index_.emplace(std::move(hashed), entries_.size());
  if (added) {
    entries_.emplace_back(key, std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
  return {};
}

Result<const Value*> Dict::find(const Value& key) const {
  SACCADE_TRY(const std::string hashed, hash_key(key));
  const auto found = index_.find(hashed);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = index_.find("t" + std::string(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

Result<Value> make_sequence(Values items, SequenceKind kind) {
  auto sequence = std::make_shared<Sequence>();
  sequence->kind = kind;
  for (const Value& item : items) {
    SACCADE_CHECK(check_holdable(item));
    sequence->depth = std::max(sequence->depth, item.depth() + 1);
  }
  if (sequence->depth > max_nesting) return too_deep();
  sequence->items = std::move(items);
  return Value::of(std::shared_ptr<const Sequence>(std::move(sequence)));
}

Result<Value> make_dict(Dict dict) {
  if (dict.depth() > max_nesting) return too_deep();
  return Value::of(std::make_shared<const Dict>(std::move(dict)));
}

Result<Value> make_iterator(std::function<Result<std::optional<Value>>()> next, int source_depth,
                            std::string type) {
  if (source_depth >= max_nesting) return too_deep();
  auto iterator = std::make_shared<Iterator>();
  iterator->next = std::move(next);
  iterator->type = std::move(type);
  iterator->depth = source_depth + 1;
  return Value::of(std::move(iterator));
}

Value make_callable(std::string name, std::function<Result<Value>(Machine&, const Arguments&)> call,
                    int depth) {
  return Value::of(
      std::make_shared<const Callable>(Callable{std::move(name), std::move(call), std::max(1, depth)}));
}

Result<void> check_holdable(const Value& value) {
  if (!value.is(Kind::object) || value.object().can_be_held()) return {};
  return not_supported(fmt::format("storing the '{}' is not supported", value.type_name()));
}

Result<std::string> hash_key(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return std::string("u");
    case Kind::none:
      return std::string("0");
    case Kind::boolean:
    case Kind::integer:
      return fmt::format("n{}", value.integer());
    case Kind::real:
      return real_key(value.real());
    case Kind::text:
      return "t" + value.text();
    case Kind::sequence:
      if (value.sequence().kind == SequenceKind::tuple) return tuple_key(value.items());
      if (value.sequence().kind == SequenceKind::range) {
        SACCADE_TRY(const std::string key, tuple_key(value.items()));
        return "r" + key;
      }
      break;
    case Kind::object:
    case Kind::callable:
      return fmt::format("o{}", value.identity());
    case Kind::dict:
    case Kind::iterator:
      break;
  }
  return type_error(fmt::format("unhashable type: '{}'", value.type_name()));
}

Error type_error(std::string message) { return make_error(ErrorCode::bad_format, std::move(message)); }
Error not_supported(std::string message) { return make_error(ErrorCode::unsupported, std::move(message)); }
Error undefined_error(const Value& undefined) { return type_error(undefined.why_undefined()); }

}  // namespace saccade::jinja
