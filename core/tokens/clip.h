// CLIP's tokenizer: lower case, runs of whitespace as one space, words by CLIP's expression, bytes as
// letters, and BPE whose last part of a word ends in "</w>". Every text stands between the start and the end
// token.
//
// The original also mends wrongly decoded text and HTML entities before all this; that is left to the user. A
// private header. Thread: any. Source: Radford et al., "Learning transferable visual models from natural
// language supervision", 2021, and the published tokenizer.
#pragma once

#include <string_view>

#include "core/tokens/pipeline.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// From a vocabulary and its merges; bad_format when it has no start or end token.
Result<Pipeline> make_clip(Vocabulary vocabulary, const BpeModel::Merges& merges);

// From CLIP's own list of merges (bpe_simple_vocab_16e6.txt, also packed): the vocabulary follows from it.
// Only the first 48,894 merges count. bad_format names the line.
Result<Pipeline> read_clip_merges(std::string_view file);

}  // namespace saccade::tokens
