// The methods of a text.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/tokens/jinja/builtins.h"
#include "core/tokens/jinja/format.h"
#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

// Methods that would have to escape their arguments or mark their parts.
Result<void> not_marked_safe(const Value& text) {
  if (!text.is_markup()) return {};
  return not_supported("this method of a text that is marked safe is not supported");
}

Result<Value> list_of(std::vector<std::string> parts, SequenceKind kind = SequenceKind::list) {
  Values items;
  items.reserve(parts.size());
  for (std::string& part : parts) items.push_back(Value::of(std::move(part)));
  return make_sequence(std::move(items), kind);
}

Result<Value> strip_side(const Value& text, const Bound& arguments, Side side) {
  std::optional<std::string> characters;
  if (arguments.has(0) && !arguments[0]->is(Kind::none)) {
    SACCADE_TRY(characters, need_text(*arguments[0], "the characters to strip"));
  }
  return Value::of(std::string(strip(text.text(), side, characters)), text.is_markup());
}
Result<Value> run_strip(Machine&, const Value& text, const Bound& arguments) {
  return strip_side(text, arguments, Side::both);
}
Result<Value> run_lstrip(Machine&, const Value& text, const Bound& arguments) {
  return strip_side(text, arguments, Side::left);
}
Result<Value> run_rstrip(Machine&, const Value& text, const Bound& arguments) {
  return strip_side(text, arguments, Side::right);
}

Result<Value> split_from(const Value& text, const Bound& arguments, bool from_right) {
  SACCADE_CHECK(not_marked_safe(text));
  int64_t most = -1;
  if (arguments.has(1)) {
    SACCADE_TRY(most, need_integer(*arguments[1], "maxsplit"));
  }
  if (!arguments.has(0) || arguments[0]->is(Kind::none))
    return list_of(split_at_space(text.text(), most, from_right));
  SACCADE_TRY(const std::string separator, need_text(*arguments[0], "the separator"));
  if (separator.empty()) return type_error("empty separator");
  return list_of(split(text.text(), separator, most, from_right));
}
Result<Value> run_split(Machine&, const Value& text, const Bound& arguments) {
  return split_from(text, arguments, false);
}
Result<Value> run_rsplit(Machine&, const Value& text, const Bound& arguments) {
  return split_from(text, arguments, true);
}

Result<Value> run_splitlines(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_CHECK(not_marked_safe(text));
  return list_of(split_lines(text.text(), arguments.truth(0)));
}

Result<Value> run_partition(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_CHECK(not_marked_safe(text));
  SACCADE_TRY(const std::string separator, need_text(*arguments[0], "the separator"));
  if (separator.empty()) return type_error("empty separator");
  const size_t at = text.text().find(separator);
  if (at == std::string::npos) return list_of({text.text(), "", ""}, SequenceKind::tuple);
  return list_of({text.text().substr(0, at), separator, text.text().substr(at + separator.size())},
                 SequenceKind::tuple);
}

// The part of the text that optional start and end leave, as str.find and its kin take them.
Result<std::optional<std::string_view>> part_between(const Value& text, const Bound& arguments) {
  if (!arguments.has(1) && !arguments.has(2)) return std::optional(std::string_view(text.text()));
  SACCADE_TRY(const size_t size, text.length());
  const auto length = static_cast<int64_t>(size);
  int64_t begin = 0;
  int64_t end = length;
  if (arguments.has(1) && !arguments[1]->is(Kind::none)) {
    SACCADE_TRY(begin, need_integer(*arguments[1], "start"));
  }
  if (arguments.has(2) && !arguments[2]->is(Kind::none)) {
    SACCADE_TRY(end, need_integer(*arguments[2], "end"));
  }
  if (begin < 0) begin = std::max<int64_t>(begin + length, 0);
  if (end < 0) end = std::max<int64_t>(end + length, 0);
  if (begin > std::min(end, length)) return std::optional<std::string_view>();
  return std::optional(characters(text.text(), static_cast<size_t>(begin), static_cast<size_t>(end)));
}

Result<Value> has_affix(const Value& text, const Bound& arguments, bool at_end) {
  Values affixes = {*arguments[0]};
  if (arguments[0]->is(Kind::sequence) && arguments[0]->sequence().kind == SequenceKind::tuple)
    affixes = arguments[0]->items();
  SACCADE_TRY(const auto part, part_between(text, arguments));
  for (const Value& each : affixes) {
    SACCADE_TRY(const std::string affix, need_text(each, at_end ? "a suffix" : "a prefix"));
    if (part && (at_end ? part->ends_with(affix) : part->starts_with(affix))) return Value::of(true);
  }
  return Value::of(false);
}
Result<Value> run_startswith(Machine&, const Value& text, const Bound& arguments) {
  return has_affix(text, arguments, false);
}
Result<Value> run_endswith(Machine&, const Value& text, const Bound& arguments) {
  return has_affix(text, arguments, true);
}

