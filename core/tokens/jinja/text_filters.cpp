// Filters on texts and numbers.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/format.h"
#include "core/tokens/jinja/json.h"
#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

using ToCase = Result<std::string> (*)(std::string_view);

Result<Value> in_case(Machine& machine, const Value& subject, ToCase to_case) {
  SACCADE_TRY(const Value text, soft_text(machine, subject));
  SACCADE_TRY(std::string made, to_case(text.text()));
  return Value::of(std::move(made), text.is_markup());
}
Result<Value> run_upper(Machine& machine, const Value& subject, const Bound&) {
  return in_case(machine, subject, upper);
}
Result<Value> run_lower(Machine& machine, const Value& subject, const Bound&) {
  return in_case(machine, subject, lower);
}
Result<Value> run_capitalize(Machine& machine, const Value& subject, const Bound&) {
  return in_case(machine, subject, capitalize);
}

// Words begin after white space and after - ( { [ <, unlike str.title.
Result<Value> run_title(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(const std::string text, to_text(machine, subject));
  std::string out;
  std::string word;
  const auto end_word = [&]() -> Result<void> {
    if (word.empty()) return {};
    const size_t first = tokens::utf8_length(word[0]);
    SACCADE_TRY(const std::string head, upper(std::string_view(word).substr(0, first)));
    SACCADE_TRY(const std::string rest, lower(std::string_view(word).substr(first)));
    out += head + rest;
    word.clear();
    return {};
  };
  for (size_t at = 0; at < text.size(); at += tokens::utf8_length(text[at])) {
    const char32_t c = tokens::character_at(text, at);
    const bool between =
        is_space(c) || (c < 0x80 && std::string_view("-({[<").find(text[at]) != std::string::npos);
    if (between) SACCADE_CHECK(end_word());
    tokens::append_utf8(between ? out : word, c);
  }
  SACCADE_CHECK(end_word());
  return Value::of(std::move(out));
}

Result<Value> run_trim(Machine& machine, const Value& subject, const Bound& arguments) {
  SACCADE_TRY(const Value text, soft_text(machine, subject));
  std::optional<std::string> characters;
  if (arguments.has(0) && !arguments[0]->is(Kind::none)) {
    SACCADE_TRY(characters, need_text(*arguments[0], "the characters to trim"));
  }
  return Value::of(std::string(strip(text.text(), Side::both, characters)), text.is_markup());
}

Result<Value> run_replace(Machine& machine, const Value& subject, const Bound& arguments) {
  SACCADE_TRY(const std::string text, to_text(machine, subject));
  SACCADE_TRY(const std::string old, to_text(machine, *arguments[0]));
  SACCADE_TRY(const std::string with, to_text(machine, *arguments[1]));
  int64_t most = -1;
  if (arguments.has(2) && !arguments[2]->is(Kind::none)) {
    SACCADE_TRY(most, need_integer(*arguments[2], "count"));
  }
  const size_t times = count(text, old);
  if (times > 0 && with.size() > max_text_bytes / times) return not_supported("a text grows beyond 16 MB");
  return Value::of(replace(text, old, with, most));
}

Result<Value> run_string(Machine& machine, const Value& subject, const Bound&) {
  return soft_text(machine, subject);
}

Result<Value> run_safe(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(std::string text, to_text(machine, subject));
  return Value::of(std::move(text), true);
}

Result<Value> run_forceescape(Machine& machine, const Value& subject, const Bound&) {
  SACCADE_TRY(const std::string text, to_text(machine, subject));
  if (text.size() > max_text_bytes / 5) return not_supported("a text grows beyond 16 MB");
  return Value::of(html_escape(text), true);
}

Result<Value> run_escape(Machine& machine, const Value& subject, const Bound& arguments) {
  if (subject.is_markup()) return subject;
  return run_forceescape(machine, subject, arguments);
}

