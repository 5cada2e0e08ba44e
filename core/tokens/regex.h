// Regular expressions as tokenizer files write them (Oniguruma's spelling), run by PCRE2 with its JIT.
//
// Differences of spelling that matter are translated when the expression is compiled: \s, \w, \d and \h mean
// what they mean there. Set intersection (&&) and other things PCRE2 has no word for are refused. Every match
// has a step and memory limit, so that no expression can hang the program. Regex is immutable and may be used
// from any thread; a RegexScratch belongs to one encode call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::tokens {

struct Match {
  size_t begin = 0, end = 0;  // bytes of the subject
};

// Working memory of PCRE2, made when first needed.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;
  struct Parts;
  Parts* parts();  // null when memory ran out

 private:
  std::unique_ptr<Parts> parts_;
};

class Regex {
 public:
  static Result<std::shared_ptr<const Regex>> compile(std::string_view expression);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // All matches from left to right, not overlapping, into `matches` (cleared first). Subject: valid UTF-8.
  // Error when a match needs more steps or memory than the limits allow.
  Result<void> find_all(std::string_view subject, RegexScratch& scratch, std::vector<Match>& matches) const;
  [[nodiscard]] const std::string& expression() const { return expression_; }

 private:
  Regex() = default;
  struct Program;
  std::unique_ptr<Program> program_;
  std::string expression_;
};

// What Split and Replace look for: literal text, or an expression.
using Pattern = std::variant<std::string, std::shared_ptr<const Regex>>;
Result<void> find_all(const Pattern& pattern, std::string_view subject, RegexScratch& scratch,
                      std::vector<Match>& matches);

}  // namespace saccade::tokens
