// A value of a template, as Python has them: none, bool, int, float, str, list, tuple, range, dict and its
// views, one-pass iterators, callables, objects (loop, namespace) and jinja2's Undefined. Private header.
//
// Values are immutable once made, so copies share. Containers know how deep they nest, and none nests deeper
// than max_nesting: neither destroying nor printing one can exhaust the stack. Integers have 64 bits; what
// Python would compute beyond that is an error, never another number. Thread: one per render.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::jinja {

class Value;
class Machine;
class Dict;
struct Sequence;
struct Iterator;
struct Callable;
struct Arguments;
using Values = std::vector<Value>;

inline constexpr int max_nesting = 64;
inline constexpr size_t max_text_bytes = size_t{16} << 20;

// Something with attributes and an identity: the loop variable, a namespace.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
  [[nodiscard]] virtual std::string_view type_name() const = 0;
  // Whether containers may hold it. What holds values itself must not be held: chains would have no end.
  [[nodiscard]] virtual bool can_be_held() const { return false; }
  // Nothing when there is no such attribute.
  virtual Result<std::optional<Value>> attribute(Machine& machine, std::string_view name) = 0;
};

enum class Kind { undefined, none, boolean, integer, real, text, sequence, dict, iterator, callable, object };

class Value {
 public:
  Value();  // none
  static Value undefined(std::string message);
  static Value of(bool value) { return Value(State(value)); }
  static Value of(int64_t value) { return Value(State(value)); }
  static Value of(double value) { return Value(State(value)); }
  static Value of(std::string text, bool markup = false);
  static Value of(const char* text) { return of(std::string(text)); }
  static Value of(std::shared_ptr<const Sequence> value) { return Value(State(std::move(value))); }
  static Value of(std::shared_ptr<const Dict> value) { return Value(State(std::move(value))); }
  static Value of(std::shared_ptr<Iterator> value) { return Value(State(std::move(value))); }
  static Value of(std::shared_ptr<const Callable> value) { return Value(State(std::move(value))); }
  static Value of(std::shared_ptr<Object> value) { return Value(State(std::move(value))); }

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(state_.index()); }
  [[nodiscard]] bool is(Kind kind) const { return this->kind() == kind; }
  [[nodiscard]] bool is_number() const { return is(Kind::integer) || is(Kind::real) || is(Kind::boolean); }
  [[nodiscard]] bool is_integral() const { return is(Kind::integer) || is(Kind::boolean); }  // a Python int
  [[nodiscard]] bool is_markup() const;
  [[nodiscard]] bool is_list() const;

  // Each only for a value of its kind.
  [[nodiscard]] bool boolean() const { return std::get<bool>(state_); }
  [[nodiscard]] int64_t integer() const;  // also of a bool
  [[nodiscard]] double real() const;      // of any number
  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] const Sequence& sequence() const;
  [[nodiscard]] const Values& items() const;  // of a sequence
  [[nodiscard]] const Dict& dict() const;
  [[nodiscard]] Iterator& iterator() const;
  [[nodiscard]] const Callable& callable() const;
  [[nodiscard]] Object& object() const;
  [[nodiscard]] const std::string& why_undefined() const;

  [[nodiscard]] bool truth() const;
  [[nodiscard]] std::string_view type_name() const;  // "str", "NoneType", ...
  [[nodiscard]] int depth() const;
  [[nodiscard]] size_t size() const;  // bytes or items, 1 for what has neither: what handling it costs
  [[nodiscard]] const void* identity() const;   // of objects and callables
  [[nodiscard]] Result<size_t> length() const;  // Python's len()

 private:
  struct Undefined {
    std::shared_ptr<const std::string> message;
  };
  struct Text {
    std::shared_ptr<const std::string> text;
    bool markup = false;  // went through `safe` or `escape`
  };
  using State =
      std::variant<Undefined, std::monostate, bool, int64_t, double, Text, std::shared_ptr<const Sequence>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Iterator>, std::shared_ptr<const Callable>,
                   std::shared_ptr<Object>>;
  explicit Value(State state) : state_(std::move(state)) {}
  State state_;
};

enum class SequenceKind { list, tuple, range, keys, values, items };

struct Sequence {
  SequenceKind kind = SequenceKind::list;
  Values items;
  int depth = 1;
  std::string shown;  // of a range: how it prints
};

// Insertion order, and looking up by Python's equality (1, 1.0 and True are one key).
class Dict {
 public:
  // Replaces the value of a key that is there. Error for a key that cannot be hashed.
  Result<void> set(const Value& key, Value value);
  // Null when there is no such key; error for a key that cannot be hashed.
  [[nodiscard]] Result<const Value*> find(const Value& key) const;
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  [[nodiscard]] int depth() const { return depth_; }

 private:
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;
  int depth_ = 1;
};

// One pass: a generator, or reversed(). Nothing at the end.
struct Iterator {
  std::function<Result<std::optional<Value>>()> next;
  std::string type = "generator";
  int depth = 1;
};

struct Arguments {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable {
  std::string name;
  std::function<Result<Value>(Machine&, const Arguments&)> call;
  int depth = 1;
};

// Errors when the items nest too deeply.
Result<Value> make_sequence(Values items, SequenceKind kind = SequenceKind::list);
Result<Value> make_dict(Dict dict);
Result<Value> make_iterator(std::function<Result<std::optional<Value>>()> next, int source_depth,
                            std::string type = "generator");
Value make_callable(std::string name, std::function<Result<Value>(Machine&, const Arguments&)> call,
                    int depth = 1);

// Error for the loop variable, which only names may hold.
Result<void> check_holdable(const Value& value);

// One text per class of equal keys; error for lists and dicts ("unhashable type: 'list'").
Result<std::string> hash_key(const Value& value);

// Errors of a template that runs: bad_format, and what this interpreter leaves out: unsupported.
[[nodiscard]] Error type_error(std::string message);
[[nodiscard]] Error not_supported(std::string message);
[[nodiscard]] Error undefined_error(const Value& undefined);

}  // namespace saccade::jinja