Result<std::optional<int64_t>> find_part(const Value& text, const Bound& arguments, bool last) {
  SACCADE_TRY(const std::string what, need_text(*arguments[0], "what to find"));
  SACCADE_TRY(const auto part, part_between(text, arguments));
  if (!part) return std::optional<int64_t>();
  const size_t at = last ? part->rfind(what) : part->find(what);
  if (at == std::string_view::npos) return std::optional<int64_t>();
  const auto before = static_cast<size_t>(part->data() - text.text().data()) + at;
  const std::string_view whole = text.text();
  return std::optional<int64_t>(static_cast<int64_t>(tokens::count_characters(whole.substr(0, before))));
}
Result<Value> run_find(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_TRY(const auto at, find_part(text, arguments, false));
  return Value::of(at.value_or(-1));
}
Result<Value> run_rfind(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_TRY(const auto at, find_part(text, arguments, true));
  return Value::of(at.value_or(-1));
}
Result<Value> run_index(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_TRY(const auto at, find_part(text, arguments, false));
  if (!at) return type_error("substring not found");
  return Value::of(*at);
}
Result<Value> run_rindex(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_TRY(const auto at, find_part(text, arguments, true));
  if (!at) return type_error("substring not found");
  return Value::of(*at);
}
Result<Value> run_count(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_TRY(const std::string what, need_text(*arguments[0], "what to count"));
  SACCADE_TRY(const auto part, part_between(text, arguments));
  return Value::of(static_cast<int64_t>(part ? count(*part, what) : 0));
}

Result<Value> run_replace(Machine&, const Value& text, const Bound& arguments) {
  SACCADE_CHECK(not_marked_safe(text));
  SACCADE_TRY(const std::string old, need_text(*arguments[0], "what to replace"));
  SACCADE_TRY(const std::string with, need_text(*arguments[1], "the replacement"));
  int64_t most = -1;
  if (arguments.has(2)) {
    SACCADE_TRY(most, need_integer(*arguments[2], "count"));
  }
  const size_t times = count(text.text(), old);
  if (times > 0 && with.size() > max_text_bytes / times) return not_supported("a text grows beyond 16 MB");
  return Value::of(replace(text.text(), old, with, most));
}

Result<Value> remove_affix(const Value& text, const Bound& arguments, bool at_end) {
  SACCADE_TRY(const std::string affix, need_text(*arguments[0], at_end ? "the suffix" : "the prefix"));
  std::string_view rest = text.text();
  const bool has = at_end ? rest.ends_with(affix) : rest.starts_with(affix);
  if (has && at_end) rest.remove_suffix(affix.size());
  if (has && !at_end) rest.remove_prefix(affix.size());
  return Value::of(std::string(rest), text.is_markup());
}
Result<Value> run_removeprefix(Machine&, const Value& text, const Bound& arguments) {
  return remove_affix(text, arguments, false);
}
Result<Value> run_removesuffix(Machine&, const Value& text, const Bound& arguments) {
  return remove_affix(text, arguments, true);
}

Result<Value> in_case(const Value& text, Result<std::string> made) {
  if (!made.ok()) return std::move(made).error();
  return Value::of(std::move(*made), text.is_markup());
}
Result<Value> run_upper(Machine&, const Value& text, const Bound&) {
  return in_case(text, upper(text.text()));
}
Result<Value> run_lower(Machine&, const Value& text, const Bound&) {
  return in_case(text, lower(text.text()));
}
Result<Value> run_capitalize(Machine&, const Value& text, const Bound&) {
  return in_case(text, capitalize(text.text()));
}
Result<Value> run_title(Machine&, const Value& text, const Bound&) {
  return in_case(text, title(text.text()));
}

