// Files of lines "base64 rank": the tokens of a byte-level BPE by rank, which is also their id. Two
// neighbours are joined when the file has what they make, the lowest rank first.
//
// The files hold neither the expression that cuts the words nor special tokens. Both are known for the
// published encodings (cl100k_base, o200k_base, p50k_base, r50k_base, qwen, and the tokenizer.model of Llama
// 3, which is recognised by its 128,000 tokens); others are cut as cl100k does and have the special tokens of
// the TokenizerConfig. Thread: any. Source: the file format of tiktoken.
#pragma once

#include <string>
#include <string_view>

#include "core/tokens/pipeline.h"
#include "core/tokens/tokenizer_files.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// Whether the first line has this form. (A SentencePiece model begins with an empty line.)
[[nodiscard]] bool looks_like_tiktoken(std::string_view file);

// `name`: of the file. bad_format names the line: base64 or a rank that cannot be read, a token or a rank
// that an earlier line has. Special tokens and ends that are known go into `config` where it names none; what
// it has then comes into the pipeline with apply_config().
Result<Pipeline> read_tiktoken(std::string_view file, const std::string& name, TokenizerConfig& config);

}  // namespace saccade::tokens
