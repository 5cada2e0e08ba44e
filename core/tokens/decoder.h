// Decoders: from token strings, as the vocabulary spells them, back to text.
// A Decoder is a list of steps, immutable once read; thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/tokens/json_item.h"
#include "core/tokens/pre_tokenizer.h"
#include "core/tokens/regex.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

struct ByteLevelDecoder {};
struct ByteFallbackDecoder {};
struct FuseDecoder {};
struct ReplaceDecoder {
  Pattern pattern;
  std::string content;
};
struct StripDecoder {
  char32_t content = U' ';
  int64_t start = 0, stop = 0;  // at most so many characters are taken off each token
};
struct MetaspaceDecoder {
  MetaspacePreTokenizer settings;
};
struct WordPieceDecoder {
  std::string prefix = "##";
  bool cleanup = true;  // takes English punctuation and contractions back to their words
};
struct SuffixDecoder {  // the suffix ends a word (BPEDecoder)
  std::string suffix = "</w>";
};
using DecoderStep = std::variant<ByteLevelDecoder, ByteFallbackDecoder, FuseDecoder, ReplaceDecoder,
                                 StripDecoder, MetaspaceDecoder, WordPieceDecoder, SuffixDecoder>;

struct Decoder {
  bool joins_with_spaces = false;  // no decoder given: tokens are written with a space between
  std::vector<DecoderStep> steps;

  static Result<Decoder> read(const JsonItem& item);
  // The text of a sequence; what is no UTF-8 becomes U+FFFD.
  [[nodiscard]] Result<std::string> text(std::vector<std::string> tokens, RegexScratch& scratch) const;
  // What one token stands for inside a text: raw bytes, nothing taken off its ends.
  [[nodiscard]] Result<std::string> piece(std::string token, RegexScratch& scratch) const;
};

}  // namespace saccade::tokens
