// What templates call by name: range, namespace, dict, raise_exception, strftime_now.
#include <fmt/format.h>
#include <locale.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/operators.h"

namespace saccade::jinja {
namespace {

constexpr int64_t max_range = 100'000;  // jinja2's own limit

Result<Value> run_range(Machine& machine, const Value&, const Bound& arguments) {
  SACCADE_TRY(const int64_t first, need_integer(*arguments[0], "a bound of range"));
  int64_t start = 0;
  int64_t stop = first;
  int64_t step = 1;
  if (arguments.has(1)) {
    start = first;
    SACCADE_TRY(stop, need_integer(*arguments[1], "a bound of range"));
  }
  if (arguments.has(2)) {
    SACCADE_TRY(step, need_integer(*arguments[2], "the step of range"));
  }
  if (step == 0) return type_error("the step of range must not be zero");
  Values items;
  for (int64_t at = start; step > 0 ? at < stop : at > stop;) {
    items.push_back(Value::of(at));
    if (static_cast<int64_t>(items.size()) > max_range)
      return not_supported(fmt::format("a range of more than {} is not supported", max_range));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  SACCADE_CHECK(machine.work(items.size()));
  auto range = std::make_shared<Sequence>();
  range->kind = SequenceKind::range;
  range->items = std::move(items);
  range->shown = step == 1 ? fmt::format("range({}, {})", start, stop)
                           : fmt::format("range({}, {}, {})", start, stop, step);
  return Value::of(std::shared_ptr<const Sequence>(std::move(range)));
}

// dict(mapping or pairs, name=value, ...)
Result<Dict> dict_from(Machine& machine, const Arguments& arguments) {
  if (arguments.positional.size() > 1) return type_error("dict takes at most one argument without a name");
  Dict dict;
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    if (from.is(Kind::dict)) {
      dict = from.dict();
    } else {
      SACCADE_TRY(const Values pairs, collect(machine, from));
      for (const Value& pair : pairs) {
        SACCADE_TRY(const Values parts, collect(machine, pair));
        if (parts.size() != 2) return type_error("dict needs pairs of a key and a value");
        SACCADE_CHECK(dict.set(parts[0], parts[1]));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) SACCADE_CHECK(dict.set(Value::of(name), value));
  return dict;
}

Result<Value> run_dict(Machine& machine, const Value&, const Bound& arguments) {
  SACCADE_TRY(Dict dict, dict_from(machine, *arguments.all));
  return make_dict(std::move(dict));
}

Result<Value> run_namespace(Machine& machine, const Value&, const Bound& arguments) {
  SACCADE_TRY(const Dict dict, dict_from(machine, *arguments.all));
  SACCADE_TRY(Namespace * space, machine.make_namespace());
  for (const auto& [key, value] : dict.entries()) {
    SACCADE_TRY(const std::string name, need_text(key, "the name of an attribute"));
    SACCADE_CHECK(space->set(name, value));
  }
  return Value::of(std::shared_ptr<Object>(std::shared_ptr<Object>(), space));  // the machine owns it
}

Result<Value> run_raise(Machine& machine, const Value&, const Bound& arguments) {
  SACCADE_TRY(std::string message, to_text(machine, *arguments[0]));
  return make_error(ErrorCode::invalid_argument, std::move(message));
}

// "2024-07-26", or "2024-07-26 13:05:00" (a T between is fine).
Result<std::tm> read_date(const std::string& text) {
  const Error wrong = make_error(ErrorCode::invalid_argument,
                                 fmt::format("expected a date such as 2024-07-26, found '{}'", text));
  std::array<int, 6> numbers{};
  constexpr std::array<size_t, 6> places = {0, 5, 8, 11, 14, 17};
  constexpr std::array<size_t, 6> lengths = {4, 2, 2, 2, 2, 2};
  const bool with_time = text.size() == 19;
  if (text.size() != 10 && !with_time) return wrong;
  for (size_t i = 0; i < (with_time ? 6u : 3u); ++i) {
    const char* const begin = text.data() + places[i];
    const auto [end, code] = std::from_chars(begin, begin + lengths[i], numbers[i]);
    if (code != std::errc() || end != begin + lengths[i] || numbers[i] < 0) return wrong;
  }
  std::tm time{};
  time.tm_year = numbers[0] - 1900;
  time.tm_mon = numbers[1] - 1;
  time.tm_mday = numbers[2];
  time.tm_hour = numbers[3];
  time.tm_min = numbers[4];
  time.tm_sec = numbers[5];
  std::tm normal = time;
  if (timegm(&normal) == -1 || normal.tm_mon != time.tm_mon || normal.tm_mday != time.tm_mday ||
      normal.tm_hour != time.tm_hour || normal.tm_min != time.tm_min || normal.tm_sec != time.tm_sec)
    return wrong;
  return normal;
}

Result<std::tm> now_or(const std::optional<std::string>& date) {
  if (date) return read_date(*date);
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  localtime_r(&now, &time);
  return time;
}

// English names whatever the user's language, as Python has without setlocale().
Result<std::string> format_time(const std::string& format, const std::tm& time) {
  const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  std::array<char, 1024> buffer{};
  const std::string marked = format + "|";  // so that nothing and "too long" differ
  const size_t length = strftime_l(buffer.data(), buffer.size(), marked.c_str(), &time, plain);
  freelocale(plain);
  if (length == 0 || format.find('\0') != std::string::npos)
    return not_supported("this format of a date is not supported");
  return std::string(buffer.data(), length - 1);
}

Result<Value> run_strftime(Machine& machine, const Value&, const Bound& arguments) {
  SACCADE_TRY(const std::string format, need_text(*arguments[0], "the format of the date"));
  SACCADE_TRY(const std::tm time, now_or(machine.date()));
  std::string wanted;  // Python's time has no zone, and its %f are microseconds
  for (size_t at = 0; at < format.size(); ++at) {
    const char kind = format[at] == '%' && at + 1 < format.size() ? format[at + 1] : '\0';
    if (kind == '\0') {
      wanted += format[at];
      continue;
    }
    ++at;
    if (kind == 'f') {
      wanted += "000000";
    } else if (kind != 'z' && kind != 'Z') {
      wanted += {'%', kind};
    }
  }
  SACCADE_TRY(std::string text, format_time(wanted, time));
  return Value::of(std::move(text));
}

constexpr std::array<Builtin, 5> functions = {{
    {"range", "/ start stop= step=", run_range},
    {"dict", "*", run_dict},
    {"namespace", "*", run_namespace},
    {"raise_exception", "message", run_raise},
    {"strftime_now", "format", run_strftime},
}};
constexpr std::array<std::string_view, 3> left_out = {"lipsum", "cycler", "joiner"};

}  // namespace

Result<std::optional<Value>> find_function(std::string_view name) {
  if (std::find(left_out.begin(), left_out.end(), name) != left_out.end())
    return not_supported(fmt::format("the function '{}' is not supported", name));
  for (const Builtin& each : functions) {
    if (each.name != name) continue;
    return std::optional<Value>(
        make_callable(std::string(name), [&each](Machine& machine, const Arguments& arguments) {
          return run_builtin(machine, each, fmt::format("the function '{}'", each.name), Value(), arguments);
        }));
  }
  return std::optional<Value>();
}

}  // namespace saccade::jinja
