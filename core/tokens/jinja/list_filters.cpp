// Filters on sequences. map, select and their kin work when they are asked for the next item, as generators
// do: what a loop's body changes in a namespace, their tests see.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

Value none_there(std::string_view which) {
  return Value::undefined(fmt::format("no {} item, the sequence was empty", which));
}

// "address.city" or 0: the way to what a filter looks at; empty for the item itself.
Result<Values> attribute_path(const Value* attribute) {
  if (!attribute || attribute->is(Kind::none)) return Values();
  if (!attribute->is(Kind::text)) return Values{*attribute};
  Values path;
  for (const std::string& part : split(attribute->text(), ".", -1, false)) {
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) {
      path.push_back(Value::of(part));
      continue;
    }
    SACCADE_TRY(const auto index, parse_integer(part, 10));
    path.push_back(Value::of(index.value_or(0)));
  }
  return path;
}

Result<Value> follow(Machine& machine, Value value, const Values& path, const Value* fallback = nullptr) {
  for (const Value& part : path) {
    SACCADE_TRY(value, item(machine, value, part));
    if (fallback && value.is(Kind::undefined)) value = *fallback;
  }
  return value;
}

Result<Value> folded(const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is(Kind::text)) return value;
  SACCADE_TRY(std::string small, lower(value.text()));
  return Value::of(std::move(small));
}

Result<Value> run_length(Machine&, const Value& subject, const Bound&) {
  SACCADE_TRY(const size_t length, subject.length());
  return Value::of(static_cast<int64_t>(length));
}

Result<Value> run_first(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(const Value iterator, iterate(subject));
  SACCADE_TRY(const auto first, next(machine, iterator));
  return first ? *first : none_there("first");
}

Result<Values> items_for_reversal(Machine& machine, const Value& subject) {
  if (subject.is(Kind::iterator))
    return type_error(fmt::format("'{}' object is not reversible", subject.type_name()));
  return collect(machine, subject);
}

Result<Value> run_last(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(const Values items, items_for_reversal(machine, subject));
  return items.empty() ? none_there("last") : items.back();
}

Result<Value> run_reverse(Machine& machine, const Value& subject, const Bound&) {
  if (subject.is(Kind::text)) {
    std::string out;
    for (size_t end = subject.text().size(); end > 0;) {
      const size_t begin = tokens::character_before(subject.text(), end);
      out += subject.text().substr(begin, end - begin);
      end = begin;
    }
    return Value::of(std::move(out), subject.is_markup());
  }
  SACCADE_TRY(Values items, collect(machine, subject));
  std::reverse(items.begin(), items.end());
  SACCADE_TRY(Value reversed, make_sequence(std::move(items)));
  if (subject.is(Kind::iterator)) return reversed;  // already a list there
  SACCADE_TRY(const Value iterator, iterate(reversed));
  return make_iterator(iterator.iterator().next, reversed.depth(), "reversed");
}

Result<Value> run_list(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(Values items, collect(machine, subject));
  return make_sequence(std::move(items));
}

