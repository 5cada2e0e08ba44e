// Pre-tokenizers: how the text is cut into the pieces that the model sees one by one.
// A PreTokenizer is a list of steps, immutable once read; thread: any.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/tokens/aligned_text.h"
#include "core/tokens/json_item.h"
#include "core/tokens/regex.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// What becomes of the places where a Split matches.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

struct ByteLevelPreTokenizer {
  bool add_prefix_space = true;
  std::shared_ptr<const Regex> words;  // null: not cut
};
struct SplitPreTokenizer {
  Pattern pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;
};
enum class PrependScheme { always, never, first };
struct MetaspacePreTokenizer {
  char32_t replacement = U'\u2581';
  PrependScheme scheme = PrependScheme::always;
  bool split = true;
};
// Cuts at every character of a class.
enum class CharacterClass { whitespace, digit, punctuation };
struct ClassPreTokenizer {
  CharacterClass kind = CharacterClass::whitespace;
  SplitBehavior behavior = SplitBehavior::removed;
};
using PreTokenizerStep =
    std::variant<ByteLevelPreTokenizer, SplitPreTokenizer, MetaspacePreTokenizer, ClassPreTokenizer>;

struct PreTokenizer {
  std::vector<PreTokenizerStep> steps;

  static Result<PreTokenizer> read(const JsonItem& item);
  Result<void> apply(AlignedText& text, RegexScratch& scratch) const;
};

// GPT-2's words: contractions, letters, digits and others each with one space before, and runs of spaces.
Result<ByteLevelPreTokenizer> make_byte_level(bool add_prefix_space, bool use_regex);
// "▁" settings, which decoders share; both the newer prepend_scheme and the older add_prefix_space.
Result<MetaspacePreTokenizer> read_metaspace(const JsonItem& item);

}  // namespace saccade::tokens
