// `tokenizer.model` files, run by the SentencePiece library: unigram, BPE, word and character models with
// their own normalisation. The library cuts the text and gives the byte ranges; special tokens in the text,
// and those at its ends, are this program's part. Immutable; thread: any.
//
// Ends: tokenizer_config.json's add_bos_token and add_eos_token; without them a beginning token for all but
// T5's kind, and an end token for that kind alone, where the model has such tokens. "legacy": false there: a
// text that follows a special token gets no space before it. Source: Kudo and Richardson, "SentencePiece",
// 2018.
#pragma once

#include <memory>
#include <string>

#include "core/tokens/tokenizer.h"
#include "core/tokens/tokenizer_files.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// `file`: the bytes of the model; `source`: its name for descriptions. bad_format: a damaged file, or ends
// that the configuration wants and the model lacks.
Result<std::shared_ptr<const Tokenizer>> open_sentencepiece(const std::string& file,
                                                            const TokenizerConfig& config,
                                                            const std::string& source);

}  // namespace saccade::tokens