Result<Value> run_join(Machine& machine, const Value& subject, const Bound& arguments) {
  SACCADE_TRY(const std::string between, arguments.has(0) ? to_text(machine, *arguments[0]) : std::string());
  SACCADE_TRY(const Values path, attribute_path(arguments[1]));
  SACCADE_TRY(const Value iterator, iterate(subject));
  std::string out;
  for (bool first = true;; first = false) {
    SACCADE_TRY(std::optional<Value> each, next(machine, iterator));
    if (!each) return Value::of(std::move(out));
    SACCADE_TRY(const Value value, follow(machine, std::move(*each), path));
    SACCADE_TRY(const std::string part, to_text(machine, value));
    SACCADE_CHECK(machine.work(between.size()));
    if (!first) out += between;
    out += part;
    if (out.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
  }
}

// ---- lazily: map, select, unique, items ----

using Step = std::function<Result<std::optional<Value>>(Value)>;  // nothing: leave this item out

Result<int> depth_of(const Arguments& arguments) {
  int depth = 0;
  const auto count = [&](const Value& each) -> Result<void> {
    depth = std::max(depth, each.depth());
    return check_holdable(each);
  };
  for (const Value& each : arguments.positional) SACCADE_CHECK(count(each));
  for (const auto& [name, each] : arguments.named) SACCADE_CHECK(count(each));
  return depth;
}

// Applies `step` to the items as they are asked for. Something false gives no items, whatever it is.
// `arguments`: what the step holds.
Result<Value> lazily(Machine& machine, const Value& subject, const Arguments& arguments, Step step) {
  SACCADE_CHECK(check_holdable(subject));
  SACCADE_TRY(const int depth, depth_of(arguments));
  return make_iterator(
      [&machine, subject, step = std::move(step),
       source = std::optional<Value>()]() mutable -> Result<std::optional<Value>> {
        if (!source) {
          SACCADE_TRY(source, iterate(subject.truth() ? subject : Value::undefined("")));
        }
        while (true) {
          SACCADE_TRY(std::optional<Value> each, next(machine, *source));
          if (!each) return std::optional<Value>();
          SACCADE_TRY(std::optional<Value> made, step(std::move(*each)));
          if (made) return made;
        }
      },
      std::max(subject.depth(), depth));
}

const Value* find_named(const Arguments& arguments, std::string_view name) {
  for (const auto& [key, value] : arguments.named)
    if (key == name) return &value;
  return nullptr;
}

Result<std::string> take_name(Arguments& arguments, std::string_view what) {
  SACCADE_TRY(std::string name, need_text(arguments.positional[0], what));
  arguments.positional.erase(arguments.positional.begin());
  return name;
}

Result<Value> map_attribute(Machine& machine, const Value& subject, const Arguments& arguments) {
  for (const auto& [name, value] : arguments.named)
    if (name != "attribute" && name != "default")
      return type_error(fmt::format("the filter 'map' takes no argument '{}'", name));
  SACCADE_TRY(const Values path, attribute_path(find_named(arguments, "attribute")));
  std::optional<Value> fallback;
  const Value* given = find_named(arguments, "default");
  if (given && !given->is(Kind::none)) fallback = *given;
  return lazily(
      machine, subject, arguments, [&machine, path, fallback](Value each) -> Result<std::optional<Value>> {
        SACCADE_TRY(Value made, follow(machine, std::move(each), path, fallback ? &*fallback : nullptr));
        return std::optional<Value>(std::move(made));
      });
}

Result<Value> run_map(Machine& machine, const Value& subject, const Bound& given) {
  Arguments arguments = *given.all;
  if (arguments.positional.empty()) {
    if (find_named(arguments, "attribute")) return map_attribute(machine, subject, arguments);
    return type_error("the filter 'map' needs the name of a filter, or attribute=");
  }
  SACCADE_TRY(const std::string name, take_name(arguments, "the filter to map"));
  return lazily(machine, subject, arguments,
                [&machine, name, arguments](const Value& each) -> Result<std::optional<Value>> {
                  SACCADE_TRY(Value made, apply_filter(machine, name, each, arguments));
                  return std::optional<Value>(std::move(made));
                });
}

Result<Value> pick(Machine& machine, const Value& subject, const Bound& given, bool by_attribute,
                   bool keeps) {
  Arguments arguments = *given.all;
  Values path;
  if (by_attribute) {
    if (arguments.positional.empty()) return type_error("this filter needs the name of an attribute");
    SACCADE_TRY(path, attribute_path(&arguments.positional[0]));
    arguments.positional.erase(arguments.positional.begin());
  }
  std::string test;
  if (!arguments.positional.empty()) {
    SACCADE_TRY(test, take_name(arguments, "the test"));
  }
  return lazily(machine, subject, arguments,
                [&machine, path, test, arguments, keeps](Value each) -> Result<std::optional<Value>> {
                  SACCADE_TRY(const Value looked_at, follow(machine, each, path));
                  bool passes = looked_at.truth();
                  if (!test.empty()) {
                    SACCADE_TRY(passes, apply_test(machine, test, looked_at, arguments));
                  }
                  return passes == keeps ? std::optional<Value>(std::move(each)) : std::nullopt;
                });
}
Result<Value> run_select(Machine& machine, const Value& subject, const Bound& arguments) {
  return pick(machine, subject, arguments, false, true);
}
Result<Value> run_reject(Machine& machine, const Value& subject, const Bound& arguments) {
  return pick(machine, subject, arguments, false, false);
}
Result<Value> run_selectattr(Machine& machine, const Value& subject, const Bound& arguments) {
  return pick(machine, subject, arguments, true, true);
}
Result<Value> run_rejectattr(Machine& machine, const Value& subject, const Bound& arguments) {
  return pick(machine, subject, arguments, true, false);
}

Result<Value> run_unique(Machine& machine, const Value& subject, const Bound& arguments) {
  SACCADE_TRY(const Values path, attribute_path(arguments[1]));
  SACCADE_TRY(const Value iterator, iterate(subject));  // an error for what cannot be looped over
  auto seen = std::make_shared<std::unordered_set<std::string>>();
  return lazily(
      machine, iterator, {},
      [&machine, path, seen, exact = arguments.truth(0)](Value each) -> Result<std::optional<Value>> {
        SACCADE_TRY(const Value looked_at, follow(machine, each, path));
        SACCADE_TRY(const Value key, folded(looked_at, exact));
        SACCADE_TRY(std::string hashed, hash_key(key));
        SACCADE_CHECK(machine.work(hashed.size()));
        const bool is_new = seen->insert(std::move(hashed)).second;
        return is_new ? std::optional<Value>(std::move(each)) : std::nullopt;
      });
}

Result<Value> run_items(Machine& machine, const Value& subject, const Bound&) {
  if (subject.is(Kind::undefined)) return iterate(subject);
  if (!subject.is(Kind::dict))
    return type_error(fmt::format("the filter 'items' needs a mapping, found '{}'", subject.type_name()));
  SACCADE_TRY(const auto items, method(subject, "items"));
  SACCADE_TRY(const Value view, items->callable().call(machine, {}));
  return iterate(view);
}

// ---- order ----

struct Keyed {
  Value key, value;
};

// A stable merge: every comparison may fail, which std::sort has no way to say.
Result<void> sort_by_key(Machine& machine, std::vector<Keyed>& items) {
  std::vector<Keyed> merged(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(begin + 2 * width, items.size());
      size_t left = begin;
      size_t right = middle;
      for (size_t out = begin; out < end; ++out) {
        bool takes_right = left == middle;
        if (!takes_right && right < end) {
          SACCADE_TRY(takes_right, less(machine, items[right].key, items[left].key));
        }
        merged[out] = std::move(items[takes_right ? right++ : left++]);
      }
    }
    std::swap(items, merged);
  }
  return {};
}

