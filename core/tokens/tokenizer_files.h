// From the files of a model's folder to a Pipeline. Thread: any.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tokens/json_item.h"
#include "core/tokens/pipeline.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// What tokenizer_config.json, special_tokens_map.json and added_tokens.json say; every part may be missing.
struct TokenizerConfig {
  std::optional<std::string> bos, eos;
  std::optional<bool> add_bos, add_eos, add_prefix_space, legacy;
  std::string tokenizer_class;
  std::vector<AddedToken> added;  // to be known as well; id -1: the vocabulary's, or the next free one
};

// Errors name the file and the member.
Result<TokenizerConfig> read_tokenizer_config(const std::filesystem::path& folder);

// The stages of a tokenizer.json; without the folder's TokenizerConfig.
Result<Pipeline> read_tokenizer_json(std::string_view text);
// GPT-2's two files, or CLIP's where the TokenizerConfig's class says so; the added tokens come from the
// TokenizerConfig.
Result<Pipeline> read_vocab_and_merges(std::string_view vocab_json, std::string_view merges_text,
                                       const TokenizerConfig& config);

// Beginning and end tokens, further added tokens, and add_bos_token and add_eos_token where the tokenizer's
// own template does not decide.
Result<void> apply_config(const TokenizerConfig& config, Pipeline& pipeline);

// The tokenizers that are no tokenizer.json and no vocab.json: tokenizer.model (SentencePiece's form or lines
// of tokens and ranks), *.tiktoken, CLIP's own list of merges. not_found when the folder has none of these.
Result<std::shared_ptr<const Tokenizer>> open_other_tokenizer(const std::filesystem::path& folder,
                                                              const TokenizerConfig& config);

}  // namespace saccade::tokens
