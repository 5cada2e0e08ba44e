#include "core/tokens/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>

#include "core/tokens/byte_alphabet.h"
#include "core/tokens/pattern_item.h"
#include "core/tokens/split.h"
#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr const char* gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// \w+|[^\w\s]+ as Unicode's Technical Standard 18 defines \w, which Oniguruma does not follow to the letter.
constexpr const char* unicode_words =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\s]+)";

Result<SplitBehavior> read_behavior(const JsonItem& item, std::optional<std::string> fallback = {}) {
  SACCADE_TRY(const std::string name, item.string(std::move(fallback)));
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  return item.expected("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

Result<PreTokenizerStep> read_step(const JsonItem& item, const std::string& type) {
  if (type == "ByteLevel") {
    SACCADE_TRY(const bool prefix, item["add_prefix_space"].boolean(true));
    SACCADE_TRY(const bool use_regex, item["use_regex"].boolean(true));
    SACCADE_TRY(ByteLevelPreTokenizer step, make_byte_level(prefix, use_regex));
    return PreTokenizerStep(std::move(step));
  }
  if (type == "Split") {
    SACCADE_TRY(Pattern pattern, read_pattern(item["pattern"]));
    SACCADE_TRY(const SplitBehavior behavior, read_behavior(item["behavior"]));
    SACCADE_TRY(const bool invert, item["invert"].boolean(false));
    return PreTokenizerStep(SplitPreTokenizer{std::move(pattern), behavior, invert});
  }
  if (type == "Metaspace") {
    SACCADE_TRY(const MetaspacePreTokenizer step, read_metaspace(item));
    return PreTokenizerStep(step);
  }
  if (type == "Digits") {
    SACCADE_TRY(const bool each, item["individual_digits"].boolean(false));
    return PreTokenizerStep(
        ClassPreTokenizer{CharacterClass::digit, each ? SplitBehavior::isolated : SplitBehavior::contiguous});
  }
  if (type == "Whitespace") {
    SACCADE_TRY(auto regex, Regex::compile(unicode_words));
    return PreTokenizerStep(SplitPreTokenizer{Pattern(std::move(regex)), SplitBehavior::removed, true});
  }
  if (type == "WhitespaceSplit") return PreTokenizerStep(ClassPreTokenizer{});
  if (type == "Punctuation") {
    SACCADE_TRY(const SplitBehavior behavior, read_behavior(item["behavior"], "Isolated"));
    return PreTokenizerStep(ClassPreTokenizer{CharacterClass::punctuation, behavior});
  }
  if (type == "CharDelimiterSplit") {
    SACCADE_TRY(std::string delimiter, item["delimiter"].string());
    return PreTokenizerStep(SplitPreTokenizer{Pattern(std::move(delimiter)), SplitBehavior::removed, false});
  }
  return unsupported_type("pre-tokenizer", type, item);
}

bool belongs(CharacterClass kind, char32_t character) {
  switch (kind) {
    case CharacterClass::whitespace:
      return is_whitespace(character);
    case CharacterClass::digit:
      return is_numeric(character);
    case CharacterClass::punctuation:
      return is_punctuation(character);
  }
  return false;
}

// One step over the whole text.
class Application {
 public:
  Application(AlignedText& text, RegexScratch& scratch) : text_(text), scratch_(scratch) {}

  Result<void> operator()(const ByteLevelPreTokenizer& step) {
    if (step.add_prefix_space)
      add_prefix(" ", [](const Piece&, std::string_view view) { return view[0] != ' '; });
    if (step.words) SACCADE_CHECK(cut(Pattern(step.words), SplitBehavior::isolated, false));
    write_letters();
    return {};
  }

  Result<void> operator()(const SplitPreTokenizer& step) {
    return cut(step.pattern, step.behavior, step.invert);
  }

  Result<void> operator()(const MetaspacePreTokenizer& step) {
    std::string mark;
    append_utf8(mark, step.replacement);
    replace_spaces(step.replacement);
    add_prefix(mark, [&](const Piece& piece, std::string_view view) {
      if (step.scheme == PrependScheme::never || view.starts_with(mark)) return false;
      return step.scheme == PrependScheme::always || text_.source[piece.begin].begin == 0;
    });
    if (!step.split) return {};
    return cut(Pattern(mark), SplitBehavior::merged_with_next, false);
  }

  Result<void> operator()(const ClassPreTokenizer& step) {
    return cut_with(step.behavior, false,
                    [&](std::string_view view, std::vector<Match>& matches) -> Result<void> {
                      matches.clear();
                      for (size_t at = 0; at < view.size();) {
                        const size_t length = utf8_length(view[at]);
                        if (belongs(step.kind, character_at(view, at))) matches.push_back({at, at + length});
                        at += length;
                      }
                      return {};
                    });
  }

 private:
  template <class Find>
  Result<void> cut_with(SplitBehavior behavior, bool invert, const Find& find) {
    std::vector<Piece> pieces;
    pieces.reserve(text_.text.size() / 4 + 1);
    for (const Piece& piece : text_.pieces) {
      if (piece.id >= 0) {
        pieces.push_back(piece);
        continue;
      }
      SACCADE_CHECK(find(text_.view(piece), matches_));
      split_at_matches(piece, matches_, behavior, invert, pieces);
    }
    text_.pieces = std::move(pieces);
    return {};
  }

  Result<void> cut(const Pattern& pattern, SplitBehavior behavior, bool invert) {
    return cut_with(behavior, invert, [&](std::string_view view, std::vector<Match>& matches) {
      return find_all(pattern, view, scratch_, matches);
    });
  }

  template <class Wants>
  void add_prefix(std::string_view prefix, const Wants& wants) {
    bool any = false;
    for (const Piece& piece : text_.pieces) any = any || (piece.id < 0 && wants(piece, text_.view(piece)));
    if (!any) return;
    Rewriter out(text_);
    for (const Piece& piece : text_.pieces) {
      out.open(piece);
      if (piece.id < 0 && wants(piece, text_.view(piece))) out.prepend(prefix);
      out.keep(piece.end - piece.begin);
      out.close();
    }
    text_ = out.take();
  }

  void replace_spaces(char32_t replacement) {
    Rewriter out(text_);
    for (const Piece& piece : text_.pieces) {
      out.open(piece);
      if (piece.id >= 0) out.keep(piece.end - piece.begin);
      while (!out.at_end()) {
        const std::string_view rest = out.rest();
        out.keep(std::min(rest.find(' '), rest.size()));
        if (!out.at_end()) out.replace(replacement);
      }
      out.close();
    }
    text_ = out.take();
  }

  // Every byte of a text piece becomes its letter and keeps its own range.
  void write_letters() {
    AlignedText next;
    next.text.reserve(text_.text.size() + text_.text.size() / 2);
    next.source.reserve(text_.text.size() + text_.text.size() / 2);
    next.pieces.reserve(text_.pieces.size());
    for (const Piece& piece : text_.pieces) {
      const auto begin = static_cast<uint32_t>(next.text.size());
      for (size_t i = piece.begin; i < piece.end; ++i) {
        const char32_t letter =
            piece.id >= 0 ? U' ' : byte_to_letter(static_cast<unsigned char>(text_.text[i]));
        append_utf8(next.text, letter);
        next.source.resize(next.text.size(), text_.source[i]);
      }
      next.pieces.push_back({begin, static_cast<uint32_t>(next.text.size()), piece.id});
    }
    text_ = std::move(next);
  }

  AlignedText& text_;
  RegexScratch& scratch_;
  std::vector<Match> matches_;
};

}  // namespace

Result<ByteLevelPreTokenizer> make_byte_level(bool add_prefix_space, bool use_regex) {
  ByteLevelPreTokenizer step;
  step.add_prefix_space = add_prefix_space;
  if (use_regex) {
    SACCADE_TRY(step.words, Regex::compile(gpt2_words));
  }
  return step;
}

Result<MetaspacePreTokenizer> read_metaspace(const JsonItem& item) {
  MetaspacePreTokenizer step;
  SACCADE_TRY(const std::string mark, item["replacement"].string("\u2581"));
  if (mark.empty() || utf8_length(mark[0]) != mark.size())
    return item["replacement"].expected("one character");
  step.replacement = character_at(mark, 0);
  SACCADE_TRY(const bool prefix, item["add_prefix_space"].boolean(true));
  SACCADE_TRY(const std::string scheme, item["prepend_scheme"].string(prefix ? "always" : "never"));
  if (scheme == "always") {
    step.scheme = PrependScheme::always;
  } else if (scheme == "never") {
    step.scheme = PrependScheme::never;
  } else if (scheme == "first") {
    step.scheme = PrependScheme::first;
  } else {
    return item["prepend_scheme"].expected("always, never or first");
  }
  if (!prefix && step.scheme != PrependScheme::never) {
    return item["prepend_scheme"].expected("\"never\", because add_prefix_space is false");
  }
  SACCADE_TRY(step.split, item["split"].boolean(true));
  return step;
}

Result<PreTokenizer> PreTokenizer::read(const JsonItem& item) {
  PreTokenizer pre_tokenizer;
  SACCADE_CHECK(
      read_sequence(item, "pretokenizers", [&](const JsonItem& one, const std::string& type) -> Result<void> {
        if (type == "BertPreTokenizer") {  // spaces go, punctuation stands alone
          pre_tokenizer.steps.emplace_back(ClassPreTokenizer{});
          pre_tokenizer.steps.emplace_back(
              ClassPreTokenizer{CharacterClass::punctuation, SplitBehavior::isolated});
          return {};
        }
        SACCADE_TRY(PreTokenizerStep step, read_step(one, type));
        pre_tokenizer.steps.push_back(std::move(step));
        return {};
      }));
  return pre_tokenizer;
}

Result<void> PreTokenizer::apply(AlignedText& text, RegexScratch& scratch) const {
  for (const PreTokenizerStep& step : steps) SACCADE_CHECK(std::visit(Application(text, scratch), step));
  return {};
}

}  // namespace saccade::tokens
