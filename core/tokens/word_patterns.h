// How byte-level tokenizers that have no tokenizer.json cut a text into words, by the names that GGUF files
// and tiktoken use. The expressions are those of the models' own tokenizer files. A private header. Thread:
// any.
#pragma once

#include <string_view>

#include "core/tokens/pre_tokenizer.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

struct WordPattern {
  PreTokenizer pre_tokenizer;  // cuts, and writes bytes as letters
  bool ignore_merges = false;  // a word that is in the vocabulary is one token
  bool add_beginning = false;  // the beginning token belongs before a text
};

// "gpt-2", "llama-bpe", "qwen2", ...; unsupported: a name that is not known.
Result<WordPattern> find_word_pattern(std::string_view name);

}  // namespace saccade::tokens
