#include "core/tokens/normalizer.h"

#include <algorithm>

#include "core/tokens/pattern_item.h"
#include "core/tokens/unicode.h"
#include "core/tokens/unicode_form.h"

namespace saccade::tokens {
namespace {

Result<NormalizerStep> read_step(const JsonItem& item, const std::string& type) {
  if (type == "Prepend") {
    SACCADE_TRY(std::string text, item["prepend"].string());
    return NormalizerStep(PrependNormalizer{std::move(text)});
  }
  if (type == "Replace") {
    SACCADE_TRY(Pattern pattern, read_pattern(item["pattern"]));
    SACCADE_TRY(std::string content, item["content"].string());
    return NormalizerStep(ReplaceNormalizer{std::move(pattern), std::move(content)});
  }
  if (type == "NFC") return NormalizerStep(UnicodeFormNormalizer{false, true});
  if (type == "NFD") return NormalizerStep(UnicodeFormNormalizer{false, false});
  if (type == "NFKC") return NormalizerStep(UnicodeFormNormalizer{true, true});
  if (type == "NFKD") return NormalizerStep(UnicodeFormNormalizer{true, false});
  if (type == "Lowercase") return NormalizerStep(LowercaseNormalizer{});
  if (type == "Strip") {
    SACCADE_TRY(const bool left, item["strip_left"].boolean(true));
    SACCADE_TRY(const bool right, item["strip_right"].boolean(true));
    return NormalizerStep(StripNormalizer{left, right});
  }
  return unsupported_type("normalizer", type, item);
}

// One step over one open piece. `scratch` and `matches` are working memory.
struct Application {
  Rewriter& out;
  std::string_view view;  // the piece
  size_t start;           // its first byte in the old text
  RegexScratch& scratch;
  std::vector<Match>& matches;

  Result<void> operator()(const PrependNormalizer& step) const {
    out.prepend(step.text);
    out.keep(view.size());
    return {};
  }

  Result<void> operator()(const ReplaceNormalizer& step) const {
    SACCADE_CHECK(find_all(step.pattern, view, scratch, matches));
    for (const Match& match : matches) {
      out.keep(start + match.begin - out.at());
      out.skip(match.end - match.begin);
      out.insert(step.content);
    }
    out.keep(start + view.size() - out.at());
    return {};
  }

  Result<void> operator()(const UnicodeFormNormalizer& step) const {
    rewrite_unicode_form(out, step.compatibility, step.composed);
    return {};
  }

  Result<void> operator()(const LowercaseNormalizer&) const {
    std::u32string lower;
    while (!out.at_end()) {
      lower.clear();
      append_lower(lower, character_at(out.rest(), 0));
      out.replace(lower.front());
      for (size_t i = 1; i < lower.size(); ++i) out.insert(lower[i]);
    }
    return {};
  }

  Result<void> operator()(const StripNormalizer& step) const {
    size_t begin = 0;
    size_t end = view.size();
    if (step.left) {
      while (begin < end && is_whitespace(character_at(view, begin))) begin += utf8_length(view[begin]);
    }
    if (step.right) {
      while (end > begin && is_whitespace(character_at(view, character_before(view, end)))) {
        end = character_before(view, end);
      }
    }
    out.skip(begin);
    out.keep(end - begin);
    return {};
  }
};

}  // namespace

Result<Normalizer> Normalizer::read(const JsonItem& item) {
  Normalizer normalizer;
  SACCADE_CHECK(
      read_sequence(item, "normalizers", [&](const JsonItem& one, const std::string& type) -> Result<void> {
        SACCADE_TRY(NormalizerStep step, read_step(one, type));
        normalizer.steps.push_back(std::move(step));
        return {};
      }));
  return normalizer;
}

Result<void> Normalizer::apply(AlignedText& text, RegexScratch& scratch) const {
  std::vector<Match> matches;
  for (const NormalizerStep& step : steps) {
    Rewriter out(text);
    for (const Piece& piece : text.pieces) {
      out.open(piece);
      if (piece.id >= 0) {
        out.keep(piece.end - piece.begin);
      } else {
        const Application application{out, text.view(piece), piece.begin, scratch, matches};
        SACCADE_CHECK(std::visit(application, step));
      }
      out.close();
    }
    text = out.take();
  }
  return {};
}

Result<std::string> Normalizer::apply(const std::string& text) const {
  AlignedText aligned = AlignedText::from(text);
  RegexScratch scratch;
  SACCADE_CHECK(apply(aligned, scratch));
  return std::move(aligned.text);
}

}  // namespace saccade::tokens
