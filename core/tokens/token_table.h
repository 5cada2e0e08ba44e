// The tokenizer that a GGUF file carries: a table of tokens with scores or merges, and what kind of model
// they belong to. The rest (how words are cut, what is done to the text) follows from the kind's name.
// Source: the GGUF specification of ggml, section "Tokenizer". Thread: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/tokens/tokenizer.h"
#include "kernels/base/result.h"

namespace saccade {

// Views into the file; all of them must outlive only the call that reads them.
struct TokenTable {
  enum Type : int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

  std::string_view architecture;  // "phi3": decides what its special tokens take with them
  std::string_view model;         // "gpt2", "llama", "bert"
  std::string_view words;         // byte-level models: how they cut words, as in word_patterns.h
  std::span<const std::string_view> tokens;
  std::span<const double> scores;            // one for every token, or none
  std::span<const int64_t> types;            // one of Type for every token, or none
  std::span<const std::string_view> merges;  // "left right", by rank
  std::optional<int64_t> bos, eos, unknown_id, separator, classifier;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
};

// unsupported: another kind of model, named; bad_format: lists of different lengths, ids outside the table,
// and everything that the stages refuse.
[[nodiscard]] Result<std::shared_ptr<const Tokenizer>> make_tokenizer(const TokenTable& table);

}  // namespace saccade