Result<Value> sorted(Machine& machine, std::vector<Keyed> items, bool reverse) {
  if (reverse) std::reverse(items.begin(), items.end());  // equal ones keep their order
  SACCADE_CHECK(sort_by_key(machine, items));
  if (reverse) std::reverse(items.begin(), items.end());
  Values values;
  for (Keyed& each : items) values.push_back(std::move(each.value));
  return make_sequence(std::move(values));
}

Result<Value> run_sort(Machine& machine, const Value& subject, const Bound& arguments) {
  std::vector<Values> paths;
  if (arguments.has(2) && arguments[2]->is(Kind::text)) {
    for (const std::string& part : split(arguments[2]->text(), ",", -1, false)) {
      const Value name = Value::of(part);
      SACCADE_TRY(Values path, attribute_path(&name));
      paths.push_back(std::move(path));
    }
  } else {
    SACCADE_TRY(Values path, attribute_path(arguments[2]));
    paths.push_back(std::move(path));
  }
  SACCADE_TRY(Values values, collect(machine, subject));
  std::vector<Keyed> items;
  for (Value& value : values) {
    Values keys;
    for (const Values& path : paths) {
      SACCADE_TRY(const Value looked_at, follow(machine, value, path));
      SACCADE_TRY(Value key, folded(looked_at, arguments.truth(1)));
      keys.push_back(std::move(key));
    }
    SACCADE_TRY(Value key, make_sequence(std::move(keys)));
    items.push_back({std::move(key), std::move(value)});
  }
  return sorted(machine, std::move(items), arguments.truth(0));
}

