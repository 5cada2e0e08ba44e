#include "core/tokens/normalizer.h"

#include <algorithm>

#include "core/tokens/byte_alphabet.h"
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
  if (type == "StripAccents") return NormalizerStep(RemoveMarksNormalizer{true});
  if (type == "Nmt") return NormalizerStep(NmtNormalizer{});
  if (type == "ByteLevel") return NormalizerStep(ByteLevelNormalizer{});
  if (type == "Precompiled") {
    SACCADE_TRY(const std::string text, item["precompiled_charsmap"].string(""));
    const std::optional<std::string> bytes = decode_base64(text);
    if (!bytes) return item["precompiled_charsmap"].expected("base64");
    SACCADE_TRY(Charsmap map, Charsmap::make(*bytes));
    return NormalizerStep(PrecompiledNormalizer{std::make_shared<const Charsmap>(std::move(map))});
  }
  return unsupported_type("normalizer", type, item);
}

// BERT's normalizer is four of the others; accents go with the case unless said otherwise.
Result<void> read_bert(const JsonItem& item, std::vector<NormalizerStep>& steps) {
  SACCADE_TRY(const bool clean, item["clean_text"].boolean(true));
  SACCADE_TRY(const bool ideographs, item["handle_chinese_chars"].boolean(true));
  SACCADE_TRY(const bool lower, item["lowercase"].boolean(true));
  SACCADE_TRY(const bool accents, item["strip_accents"].boolean(lower));
  if (clean) steps.emplace_back(CleanTextNormalizer{});
  if (ideographs) steps.emplace_back(SpaceIdeographsNormalizer{});
  if (accents) {
    steps.emplace_back(UnicodeFormNormalizer{false, false});
    steps.emplace_back(RemoveMarksNormalizer{false});
  }
  if (lower) steps.emplace_back(LowercaseNormalizer{});
  return {};
}

bool is_ideograph(char32_t c) {
  constexpr std::pair<char32_t, char32_t> ranges[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const auto& range) { return c >= range.first && c <= range.second; });
}

bool is_control(char32_t c) {
  return c != '\t' && c != '\n' && c != '\r' && c != 0x2028 && c != 0x2029 && is_unprintable(c);
}

// The characters that SentencePiece's nmt rules drop.
bool is_dropped_by_nmt(char32_t c) {
  return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}
bool is_space_for_nmt(char32_t c) {
  return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
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

  Result<void> operator()(const CleanTextNormalizer&) const {
    while (!out.at_end()) {
      const std::string_view rest = out.rest();
      const char32_t c = character_at(rest, 0);
      if (c == 0 || c == 0xFFFD || is_control(c))
        out.skip(utf8_length(rest[0]));
      else
        out.replace(c == '\t' || c == '\n' || c == '\r' || is_whitespace(c) ? U' ' : c);
    }
    return {};
  }

  Result<void> operator()(const SpaceIdeographsNormalizer&) const {
    while (!out.at_end()) {
      const char32_t c = character_at(out.rest(), 0);
      if (!is_ideograph(c)) {
        out.keep(utf8_length(out.rest()[0]));
        continue;
      }
      out.replace(U' ');
      out.insert(c);
      out.insert(U' ');
    }
    return {};
  }

  Result<void> operator()(const RemoveMarksNormalizer& step) const {
    while (!out.at_end()) {
      const size_t length = utf8_length(out.rest()[0]);
      if (is_mark(character_at(out.rest(), 0), step.all))
        out.skip(length);
      else
        out.keep(length);
    }
    return {};
  }

  Result<void> operator()(const NmtNormalizer&) const {
    while (!out.at_end()) {
      const size_t length = utf8_length(out.rest()[0]);
      const char32_t c = character_at(out.rest(), 0);
      if (is_dropped_by_nmt(c))
        out.skip(length);
      else if (is_space_for_nmt(c))
        out.replace(U' ');
      else
        out.keep(length);
    }
    return {};
  }

  Result<void> operator()(const ByteLevelNormalizer&) const {
    while (!out.at_end()) {
      const std::string bytes(out.rest().substr(0, utf8_length(out.rest()[0])));
      out.replace(byte_to_letter(static_cast<unsigned char>(bytes[0])));
      for (size_t i = 1; i < bytes.size(); ++i)
        out.insert(byte_to_letter(static_cast<unsigned char>(bytes[i])));
    }
    return {};
  }

  // A cluster of fewer than six bytes is looked up whole, then every character on its own.
  Result<void> operator()(const PrecompiledNormalizer& step) const {
    constexpr size_t shortest_kept_apart = 6;
    while (!out.at_end()) {
      const std::string cluster(out.rest().substr(0, cluster_length(out.rest())));
      const auto whole = cluster.size() < shortest_kept_apart ? step.map->find(cluster) : std::nullopt;
      if (whole) {
        rewrite(cluster, *whole);
        continue;
      }
      for (size_t at = 0; at < cluster.size();) {
        const size_t length = utf8_length(cluster[at]);
        const std::string_view character = std::string_view(cluster).substr(at, length);
        if (const auto found = step.map->find(character))
          rewrite(character, *found);
        else
          out.keep(length);
        at += length;
      }
    }
    return {};
  }

  // The next bytes, `old`, become `made`: character by character as long as there are both.
  void rewrite(std::string_view old, std::string_view made) const {
    size_t left = old.size();
    for (size_t at = 0; at < made.size(); at += utf8_length(made[at])) {
      const char32_t c = character_at(made, at);
      if (left == 0) {
        out.insert(c);
        continue;
      }
      left -= utf8_length(out.rest()[0]);
      out.replace(c);
    }
    out.skip(left);
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
        if (type == "BertNormalizer") return read_bert(one, normalizer.steps);
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