Result<std::string> indentation(const Bound& arguments) {
  if (!arguments.has(0)) return std::string(4, ' ');
  if (arguments[0]->is(Kind::text)) return arguments[0]->text();
  SACCADE_TRY(const int64_t width, need_integer(*arguments[0], "the width"));
  if (width > 10'000) return not_supported("an indentation above 10000 is not supported");
  return std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
}

Result<Value> run_indent(Machine& machine, const Value& subject, const Bound& arguments) {
  if (subject.is_markup()) return not_supported("indenting a text that is marked safe is not supported");
  if (subject.is(Kind::undefined)) return undefined_error(subject);
  SACCADE_TRY(const std::string text, need_text(subject, "what is indented"));
  SACCADE_TRY(const std::string indent, indentation(arguments));
  const std::vector<std::string> lines = split_lines(text + "\n", false);
  std::string out = arguments.truth(1) ? indent : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    if (i > 0 && (arguments.truth(2) || !lines[i].empty())) out += indent;
    out += lines[i];
    if (out.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
    SACCADE_CHECK(machine.work(indent.size()));
  }
  return Value::of(std::move(out));
}

// int() of a float that is finite.
Result<Value> truncated(double value) {
  if (std::abs(value) >= 0x1p63) return not_supported("an integer has more than 64 bits");
  return Value::of(static_cast<int64_t>(value));
}

Result<Value> int_of_text(const std::string& text, const Value& fallback, int64_t base) {
  if (base != 0 && (base < 2 || base > 36))
    return not_supported(fmt::format("the base {} is not supported", base));
  SACCADE_TRY(const auto whole, parse_integer(text, base));
  if (whole) return Value::of(*whole);
  SACCADE_TRY(const auto number, parse_real(text));
  if (!number || !std::isfinite(*number)) return fallback;
  return truncated(*number);
}

Result<Value> run_int(Machine&, const Value& subject, const Bound& arguments) {
  const Value fallback = arguments.has(0) ? *arguments[0] : Value::of(int64_t{0});
  int64_t base = 10;
  if (arguments.has(1)) {
    SACCADE_TRY(base, need_integer(*arguments[1], "the base"));
  }
  if (subject.is(Kind::undefined)) return undefined_error(subject);
  if (subject.is(Kind::text)) return int_of_text(subject.text(), fallback, base);
  if (subject.is_integral()) return Value::of(subject.integer());
  if (!subject.is(Kind::real) || std::isnan(subject.real())) return fallback;
  if (std::isinf(subject.real())) return type_error("infinity is no whole number");
  return truncated(subject.real());
}

Result<Value> run_float(Machine&, const Value& subject, const Bound& arguments) {
  const Value fallback = arguments.has(0) ? *arguments[0] : Value::of(0.0);
  if (subject.is(Kind::undefined)) return undefined_error(subject);
  if (subject.is_number()) return Value::of(subject.real());
  if (!subject.is(Kind::text)) return fallback;
  SACCADE_TRY(const auto number, parse_real(subject.text()));
  return number ? Value::of(*number) : fallback;
}

Result<Value> run_abs(Machine&, const Value& subject, const Bound&) {
  if (subject.is(Kind::real)) return Value::of(std::abs(subject.real()));
  SACCADE_TRY(const int64_t value, need_integer(subject, "what abs takes"));
  if (value < 0) return negate(Value::of(value));
  return Value::of(value);
}

// Half to even on the exact binary value, which is what printing with so many digits does.
Result<Value> rounded(const Value& value, int64_t precision) {
  if (precision < 0 || precision > 30) return not_supported("rounding to this precision is not supported");
  if (value.is_integral()) return Value::of(value.integer());
  if (!std::isfinite(value.real())) return value;
  SACCADE_TRY(const auto number,
              parse_real(fmt::format("{:.{}f}", value.real(), static_cast<int>(precision))));
  return Value::of(number.value_or(value.real()));
}

Result<Value> run_round(Machine&, const Value& subject, const Bound& arguments) {
  int64_t precision = 0;
  std::string way = "common";
  if (arguments.has(0)) {
    SACCADE_TRY(precision, need_integer(*arguments[0], "the precision"));
  }
  if (arguments.has(1)) {
    SACCADE_TRY(way, need_text(*arguments[1], "the method"));
  }
  if (subject.is(Kind::undefined)) return undefined_error(subject);
  if (!subject.is_number())
    return type_error(fmt::format("only numbers can be rounded, found '{}'", subject.type_name()));
  if (way == "common") return rounded(subject, precision);
  if (way != "ceil" && way != "floor") return type_error("the method must be common, ceil or floor");
  if (precision < 0 || precision > 15) return not_supported("rounding to this precision is not supported");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = subject.real() * scale;
  if (!std::isfinite(scaled)) return type_error("this number cannot be rounded");
  return Value::of((way == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Result<Value> run_default(Machine&, const Value& subject, const Bound& arguments) {
  const bool replaces = subject.is(Kind::undefined) || (arguments.truth(1) && !subject.truth());
  if (!replaces) return subject;
  return arguments.has(0) ? *arguments[0] : Value::of("");
}

Result<void> read_separators(const Value& given, JsonStyle& style) {
  if (!given.is(Kind::sequence) || given.items().size() != 2)
    return type_error("separators must be a pair of texts");
  SACCADE_TRY(style.item_separator, need_text(given.items()[0], "a separator"));
  SACCADE_TRY(style.key_separator, need_text(given.items()[1], "a separator"));
  return {};
}

Result<Value> run_tojson(Machine& machine, const Value& subject, const Bound& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.truth(0);
  style.sort_keys = arguments.truth(3);
  if (arguments.has(1) && !arguments[1]->is(Kind::none)) {
    style.item_separator = ",";
    if (arguments[1]->is(Kind::text)) {
      style.indent = arguments[1]->text();
    } else {
      SACCADE_TRY(const int64_t width, need_integer(*arguments[1], "indent"));
      if (width > 1000) return not_supported("an indentation above 1000 is not supported");
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (arguments.has(2) && !arguments[2]->is(Kind::none)) SACCADE_CHECK(read_separators(*arguments[2], style));
  SACCADE_TRY(std::string out, to_json(machine, subject, style));
  return Value::of(std::move(out));
}

Result<Value> run_format(Machine& machine, const Value& subject, const Bound& arguments) {
  const Arguments& all = *arguments.all;
  if (!all.positional.empty() && !all.named.empty())
    return type_error("the filter 'format' takes arguments by position or by name, not both");
  SACCADE_TRY(const Value text, soft_text(machine, subject));
  Dict by_name;
  for (const auto& [name, value] : all.named) SACCADE_CHECK(by_name.set(Value::of(name), value));
  SACCADE_TRY(const Value values, all.named.empty() ? make_sequence(all.positional, SequenceKind::tuple)
                                                    : make_dict(std::move(by_name)));
  return format_percent(machine, text, values);
}

constexpr std::array<Builtin, 20> filters = {{
    {"upper", "", run_upper},
    {"lower", "", run_lower},
    {"capitalize", "", run_capitalize},
    {"title", "", run_title},
    {"trim", "chars=", run_trim},
    {"replace", "old new count=", run_replace},
    {"string", "", run_string},
    {"safe", "", run_safe},
    {"escape", "", run_escape},
    {"e", "", run_escape},
    {"forceescape", "", run_forceescape},
    {"indent", "width= first= blank=", run_indent},
    {"int", "default= base=", run_int},
    {"float", "default=", run_float},
    {"abs", "", run_abs},
    {"round", "precision= method=", run_round},
    {"default", "default_value= boolean=", run_default},
    {"d", "default_value= boolean=", run_default},
    {"tojson", "ensure_ascii= indent= separators= sort_keys=", run_tojson},
    {"format", "*", run_format},
}};

}  // namespace

std::span<const Builtin> text_filters() { return filters; }

}  // namespace saccade::jinja