Result<Value> run_dictsort(Machine& machine, const Value& subject, const Bound& arguments) {
  std::string by = "key";
  if (arguments.has(1)) {
    SACCADE_TRY(by, need_text(*arguments[1], "by"));
  }
  if (by != "key" && by != "value") return type_error("dictsort sorts by \"key\" or \"value\"");
  if (!subject.is(Kind::dict))
    return type_error(fmt::format("the filter 'dictsort' needs a mapping, found '{}'", subject.type_name()));
  std::vector<Keyed> items;
  for (const auto& [key, value] : subject.dict().entries()) {
    SACCADE_TRY(Value sort_key, folded(by == "key" ? key : value, arguments.truth(0)));
    SACCADE_TRY(Value pair, make_sequence({key, value}, SequenceKind::tuple));
    items.push_back({std::move(sort_key), std::move(pair)});
  }
  return sorted(machine, std::move(items), arguments.truth(2));
}

Result<Value> extreme(Machine& machine, const Value& subject, const Bound& arguments, bool largest) {
  SACCADE_TRY(const Values path, attribute_path(arguments[1]));
  SACCADE_TRY(const Values values, collect(machine, subject));
  std::optional<Keyed> best;
  for (const Value& value : values) {
    SACCADE_TRY(const Value looked_at, follow(machine, value, path));
    SACCADE_TRY(Value key, folded(looked_at, arguments.truth(0)));
    if (best) {
      SACCADE_TRY(const bool better, largest ? less(machine, best->key, key) : less(machine, key, best->key));
      if (!better) continue;
    }
    best = Keyed{std::move(key), value};
  }
  return best ? best->value : none_there("aggregated");
}
Result<Value> run_min(Machine& machine, const Value& subject, const Bound& arguments) {
  return extreme(machine, subject, arguments, false);
}
Result<Value> run_max(Machine& machine, const Value& subject, const Bound& arguments) {
  return extreme(machine, subject, arguments, true);
}

Result<Value> run_sum(Machine& machine, const Value& subject, const Bound& arguments) {
  SACCADE_TRY(const Values path, attribute_path(arguments[0]));
  SACCADE_TRY(const Values values, collect(machine, subject));
  Value total = arguments.has(1) ? *arguments[1] : Value::of(int64_t{0});
  if (total.is(Kind::text)) return type_error("texts cannot be summed, only joined");
  for (const Value& value : values) {
    SACCADE_TRY(const Value looked_at, follow(machine, value, path));
    SACCADE_TRY(total, apply(machine, Binary::add, total, looked_at));
  }
  return total;
}

constexpr std::array<Builtin, 19> filters = {{
    {"length", "/", run_length},
    {"count", "/", run_length},
    {"first", "", run_first},
    {"last", "", run_last},
    {"reverse", "", run_reverse},
    {"list", "", run_list},
    {"join", "d= attribute=", run_join},
    {"map", "*", run_map},
    {"select", "*", run_select},
    {"reject", "*", run_reject},
    {"selectattr", "*", run_selectattr},
    {"rejectattr", "*", run_rejectattr},
    {"unique", "case_sensitive= attribute=", run_unique},
    {"items", "", run_items},
    {"sort", "reverse= case_sensitive= attribute=", run_sort},
    {"dictsort", "case_sensitive= by= reverse=", run_dictsort},
    {"min", "case_sensitive= attribute=", run_min},
    {"max", "case_sensitive= attribute=", run_max},
    {"sum", "attribute= start=", run_sum},
}};

}  // namespace

std::span<const Builtin> list_filters() { return filters; }

}  // namespace saccade::jinja
