// The stages of a tokenizer one by one: what the golden record does not show by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/tokens/added_tokens.h"
#include "core/tokens/decoder.h"
#include "core/tokens/normalizer.h"
#include "core/tokens/post_processor.h"
#include "core/tokens/split.h"

namespace saccade::tokens {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> texts(const AlignedText& text) {
  std::vector<std::string> out;
  for (const Piece& piece : text.pieces) out.emplace_back(text.view(piece));
  return out;
}

std::vector<std::pair<uint32_t, uint32_t>> sources(const AlignedText& text) {
  std::vector<std::pair<uint32_t, uint32_t>> out;
  for (const SourceRange& range : text.source) out.emplace_back(range.begin, range.end);
  return out;
}

AlignedText normalize(const std::vector<NormalizerStep>& steps, const std::string& text) {
  AlignedText aligned = AlignedText::from(text);
  RegexScratch scratch;
  EXPECT_TRUE(Normalizer{steps}.apply(aligned, scratch).ok());
  return aligned;
}

TEST(AlignedText, APrependedMarkSharesThePlaceOfTheFirstCharacter) {
  const AlignedText text = normalize({PrependNormalizer{"_"}}, "\u00E9a");
  EXPECT_EQ(text.text, "_\u00E9a");
  EXPECT_EQ(sources(text), (std::vector<std::pair<uint32_t, uint32_t>>{{0, 2}, {0, 1}, {1, 2}, {2, 3}}));
  EXPECT_TRUE(normalize({PrependNormalizer{"_"}}, "").text.empty());
}

TEST(AlignedText, AComposedCharacterKeepsThePlaceOfItsFirstPart) {
  const AlignedText text = normalize({UnicodeFormNormalizer{false, true}}, "e\u0301x");
  EXPECT_EQ(text.text, "\u00E9x");
  EXPECT_EQ(sources(text), (std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {0, 1}, {3, 4}}));
}

TEST(AlignedText, WhatAReplacementPutsInTakesThePlaceOfTheLastCharacterReplaced) {
  const AlignedText text = normalize({ReplaceNormalizer{Pattern(std::string("bc")), "XYZ"}}, "abcd");
  EXPECT_EQ(text.text, "aXYZd");
  EXPECT_EQ(sources(text),
            (std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {2, 3}, {2, 3}, {2, 3}, {3, 4}}));
}

TEST(AlignedText, NormalizersGoOnFromEachOther) {
  const AlignedText text = normalize({StripNormalizer{}, LowercaseNormalizer{}}, "  \u0130B ");
  EXPECT_EQ(text.text, "i\u0307b");
  EXPECT_EQ(text.source.front().begin, 2U);
  EXPECT_EQ(text.source.back().begin, 4U);
}

TEST(Split, CutsByEachBehaviour) {
  AlignedText text = AlignedText::from("a--b-c");
  const std::vector<Match> dashes{{1, 2}, {2, 3}, {4, 5}};
  const auto cut = [&](SplitBehavior behavior, bool invert = false) {
    std::vector<Piece> out;
    split_at_matches({0, 6, -1}, dashes, behavior, invert, out);
    text.pieces = out;
    return texts(text);
  };
  EXPECT_THAT(cut(SplitBehavior::removed), ElementsAre("a", "b", "c"));
  EXPECT_THAT(cut(SplitBehavior::removed, true), ElementsAre("-", "-", "-"));
  EXPECT_THAT(cut(SplitBehavior::isolated), ElementsAre("a", "-", "-", "b", "-", "c"));
  EXPECT_THAT(cut(SplitBehavior::contiguous), ElementsAre("a", "--", "b", "-", "c"));
  EXPECT_THAT(cut(SplitBehavior::merged_with_previous), ElementsAre("a-", "-", "b-", "c"));
  EXPECT_THAT(cut(SplitBehavior::merged_with_next), ElementsAre("a", "-", "-b", "-c"));
}

TEST(AddedTokens, TheLongestAtTheLeftmostPlaceWins) {
  const auto vocabulary = Vocabulary::make({{"a", 0}});
  AddedTokens added;
  for (const char* content : {"<x", "<x>", "x>y"}) {
    AddedToken token;
    token.content = content;
    ASSERT_TRUE(added.add(token, *vocabulary).ok());
  }
  added.finish({"<x", "<x>", "x>y"});
  AlignedText text = AlignedText::from("a<x>y<xx>y");
  added.split(text, AddedTokens::When::before_normalization, true);
  EXPECT_THAT(texts(text), ElementsAre("a", "<x>", "y", "<x", "x>y"));
  EXPECT_EQ(text.pieces[1].id, 2);  // ids follow the vocabulary's
  EXPECT_EQ(text.pieces[2].id, -1);
}

TEST(Decoder, JoinsBytesOfFallbackTokensAndMarksBrokenOnes) {
  const Decoder decoder{false, {ByteFallbackDecoder{}, FuseDecoder{}}};
  RegexScratch scratch;
  EXPECT_EQ(*decoder.text({"a", "<0xC3>", "<0xA9>", "<0xg1>"}, scratch), "a\u00E9<0xg1>");
  EXPECT_EQ(*decoder.text({"<0xE4>", "<0xBD>", "b"}, scratch), "\uFFFD\uFFFDb");
  EXPECT_EQ(*decoder.piece("<0xE4>", scratch), "\xE4");
}

TEST(Decoder, StripsOnlyTheTextNotTheSingleToken) {
  const Decoder decoder{
      false, {ReplaceDecoder{Pattern(std::string("\u2581")), " "}, FuseDecoder{}, StripDecoder{U' ', 1, 0}}};
  RegexScratch scratch;
  EXPECT_EQ(*decoder.text({"\u2581Once", "\u2581upon"}, scratch), "Once upon");
  EXPECT_EQ(*decoder.piece("\u2581Once", scratch), " Once");
}

TEST(Decoder, WithoutAnyTokensAreWrittenWithSpaces) {
  const Json nothing;
  const auto decoder = Decoder::read(JsonItem(nothing, "decoder"));
  ASSERT_TRUE(decoder.ok());
  RegexScratch scratch;
  EXPECT_EQ(*decoder->text({"a", "b"}, scratch), "a b");
}

TEST(PostProcessor, TemplatesNestAroundEachOther) {
  const PostProcessor post{{TemplatePostProcessor{{7}, {8}}, TemplatePostProcessor{{5}, {6}}}};
  EXPECT_THAT(post.before(), ElementsAre(5, 7));
  EXPECT_THAT(post.after(), ElementsAre(8, 6));
  std::vector<EncodedToken> encoded{{1, 0, 3, false}};
  post.apply(encoded, "abc", true, [](int32_t) { return std::string_view("abc"); });
  ASSERT_EQ(encoded.size(), 5U);
  EXPECT_EQ(encoded.front().id, 5);
  EXPECT_EQ(encoded.back().begin, 3U);
}

TEST(PostProcessor, TrimmingTakesSpacesOutOfOffsets) {
  EncodedToken token{1, 1, 6, false};
  trim_offsets({false}, "a  b  c", "\u0120\u0120b\u0120\u0120", false, token);
  EXPECT_EQ(token.begin, 3U);
  EXPECT_EQ(token.end, 4U);
}

}  // namespace
}  // namespace saccade::tokens
