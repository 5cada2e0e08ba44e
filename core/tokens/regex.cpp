#include "core/tokens/regex.h"

#include <fmt/format.h>

#include <array>

#include "core/tokens/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace saccade::tokens {
namespace {

constexpr size_t max_expression_bytes = size_t{64} << 10;
constexpr uint32_t match_limit = 2'000'000;     // steps of one match
constexpr uint32_t heap_limit_kib = 64U << 10;  // memory of one match
constexpr size_t jit_stack_bytes = size_t{1} << 20;

// The members of a shorthand class, without brackets.
const char* class_members(char letter) {
  switch (letter) {
    case 's':
      return R"(\x{09}-\x{0D}\x{85}\p{Z})";
    case 'w':
      return R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
    case 'd':
      return R"(\p{Nd})";
    case 'h':
      return R"(0-9a-fA-F)";
    default:
      return nullptr;
  }
}

// Oniguruma's spelling to PCRE2's; see the header.
class Translator {
 public:
  explicit Translator(std::string_view from) : from_(from) {}

  Result<std::string> translate() {
    while (at_ < from_.size()) {
      const char c = from_[at_];
      if (c == '\\') {
        SACCADE_CHECK(escape());
      } else if (c == '[') {
        SACCADE_CHECK(open_class());
      } else {
        if (depth_ > 0 && c == '&' && from_.substr(at_, 2) == "&&") {
          return make_error(
              ErrorCode::unsupported,
              fmt::format("the expression {} intersects character sets with &&, which is not supported",
                          from_));
        }
        if (depth_ > 0 && c == ']') --depth_;
        if (c != ']' || depth_ == 0) to_.push_back(c);  // sets inside a set are joined to it
        ++at_;
      }
    }
    return std::move(to_);
  }

 private:
  Result<void> open_class() {
    if (depth_ > 0) {
      // "[[:alpha:]]" is one word in both spellings; any other bracket opens a set inside the set.
      if (from_.substr(at_, 2) == "[:") {
        const size_t end = from_.find(":]", at_);
        const size_t stop = end == std::string_view::npos ? from_.size() : end + 2;
        to_ += from_.substr(at_, stop - at_);
        at_ = stop;
        return {};
      }
      if (from_.substr(at_, 2) == "[^") {
        return make_error(
            ErrorCode::unsupported,
            fmt::format("the expression {} has a negated set inside a set, which is not supported", from_));
      }
      ++depth_;
      ++at_;
      return {};
    }
    ++depth_;
    to_.push_back('[');
    ++at_;
    if (at_ < from_.size() && from_[at_] == '^') {
      to_.push_back('^');
      ++at_;
    }
    if (at_ < from_.size() && from_[at_] == ']') {  // first in a set: the bracket itself
      to_ += "\\]";
      ++at_;
    }
    return {};
  }

  Result<void> escape() {
    if (at_ + 1 >= from_.size()) {
      return make_error(ErrorCode::bad_format, fmt::format("the expression {} ends in a backslash", from_));
    }
    const char letter = from_[at_ + 1];
    at_ += 2;
    if (const char* members = class_members(letter)) {
      to_ += depth_ > 0 ? std::string(members) : fmt::format("[{}]", members);
      return {};
    }
    const char lower = static_cast<char>(letter | 0x20);
    if (letter != lower && class_members(lower) != nullptr && depth_ == 0) {
      to_ += fmt::format("[^{}]", class_members(lower));
      return {};
    }
    to_.push_back('\\');
    to_.push_back(letter);
    return {};
  }

  std::string_view from_;
  size_t at_ = 0;
  int depth_ = 0;
  std::string to_;
};

std::string pcre_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    free_function(pointer);
  }
};

}  // namespace

struct RegexScratch::Parts {
  std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> match;
  std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>> context;
  std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack_free>> stack;
};

RegexScratch::RegexScratch() = default;
RegexScratch::~RegexScratch() = default;