Result<Value> run_join(Machine& machine, const Value& text, const Bound& arguments) {
  SACCADE_CHECK(not_marked_safe(text));
  SACCADE_TRY(const Values items, collect(machine, *arguments[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    SACCADE_TRY(const std::string part, need_text(items[i], "what is joined"));
    if (i > 0) out += text.text();
    out += part;
    SACCADE_CHECK(machine.work(part.size() + text.text().size()));
    if (out.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
  }
  return Value::of(std::move(out));
}

Result<Value> run_format(Machine& machine, const Value& text, const Bound& arguments) {
  return format_braces(machine, text, *arguments.all);
}

Result<Value> justify(const Value& text, const Bound& arguments, bool left, bool right) {
  SACCADE_CHECK(not_marked_safe(text));
  SACCADE_TRY(const int64_t width, need_integer(*arguments[0], "the width"));
  std::string fill = " ";
  if (arguments.has(1)) {
    SACCADE_TRY(fill, need_text(*arguments[1], "the fill character"));
  }
  if (tokens::count_characters(fill) != 1) return type_error("the fill character must be one character");
  SACCADE_TRY(const size_t size, text.length());
  if (width <= static_cast<int64_t>(size)) return text;
  if (width > 1'000'000) return not_supported("a width above 1000000 is not supported");
  const int64_t missing = width - static_cast<int64_t>(size);
  // Python's center puts the odd one left when both missing and width are odd.
  const int64_t centred = missing / 2 + (missing & width & 1);
  const int64_t before = left && right ? centred : left ? missing : 0;
  std::string out;
  for (int64_t i = 0; i < before; ++i) out += fill;
  out += text.text();
  for (int64_t i = before; i < missing; ++i) out += fill;
  return Value::of(std::move(out));
}
Result<Value> run_center(Machine&, const Value& text, const Bound& arguments) {
  return justify(text, arguments, true, true);
}
Result<Value> run_ljust(Machine&, const Value& text, const Bound& arguments) {
  return justify(text, arguments, false, true);
}
Result<Value> run_rjust(Machine&, const Value& text, const Bound& arguments) {
  return justify(text, arguments, true, false);
}

Result<Value> all_ascii(const Value& text, bool (*belongs)(char)) {
  for (const char c : text.text()) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return not_supported("this question about characters beyond ASCII is not supported");
    if (!belongs(c)) return Value::of(false);
  }
  return Value::of(!text.text().empty());
}
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
Result<Value> run_isalpha(Machine&, const Value& text, const Bound&) { return all_ascii(text, is_letter); }
Result<Value> run_isdigit(Machine&, const Value& text, const Bound&) { return all_ascii(text, is_digit); }
Result<Value> run_isalnum(Machine&, const Value& text, const Bound&) {
  return all_ascii(text, [](char c) { return is_letter(c) || is_digit(c); });
}
Result<Value> run_isascii(Machine&, const Value& text, const Bound&) {
  return Value::of(std::all_of(text.text().begin(), text.text().end(),
                               [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
}
Result<Value> run_isspace(Machine&, const Value& text, const Bound&) {
  return Value::of(!text.text().empty() && strip(text.text(), Side::both).empty());
}
Result<Value> run_islower(Machine&, const Value& text, const Bound&) {
  return Value::of(is_lower(text.text()));
}
Result<Value> run_isupper(Machine&, const Value& text, const Bound&) {
  return Value::of(is_upper(text.text()));
}

constexpr std::array<Builtin, 33> methods = {{
    {"strip", "/ chars=", run_strip},
    {"lstrip", "/ chars=", run_lstrip},
    {"rstrip", "/ chars=", run_rstrip},
    {"split", "sep= maxsplit=", run_split},
    {"rsplit", "sep= maxsplit=", run_rsplit},
    {"splitlines", "keepends=", run_splitlines},
    {"partition", "/ sep", run_partition},
    {"startswith", "/ prefix start= end=", run_startswith},
    {"endswith", "/ suffix start= end=", run_endswith},
    {"find", "/ sub start= end=", run_find},
    {"rfind", "/ sub start= end=", run_rfind},
    {"index", "/ sub start= end=", run_index},
    {"rindex", "/ sub start= end=", run_rindex},
    {"count", "/ sub start= end=", run_count},
    {"replace", "/ old new count=", run_replace},
    {"removeprefix", "/ prefix", run_removeprefix},
    {"removesuffix", "/ suffix", run_removesuffix},
    {"upper", "", run_upper},
    {"lower", "", run_lower},
    {"capitalize", "", run_capitalize},
    {"title", "", run_title},
    {"join", "/ iterable", run_join},
    {"format", "*", run_format},
    {"center", "/ width fillchar=", run_center},
    {"ljust", "/ width fillchar=", run_ljust},
    {"rjust", "/ width fillchar=", run_rjust},
    {"isalpha", "", run_isalpha},
    {"isdigit", "", run_isdigit},
    {"isalnum", "", run_isalnum},
    {"isascii", "", run_isascii},
    {"isspace", "", run_isspace},
    {"islower", "", run_islower},
    {"isupper", "", run_isupper},
}};

}  // namespace

std::span<const Builtin> text_methods() { return methods; }

}  // namespace saccade::jinja
