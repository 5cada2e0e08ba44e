// The Tokenizer that a tokenizer.json describes: added tokens -> normalizer -> pre-tokenizer -> model ->
// post-processor, and the decoder for the way back. Every stage is a value; this class only runs them in
// order. Immutable; thread: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/tokens/added_tokens.h"
#include "core/tokens/decoder.h"
#include "core/tokens/normalizer.h"
#include "core/tokens/post_processor.h"
#include "core/tokens/pre_tokenizer.h"
#include "core/tokens/token_model.h"
#include "core/tokens/tokenizer.h"

namespace saccade::tokens {

struct Pipeline {
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenModel model;
  PostProcessor post_processor;
  Decoder decoder;
  std::optional<int32_t> bos, eos;
  std::string kind;    // "byte-level BPE"
  std::string source;  // "tokenizer.json"
};

// Builds the search tables and the text of every token.
[[nodiscard]] Result<std::shared_ptr<const Tokenizer>> make_tokenizer(Pipeline pipeline);

}  // namespace saccade::tokens
