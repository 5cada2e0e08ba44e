#include "core/tokens/jinja/string_literal.h"

#include <fmt/format.h>

#include <charconv>

#include "core/tokens/unicode.h"

namespace saccade::jinja {
namespace {

constexpr std::string_view simple_escapes = "\\'\"abfnrtv";
constexpr std::string_view simple_values = "\\'\"\a\b\f\n\r\t\v";

Error bad_escape(std::string_view message) { return make_error(ErrorCode::bad_format, std::string(message)); }

class Unescaper {
 public:
  explicit Unescaper(std::string_view text) : text_(text) {}

  Result<std::string> run() {
    while (at_ < text_.size()) {
      if (text_[at_] != '\\') {
        out_ += text_[at_++];
        continue;
      }
      ++at_;
      SACCADE_CHECK(escape());
    }
    return std::move(out_);
  }

 private:
  Result<void> escape();
  Result<void> code(size_t begin, size_t digits);
  void octal();
  void beyond_ascii();
  std::string_view text_;
  size_t at_ = 0;  // after the backslash
  std::string out_;
};

Result<void> Unescaper::escape() {
  if (at_ >= text_.size()) return bad_escape("expected an escape after '\\', found the end of the string");
  const char c = text_[at_];
  const size_t simple = simple_escapes.find(c);
  if (simple != std::string_view::npos) {
    out_ += simple_values[simple];
    ++at_;
    return {};
  }
  if (c == 'x') return code(at_ + 1, 2);
  if (c == 'u') return code(at_ + 1, 4);
  if (c == 'U') return code(at_ + 1, 8);
  if (c == 'N') return bad_escape("the escape \\N is not supported");
  if (c == '\n') {
    ++at_;  // a line that goes on
  } else if (c >= '0' && c <= '7') {
    octal();
  } else if (static_cast<unsigned char>(c) >= 0x80) {
    beyond_ascii();
  } else {
    out_ += '\\';
    out_ += c;
    ++at_;
  }
  return {};
}

Result<void> Unescaper::code(size_t begin, size_t digits) {
  uint32_t value = 0;
  const size_t last = std::min(begin + digits, text_.size());
  const auto [end, failed] = std::from_chars(text_.data() + begin, text_.data() + last, value, 16);
  if (failed != std::errc() || end != text_.data() + begin + digits)
    return bad_escape(fmt::format("expected {} hexadecimal digits after '\\{}'", digits, text_[at_]));
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
    return bad_escape(fmt::format("the escape \\{}{:x} is no character", text_[at_], value));
  tokens::append_utf8(out_, static_cast<char32_t>(value));
  at_ = begin + digits;
  return {};
}

void Unescaper::octal() {
  uint32_t value = 0;
  for (int i = 0; i < 3 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i, ++at_)
    value = value * 8 + static_cast<uint32_t>(text_[at_] - '0');
  tokens::append_utf8(out_, static_cast<char32_t>(value));
}

// jinja2 writes such a character as an escape of its own first, whose backslash this one then quotes.
void Unescaper::beyond_ascii() {
  const auto c = static_cast<uint32_t>(tokens::character_at(text_, at_));
  out_ += c < 0x100     ? fmt::format("\\x{:02x}", c)
          : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                        : fmt::format("\\U{:08x}", c);
  at_ += tokens::utf8_length(text_[at_]);
}

}  // namespace

Result<std::string> unescape(std::string_view literal) { return Unescaper(literal).run(); }

}  // namespace saccade::jinja
