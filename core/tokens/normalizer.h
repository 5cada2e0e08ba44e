// Normalizers: what is done to the text before it is cut (lower case, Unicode forms, "▁" for " ").
// A Normalizer is a list of steps, immutable once read; thread: any.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/tokens/aligned_text.h"
#include "core/tokens/charsmap.h"
#include "core/tokens/json_item.h"
#include "core/tokens/regex.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

struct PrependNormalizer {
  std::string text;
};
struct ReplaceNormalizer {
  Pattern pattern;
  std::string content;
};
struct UnicodeFormNormalizer {
  bool compatibility = false, composed = false;  // NFD: neither; NFKC: both
};
struct LowercaseNormalizer {};
struct StripNormalizer {
  bool left = true, right = true;
};
// BERT's: control characters go, every space becomes " ".
struct CleanTextNormalizer {};
// BERT's: CJK ideographs stand on their own.
struct SpaceIdeographsNormalizer {};
// Combining marks go: those that take no room (Mn), or all.
struct RemoveMarksNormalizer {
  bool all = false;
};
// SentencePiece's list of spaces and invisible characters.
struct NmtNormalizer {};
struct ByteLevelNormalizer {};
struct PrecompiledNormalizer {
  std::shared_ptr<const Charsmap> map;
};
using NormalizerStep =
    std::variant<PrependNormalizer, ReplaceNormalizer, UnicodeFormNormalizer, LowercaseNormalizer,
                 StripNormalizer, CleanTextNormalizer, SpaceIdeographsNormalizer, RemoveMarksNormalizer,
                 NmtNormalizer, ByteLevelNormalizer, PrecompiledNormalizer>;

struct Normalizer {
  std::vector<NormalizerStep> steps;

  // unsupported: names the type; bad_format: names the member. A null item is no step.
  static Result<Normalizer> read(const JsonItem& item);
  // Rewrites the text pieces; recognised tokens stay.
  Result<void> apply(AlignedText& text, RegexScratch& scratch) const;
  // What a lone string becomes.
  [[nodiscard]] Result<std::string> apply(const std::string& text) const;
};

}  // namespace saccade::tokens
