#include "core/tokens/jinja/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/text.h"
#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

std::string real_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return number_text(value);
}

void append_escape(std::string& out, uint32_t code) {
  if (code >= 0x10000) {
    code -= 0x10000;
    out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
  } else {
    out += fmt::format("\\u{:04x}", code);
  }
}

std::string text_json(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size(); at += tokens::utf8_length(text[at])) {
    constexpr std::string_view short_ones = "\"\\\n\r\t\f\b";
    constexpr std::string_view letters = "\"\\nrtfb";
    const char32_t c = tokens::character_at(text, at);
    const size_t found = c < 0x80 ? short_ones.find(static_cast<char>(c)) : std::string_view::npos;
    if (found != std::string_view::npos) {
      out += '\\';
      out += letters[found];
    } else if (c < 0x20 || (ensure_ascii && c >= 0x7F)) {
      append_escape(out, static_cast<uint32_t>(c));
    } else {
      tokens::append_utf8(out, c);
    }
  }
  return out + "\"";
}

class Writer {
 public:
  Writer(Machine& machine, const JsonStyle& style) : machine_(machine), style_(style) {}
  Result<void> add(const Value& value);
  std::string take() { return std::move(out_); }

 private:
  Result<void> add_list(const Values& items);
  Result<void> add_dict(const Dict& dict);
  Result<std::string> key_text(const Value& key) const;
  Result<std::vector<std::pair<Value, Value>>> ordered(const Dict& dict);
  Result<void> put(std::string_view text) {
    out_ += text;
    if (out_.size() > max_text_bytes) return not_supported("a text grows beyond 16 MB");
    return machine_.work(text.size());
  }
  Result<void> new_line() {
    if (!style_.indent) return {};
    SACCADE_CHECK(put("\n"));
    for (int i = 0; i < level_; ++i) SACCADE_CHECK(put(*style_.indent));
    return {};
  }
  Machine& machine_;
  const JsonStyle& style_;
  std::string out_;
  int level_ = 0;
};

Result<void> Writer::add_list(const Values& items) {
  if (items.empty()) return put("[]");
  SACCADE_CHECK(put("["));
  ++level_;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) SACCADE_CHECK(put(style_.item_separator));
    SACCADE_CHECK(new_line());
    SACCADE_CHECK(add(items[i]));
  }
  --level_;
  SACCADE_CHECK(new_line());
  return put("]");
}

Result<std::string> Writer::key_text(const Value& key) const {
  if (key.is(Kind::text)) return text_json(key.text(), style_.ensure_ascii);
  if (key.is(Kind::none)) return std::string("\"null\"");
  if (key.is(Kind::boolean)) return std::string(key.boolean() ? "\"true\"" : "\"false\"");
  if (key.is(Kind::integer)) return fmt::format("\"{}\"", key.integer());
  if (key.is(Kind::real)) return fmt::format("\"{}\"", real_json(key.real()));
  return type_error(fmt::format("keys must be str, int, float, bool or None, found '{}'", key.type_name()));
}

Result<std::vector<std::pair<Value, Value>>> Writer::ordered(const Dict& dict) {
  auto entries = dict.entries();
  if (!style_.sort_keys) return entries;
  const bool texts =
      std::all_of(entries.begin(), entries.end(), [](const auto& each) { return each.first.is(Kind::text); });
  if (!texts) return not_supported("sorting keys that are not all texts is not supported");
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.first.text() < b.first.text(); });
  return entries;
}

Result<void> Writer::add_dict(const Dict& dict) {
  if (dict.entries().empty()) return put("{}");
  SACCADE_TRY(const auto entries, ordered(dict));
  SACCADE_CHECK(put("{"));
  ++level_;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) SACCADE_CHECK(put(style_.item_separator));
    SACCADE_CHECK(new_line());
    SACCADE_TRY(const std::string key, key_text(entries[i].first));
    SACCADE_CHECK(put(key));
    SACCADE_CHECK(put(style_.key_separator));
    SACCADE_CHECK(add(entries[i].second));
  }
  --level_;
  SACCADE_CHECK(new_line());
  return put("}");
}

Result<void> Writer::add(const Value& value) {
  switch (value.kind()) {
    case Kind::none:
      return put("null");
    case Kind::boolean:
      return put(value.boolean() ? "true" : "false");
    case Kind::integer:
      return put(std::to_string(value.integer()));
    case Kind::real:
      return put(real_json(value.real()));
    case Kind::text:
      return put(text_json(value.text(), style_.ensure_ascii));
    case Kind::dict:
      return add_dict(value.dict());
    case Kind::sequence:
      if (value.is_list() || value.sequence().kind == SequenceKind::tuple) return add_list(value.items());
      break;
    case Kind::undefined:
    case Kind::iterator:
    case Kind::callable:
    case Kind::object:
      break;
  }
  return type_error(fmt::format("a value of type '{}' cannot be written as JSON", value.type_name()));
}

}  // namespace

Result<std::string> to_json(Machine& machine, const Value& value, const JsonStyle& style) {
  Writer writer(machine, style);
  SACCADE_CHECK(writer.add(value));
  return writer.take();
}

}  // namespace saccade::jinja
