#include "core/tokens/word_patterns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <vector>

namespace saccade::tokens {
namespace {

// Words, each with one space before; the rest of every pattern below is a variation of it.
constexpr const char* gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Contractions in any case, line ends with what is before them, digits in threes.
constexpr const char* cl100k =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// The same with every digit alone.
constexpr const char* qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Words also end where a capital letter follows a small one.
constexpr const char* o200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* tekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* one_digit = R"(\p{N})";
constexpr const char* falcon_symbols = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr const char* three_digits = "[0-9][0-9][0-9]";

struct Named {
  const char* name;
  std::array<const char*, 4> expressions;  // one after another, each on the pieces of the one before
  bool ignore_merges = false, add_beginning = false;
};

constexpr std::array named{
    Named{"default", {R"([\p{P}\$\+<=>\^~\|]+)", gpt2, R"(\p{N}+)", three_digits}},
    Named{"gpt-2", {gpt2}},
    Named{"gpt2", {gpt2}},
    Named{"mpt", {gpt2}},
    Named{"olmo", {gpt2}},
    Named{"phi-2", {gpt2}},
    Named{"jais", {gpt2}},
    Named{"roberta-bpe", {gpt2}},
    Named{"jina-v2-en", {gpt2}},
    Named{"jina-v2-es", {gpt2}},
    Named{"jina-v2-de", {gpt2}},
    Named{"jina-v2-code", {gpt2}},
    Named{"falcon", {falcon_symbols, gpt2, three_digits}},
    Named{"starcoder", {one_digit, gpt2}},
    Named{"refact", {one_digit, gpt2}},
    Named{"command-r", {one_digit, gpt2}},
    Named{"smollm", {one_digit, gpt2}},
    Named{"codeshell", {one_digit, gpt2}},
    Named{"exaone", {one_digit, gpt2}},
    Named{"minerva-7b", {one_digit, gpt2}},
    Named{"llama-bpe", {cl100k}, true, true},
    Named{"llama3", {cl100k}, true, true},
    Named{"llama-v3", {cl100k}, true, true},
    Named{"falcon3", {cl100k}, true, true},
    Named{"dbrx", {cl100k}},
    Named{"smaug-bpe", {cl100k}},
    Named{"chatglm-bpe", {cl100k}},
    Named{"cl100k", {cl100k}, true},
    Named{"qwen2", {qwen2}},
    Named{"stablelm2", {qwen2}},
    Named{"deepseek-r1-qwen", {qwen2}},
    Named{"megrez", {qwen2}},
    Named{"gpt-4o", {o200k}},
    Named{"llama4", {o200k}},
    Named{"o200k", {o200k}, true},
    Named{"tekken", {tekken}, true, true},
};

std::string known_names() {
  std::string names;
  for (const Named& one : named) names += fmt::format("{}{}", names.empty() ? "" : ", ", one.name);
  return names;
}

}  // namespace

Result<WordPattern> find_word_pattern(std::string_view name) {
  const auto* const found =
      std::find_if(named.begin(), named.end(), [&](const Named& one) { return name == one.name; });
  if (found == named.end()) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("the way \"{}\" to cut a text into words is not supported; known are {}",
                                  name, known_names()));
  }
  WordPattern pattern;
  for (const char* expression : found->expressions) {
    if (expression == nullptr) break;
    SACCADE_TRY(auto regex, Regex::compile(expression));
    pattern.pre_tokenizer.steps.emplace_back(SplitPreTokenizer{Pattern(std::move(regex))});
  }
  SACCADE_TRY(ByteLevelPreTokenizer letters, make_byte_level(false, false));
  pattern.pre_tokenizer.steps.emplace_back(std::move(letters));
  pattern.ignore_merges = found->ignore_merges;
  pattern.add_beginning = found->add_beginning;
  return pattern;
}

}  // namespace saccade::tokens
