#include "core/tokens/jinja/format.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <functional>

#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

constexpr int64_t max_width = 10'000;
constexpr int64_t max_precision = 100;

struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =, or none given
  char sign = '-';
  bool alternate = false, zero = false, comma = false;
  int64_t width = 0, precision = -1;
  char type = '\0';
};

Error bad_format_text(std::string_view text) {
  return not_supported(fmt::format("the format {} is not supported", quoted(text)));
}

std::string padded(const Spec& spec, std::string_view sign, std::string_view body, char usual_align) {
  const auto width = static_cast<size_t>(spec.width);
  const size_t size = sign.size() + tokens::count_characters(body);
  const size_t missing = width > size ? width - size : 0;
  const char align = spec.align != '\0' ? spec.align : usual_align;
  const auto fill = [&](size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += spec.fill;
    return out;
  };
  if (align == '=') return fmt::format("{}{}{}", sign, fill(missing), body);
  const size_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  return fmt::format("{}{}{}{}", fill(left), sign, body, fill(missing - left));
}

std::string with_commas(const std::string& digits) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && i < whole && (whole - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

Result<std::string> real_digits(double magnitude, char type, int64_t precision, bool alternate) {
  if (!std::isfinite(magnitude) || alternate)
    return not_supported("a number in this format is not supported");
  const int digits = precision < 0 ? 6 : static_cast<int>(precision);
  switch (type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", magnitude, digits);
    case 'e':
      return fmt::format("{:.{}e}", magnitude, digits);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, digits);
    case 'g':
      return fmt::format("{:.{}g}", magnitude, digits);
    case 'G':
      return fmt::format("{:.{}G}", magnitude, digits);
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100.0, digits);
    default:
      return not_supported(fmt::format("the format '{}' of a number is not supported", type));
  }
}