RegexScratch::Parts* RegexScratch::parts() {
  if (parts_) return parts_.get();
  auto parts = std::make_unique<Parts>();
  parts->match.reset(pcre2_match_data_create(1, nullptr));
  parts->context.reset(pcre2_match_context_create(nullptr));
  parts->stack.reset(pcre2_jit_stack_create(size_t{32} << 10, jit_stack_bytes, nullptr));
  if (!parts->match || !parts->context) return nullptr;
  pcre2_set_match_limit(parts->context.get(), match_limit);
  pcre2_set_heap_limit(parts->context.get(), heap_limit_kib);
  if (parts->stack) pcre2_jit_stack_assign(parts->context.get(), nullptr, parts->stack.get());
  parts_ = std::move(parts);
  return parts_.get();
}

struct Regex::Program {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> code;
};

Regex::~Regex() = default;

Result<std::shared_ptr<const Regex>> Regex::compile(std::string_view expression) {
  if (expression.size() > max_expression_bytes) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("an expression of {} bytes is longer than the {} allowed",
                                  expression.size(), max_expression_bytes));
  }
  SACCADE_TRY(const std::string translated, Translator(expression).translate());
  int code = 0;
  PCRE2_SIZE position = 0;
  auto regex = std::shared_ptr<Regex>(new Regex());
  regex->program_ = std::make_unique<Program>();
  regex->expression_ = expression;
  // "^" and "$" are about lines there, whatever the options say.
  regex->program_->code.reset(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &position, nullptr));
  if (!regex->program_->code) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("the expression {} cannot be compiled: {} (at byte {})", expression,
                                  pcre_message(code), position));
  }
  pcre2_jit_compile(regex->program_->code.get(), PCRE2_JIT_COMPLETE);  // without it, matching is only slower
  return std::shared_ptr<const Regex>(std::move(regex));
}

Result<void> Regex::find_all(std::string_view subject, RegexScratch& scratch,
                             std::vector<Match>& matches) const {
  matches.clear();
  RegexScratch::Parts* parts = scratch.parts();
  if (parts == nullptr) return make_error(ErrorCode::out_of_memory, "no memory to match an expression");
  const auto run = [&](size_t start, uint32_t options) {
    return pcre2_match(program_->code.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(),
                       start, options, parts->match.get(), parts->context.get());
  };
  size_t last_end = std::string_view::npos;
  for (size_t start = 0; start <= subject.size();) {
    int found = run(start, PCRE2_NO_UTF_CHECK);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = run(start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return make_error(ErrorCode::unsupported,
                        fmt::format("the expression {} was given up at byte {} of a piece of {} bytes: {}",
                                    expression_, start, subject.size(), pcre_message(found)));
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(parts->match.get());
    const Match match{bounds[0], bounds[1]};
    if (match.begin > match.end || match.begin < start) {  // \K in a lookaround
      return make_error(
          ErrorCode::unsupported,
          fmt::format("the expression {} matches backwards, which is not supported", expression_));
    }
    if (match.begin == match.end) {
      // Empty: counted unless it touches the match before it; the search goes on one character further.
      if (match.begin != last_end) matches.push_back(match);
      if (match.end == subject.size()) break;
      start = match.end + utf8_length(subject[match.end]);
    } else {
      matches.push_back(match);
      start = match.end;
    }
    last_end = match.end;
  }
  return {};
}

Result<void> find_all(const Pattern& pattern, std::string_view subject, RegexScratch& scratch,
                      std::vector<Match>& matches) {
  if (const auto* regex = std::get_if<std::shared_ptr<const Regex>>(&pattern)) {
    return (*regex)->find_all(subject, scratch, matches);
  }
  matches.clear();
  const std::string& literal = std::get<std::string>(pattern);
  if (literal.empty()) return {};
  for (size_t at = subject.find(literal); at != std::string_view::npos; at = subject.find(literal, at)) {
    matches.push_back({at, at + literal.size()});
    at += literal.size();
  }
  return {};
}

}  // namespace saccade::tokens