std::string integer_digits(uint64_t magnitude, char type, bool alternate) {
  switch (type) {
    case 'x':
      return alternate ? fmt::format("{:#x}", magnitude) : fmt::format("{:x}", magnitude);
    case 'X':
      return alternate ? fmt::format("{:#X}", magnitude) : fmt::format("{:X}", magnitude);
    case 'o':
      return alternate ? fmt::format("0o{:o}", magnitude) : fmt::format("{:o}", magnitude);
    case 'b':
      return alternate ? fmt::format("{:#b}", magnitude) : fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

bool is_integer_type(char type) {
  return type == 'd' || type == 'x' || type == 'X' || type == 'o' || type == 'b';
}

Result<std::string> format_number(Spec spec, const Value& value) {
  const bool negative =
      value.is_integral() ? value.integer() < 0 : std::signbit(value.real()) && !std::isnan(value.real());
  std::string digits;
  if (value.is_integral() && (spec.type == '\0' || is_integer_type(spec.type))) {
    if (spec.precision >= 0) return not_supported("a precision for an integer is not supported");
    const auto bits = static_cast<uint64_t>(value.integer());
    digits = integer_digits(negative ? 0 - bits : bits, spec.type, spec.alternate);
  } else if (spec.type == '\0' && spec.precision < 0) {
    digits = number_text(std::abs(value.real()));
  } else if (spec.type == '\0' || is_integer_type(spec.type)) {
    return type_error(fmt::format("a '{}' does not take this format", value.type_name()));
  } else {
    SACCADE_TRY(digits, real_digits(std::abs(value.real()), spec.type, spec.precision, spec.alternate));
  }
  if (spec.comma) {
    if (spec.zero) return not_supported("',' together with '0' in a format is not supported");
    digits = with_commas(digits);
  }
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  if (spec.zero && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  return padded(spec, sign, digits, '>');
}

Result<std::string> format_text(const Spec& spec, std::string_view text) {
  if (spec.sign != '-' || spec.alternate || spec.zero || spec.comma || spec.align == '=')
    return type_error("this format does not go with a text");
  if (spec.precision >= 0) text = characters(text, 0, static_cast<size_t>(spec.precision));
  return padded(spec, "", text, '<');
}

// A number at `at`, which moves on; nothing when there is none.
Result<std::optional<int64_t>> read_number(std::string_view text, size_t& at, int64_t most) {
  const size_t begin = at;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  if (at == begin) return std::optional<int64_t>();
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data() + begin, text.data() + at, value);
  if (code != std::errc() || value > most)
    return not_supported(fmt::format("a width or precision above {} is not supported", most));
  return std::optional<int64_t>(value);
}

// ---- % ----

class Percent {
 public:
  Percent(Machine& machine, std::string_view text, const Value& values)
      : machine_(machine), text_(text), values_(values) {
    is_tuple_ = values.is(Kind::sequence) && values.sequence().kind == SequenceKind::tuple;
    is_mapping_ =
        values.is(Kind::dict) || values.is(Kind::undefined) || (values.is(Kind::sequence) && !is_tuple_);
  }
  Result<std::string> run();

 private:
  Result<Spec> read_spec();
  Result<Value> take();
  Result<std::string> convert(const Spec& spec, const Value& value);
  Machine& machine_;
  std::string_view text_;
  const Value& values_;
  bool is_tuple_ = false, is_mapping_ = false;
  size_t at_ = 0, taken_ = 0;
  std::optional<std::string> key_;
};

Result<Value> Percent::take() {
  if (key_) {
    if (!values_.is(Kind::dict)) return type_error("the format needs a mapping");
    const Value* found = values_.dict().find(*key_);
    if (!found) return type_error(fmt::format("the format names {}, which is not there", quoted(*key_)));
    return *found;
  }
  const size_t count = is_tuple_ ? values_.items().size() : 1;
  if (taken_ >= count) return type_error("not enough arguments for the format");
  const size_t index = taken_++;
  return is_tuple_ ? values_.items()[index] : values_;
}

Result<Spec> Percent::read_spec() {
  Spec spec;
  key_.reset();
  if (at_ < text_.size() && text_[at_] == '(') {
    const size_t close = text_.find(')', at_);
    if (close == std::string_view::npos) return type_error("a format key is not closed");
    key_ = std::string(text_.substr(at_ + 1, close - at_ - 1));
    if (key_->find('(') != std::string::npos) return bad_format_text(text_);
    at_ = close + 1;
  }
  for (; at_ < text_.size() && std::string_view("-+ #0").find(text_[at_]) != std::string_view::npos; ++at_) {
    if (text_[at_] == '-') spec.align = '<';
    if (text_[at_] == '+' || (text_[at_] == ' ' && spec.sign == '-')) spec.sign = text_[at_];
    if (text_[at_] == '#') spec.alternate = true;
    if (text_[at_] == '0') spec.zero = true;
  }
  SACCADE_TRY(const auto width, read_number(text_, at_, max_width));
  spec.width = width.value_or(0);
  if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
    SACCADE_TRY(const auto precision, read_number(text_, at_, max_precision));
    spec.precision = precision.value_or(0);
  }
  if (at_ >= text_.size()) return type_error("the format ends within a conversion");
  spec.type = text_[at_++];
  return spec;
}

Result<std::string> Percent::convert(const Spec& given, const Value& value) {
  Spec spec = given;
  if (spec.type == 's' || spec.type == 'r') {
    SACCADE_TRY(std::string text, spec.type == 's' ? to_text(machine_, value) : to_repr(machine_, value));
    if (spec.precision >= 0) text = characters(text, 0, static_cast<size_t>(spec.precision));
    return padded(spec, "", text, '>');
  }
  if (!value.is_number())
    return type_error(fmt::format("%{} needs a number, found '{}'", spec.type, value.type_name()));
  if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
  if (spec.type == 'b' || spec.type == '%') return bad_format_text(text_);
  if (is_integer_type(spec.type) && value.is(Kind::real)) {
    if (spec.type != 'd' || std::abs(value.real()) >= 0x1p62 || std::isnan(value.real()))
      return type_error(fmt::format("%{} does not take this float", spec.type));
    return format_number(spec, Value::of(static_cast<int64_t>(value.real())));
  }
  return format_number(spec, value);
}

Result<std::string> Percent::run() {
  std::string out;
  while (at_ < text_.size()) {
    if (text_[at_] != '%') {
      out += text_[at_++];
      continue;
    }
    if (++at_ < text_.size() && text_[at_] == '%') {
      out += text_[at_++];
      continue;
    }
    SACCADE_TRY(const Spec spec, read_spec());
    SACCADE_TRY(const Value value, take());
    SACCADE_TRY(const std::string part, convert(spec, value));
    out += part;
    SACCADE_CHECK(machine_.work(part.size()));
    if (out.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
  }
  const size_t count = is_tuple_ ? values_.items().size() : 1;
  if (taken_ < count && !is_mapping_) return type_error("not all arguments are used by the format");
  return out;
}

// ---- {} ----

Result<Spec> parse_spec(std::string_view text) {
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  size_t at = 0;
  const size_t first = text.empty() ? 0 : tokens::utf8_length(text[0]);
  if (first < text.size() && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[at++];
  }
  const auto takes = [&](char c) { return at < text.size() && text[at] == c && ++at > 0; };
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) spec.sign = text[at++];
  spec.alternate = takes('#');
  spec.zero = takes('0');
  SACCADE_TRY(const auto width, read_number(text, at, max_width));
  spec.width = width.value_or(0);
  spec.comma = takes(',');
  if (takes('.')) {
    SACCADE_TRY(const auto precision, read_number(text, at, max_precision));
    if (!precision) return bad_format_text(text);
    spec.precision = *precision;
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) return bad_format_text(text);
  return spec;
}

Result<std::string> format_value(Machine& machine, const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return to_text(machine, value);
  SACCADE_TRY(const Spec spec, parse_spec(spec_text));
  if (value.is(Kind::text) && (spec.type == 's' || spec.type == '\0')) return format_text(spec, value.text());
  if (value.is_number() && spec.type != 's' && !(value.is(Kind::boolean) && spec.type == '\0'))
    return format_number(spec, value);
  return type_error(fmt::format("the format {} does not go with '{}'", quoted(spec_text), value.type_name()));
}

class Braces {
 public:
  Braces(Machine& machine, std::string_view text, const Arguments& arguments)
      : machine_(machine), text_(text), arguments_(arguments) {}
  Result<std::string> run();

 private:
  Result<Value> field(std::string_view name);
  Result<std::string> replacement(std::string_view inside);
  Machine& machine_;
  std::string_view text_;
  const Arguments& arguments_;
  size_t next_ = 0;
};

Result<Value> Braces::field(std::string_view name) {
  if (name.find_first_of(".[") != std::string_view::npos) return bad_format_text(name);
  size_t at = 0;
  SACCADE_TRY(const auto number, read_number(name, at, max_width));
  if (name.empty() || (number && at == name.size())) {
    const size_t index = name.empty() ? next_++ : static_cast<size_t>(*number);
    if (index >= arguments_.positional.size())
      return type_error(fmt::format("the format needs argument {}, which is not there", index));
    return arguments_.positional[index];
  }
  for (const auto& [key, value] : arguments_.named)
    if (key == name) return value;
  return type_error(fmt::format("the format names {}, which is not there", quoted(name)));
}

Result<std::string> Braces::replacement(std::string_view inside) {
  const size_t end = inside.find_first_of("!:");
  SACCADE_TRY(Value value, field(inside.substr(0, end)));
  if (end == std::string_view::npos) return to_text(machine_, value);
  std::string_view rest = inside.substr(end);
  if (rest[0] == '!') {
    const char conversion = rest.size() > 1 ? rest[1] : '\0';
    if (conversion != 's' && conversion != 'r') return bad_format_text(inside);
    SACCADE_TRY(std::string text, conversion == 's' ? to_text(machine_, value) : to_repr(machine_, value));
    value = Value::of(std::move(text));
    rest.remove_prefix(2);
    if (!rest.empty() && rest[0] != ':') return bad_format_text(inside);
  }
  if (!rest.empty()) rest.remove_prefix(1);
  return format_value(machine_, value, rest);
}

Result<std::string> Braces::run() {
  std::string out;
  for (size_t at = 0; at < text_.size();) {
    const char c = text_[at];
    if (c != '{' && c != '}') {
      out += c;
      ++at;
      continue;
    }
    if (at + 1 < text_.size() && text_[at + 1] == c) {
      out += c;
      at += 2;
      continue;
    }
    const size_t close = c == '{' ? text_.find('}', at) : std::string_view::npos;
    if (close == std::string_view::npos) return type_error("a format has a single '{' or '}'");
    const std::string_view inside = text_.substr(at + 1, close - at - 1);
    if (inside.find('{') != std::string_view::npos) return bad_format_text(text_);
    SACCADE_TRY(const std::string part, replacement(inside));
    out += part;
    SACCADE_CHECK(machine_.work(part.size()));
    if (out.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
    at = close + 1;
  }
  return out;
}

Error marked_safe() { return not_supported("a format that is marked safe is not supported"); }

}  // namespace

Result<Value> format_percent(Machine& machine, const Value& text, const Value& values) {
  if (text.is_markup()) return marked_safe();
  SACCADE_TRY(std::string out, Percent(machine, text.text(), values).run());
  return Value::of(std::move(out));
}

Result<Value> format_braces(Machine& machine, const Value& text, const Arguments& arguments) {
  if (text.is_markup()) return marked_safe();
  SACCADE_TRY(std::string out, Braces(machine, text.text(), arguments).run());
  return Value::of(std::move(out));
}

}  // namespace saccade::jinja
