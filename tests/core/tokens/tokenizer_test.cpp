#include "core/tokens/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/tokens/unicode.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using namespace tokens_test;
using testing::ElementsAre;
using testing::HasSubstr;

Token with_text(std::string text) { return Token{0, std::move(text), 0, 0, false}; }

// Any valid text: letters, spaces, marks, CJK, emoji, control characters.
std::string random_text(std::mt19937& random, int characters) {
  constexpr std::array<std::pair<char32_t, char32_t>, 8> ranges{{{0x20, 0x7E},
                                                                 {0x20, 0x20},
                                                                 {0x61, 0x7A},
                                                                 {0x00, 0x1F},
                                                                 {0xA0, 0x2FF},
                                                                 {0x300, 0x36F},
                                                                 {0x4E00, 0x9FFF},
                                                                 {0x1F300, 0x1FAFF}}};
  std::string text;
  for (int i = 0; i < characters; ++i) {
    const auto& [low, high] = ranges[random() % ranges.size()];
    tokens::append_utf8(text, low + static_cast<char32_t>(random() % (high - low + 1)));
  }
  return text;
}

TEST(Tokenizer, ByteLevelTextSurvivesTheWayThereAndBack) {
  for (const char* name : {"byte_level", "byte_level_files", "split_expression"}) {
    const auto tokenizer = open_or_fail(fixtures() / name);
    ASSERT_NE(tokenizer, nullptr);
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
      const std::string text = random_text(random, 1 + round % 60);
      const auto encoded = tokenizer->encode(text, {});
      ASSERT_TRUE(encoded.ok()) << encoded.error().to_string();
      const auto decoded = tokenizer->decode(encoded->ids());
      ASSERT_TRUE(decoded.ok());
      ASSERT_EQ(*decoded, text) << name;
    }
  }
}

TEST(Tokenizer, ByteLevelTokensTileThePromptByteForByteEvenInsideACharacter) {
  const auto tokenizer = open_or_fail(fixtures() / "byte_level");
  ASSERT_NE(tokenizer, nullptr);
  std::mt19937 random(11);
  bool split_a_character = false;
  for (int round = 0; round < 200; ++round) {
    const std::string text = random_text(random, 1 + round % 60);
    const auto encoded = tokenizer->encode(text, {.add_special_tokens = false});
    ASSERT_TRUE(encoded.ok());
    int64_t at = 0;
    for (const Token& token : encoded->tokens) {
      ASSERT_EQ(token.begin, at);
      ASSERT_EQ(text.substr(static_cast<size_t>(token.begin), static_cast<size_t>(token.end - token.begin)),
                token.text);
      split_a_character = split_a_character || tokens::find_invalid_utf8(token.text).has_value();
      at = token.end;
    }
    ASSERT_EQ(at, static_cast<int64_t>(text.size()));
  }
  EXPECT_TRUE(split_a_character);
}

TEST(Tokenizer, ByteFallbackTokensHoldTheirByteAndItsPlace) {
  const auto tokenizer = open_or_fail(fixtures() / "piece_normalizer");
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = "a\u2764";  // three bytes that no token has as a character
  const auto encoded = tokenizer->encode(text, {.add_special_tokens = false});
  ASSERT_TRUE(encoded.ok());
  ASSERT_EQ(encoded->size(), 4);
  EXPECT_EQ(encoded->tokens[0].text, " a");
  for (int64_t i = 1; i < 4; ++i) {
    const Token& token = encoded->tokens[static_cast<size_t>(i)];
    EXPECT_EQ(token.begin, i);
    EXPECT_EQ(token.end, i + 1);
    EXPECT_EQ(token.text, text.substr(static_cast<size_t>(i), 1));
  }
}

TEST(Tokenizer, AddsTheBeginningTokenOnlyWhenAsked) {
  const auto tokenizer = open_or_fail(fixtures() / "piece_normalizer");
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->bos(), 1);
  const auto with = tokenizer->encode("red", {});
  const auto without = tokenizer->encode("red", {.add_special_tokens = false});
  ASSERT_TRUE(with.ok() && without.ok());
  ASSERT_EQ(with->size(), without->size() + 1);
  EXPECT_EQ(with->tokens[0].id, 1);
  EXPECT_TRUE(with->tokens[0].special);
  EXPECT_EQ(with->tokens[0].text, "<s>");
  EXPECT_EQ(with->tokens[0].begin, with->tokens[0].end);
  EXPECT_FALSE(with->tokens[1].special);
}

TEST(Tokenizer, SpecialTokensInTheTextAreLettersWhenParsingIsOff) {
  const auto tokenizer = open_or_fail(fixtures() / "byte_level");
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = "a<|endoftext|>b";
  const auto parsed = tokenizer->encode(text, {});
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->size(), 3);
  EXPECT_EQ(parsed->tokens[1].text, "<|endoftext|>");
  EXPECT_TRUE(parsed->tokens[1].special);
  EXPECT_EQ(parsed->tokens[1].begin, 1);
  EXPECT_EQ(parsed->tokens[1].end, 14);
  const auto letters = tokenizer->encode(text, {.parse_special_tokens = false});
  ASSERT_TRUE(letters.ok());
  EXPECT_GT(letters->size(), 3);
  for (const Token& token : letters->tokens) EXPECT_FALSE(token.special);
  EXPECT_EQ(*tokenizer->decode(letters->ids()), text);
}

TEST(Tokenizer, RefusesInvalidUtf8NamingTheByte) {
  const auto tokenizer = open_or_fail(fixtures() / "byte_level");
  ASSERT_NE(tokenizer, nullptr);
  const auto encoded = tokenizer->encode("caf\xC3\xA9 \xFFx", {});
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(encoded.error().to_string(), HasSubstr("not valid UTF-8: byte 6 is 0xFF"));
  EXPECT_THAT(tokenizer->encode("cut \xE4\xBD", {}).error().to_string(), HasSubstr("byte 4 is 0xE4"));
}

TEST(Tokenizer, AnEmptyPromptHasOnlyAddedTokens) {
  const auto tokenizer = open_or_fail(fixtures() / "piece_metaspace");
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->encode("", {})->size(), 1);
  EXPECT_EQ(tokenizer->encode("", {.add_special_tokens = false})->size(), 0);
  EXPECT_EQ(*tokenizer->decode({}), "");
}

TEST(Tokenizer, RefusesIdsOutsideTheVocabulary) {
  const auto tokenizer = open_or_fail(fixtures() / "byte_level");
  ASSERT_NE(tokenizer, nullptr);
  const int32_t size = tokenizer->vocabulary_size();
  for (const int32_t id : {-1, size, INT32_MAX}) {
    EXPECT_THAT(tokenizer->token(id).error().to_string(), HasSubstr("token id " + std::to_string(id)));
    const std::vector<int32_t> ids{0, id};
    EXPECT_EQ(tokenizer->decode(ids).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(tokenizer->sequence(ids).error().code, ErrorCode::invalid_argument);
  }
}

TEST(Tokenizer, MakesASequenceFromIds) {
  const auto tokenizer = open_or_fail(fixtures() / "byte_level");
  ASSERT_NE(tokenizer, nullptr);
  const auto encoded = tokenizer->encode("the dog", {});
  ASSERT_TRUE(encoded.ok());
  const auto sequence = tokenizer->sequence(encoded->ids());
  ASSERT_TRUE(sequence.ok());
  EXPECT_EQ(sequence->text, "");
  EXPECT_EQ(sequence->ids(), encoded->ids());
  EXPECT_EQ(sequence->tokens[0].text, encoded->tokens[0].text);
}

TEST(Tokenizer, DecodingHalfACharacterGivesTheReplacementCharacter) {
  const auto tokenizer = open_or_fail(fixtures() / "byte_level");
  ASSERT_NE(tokenizer, nullptr);
  const auto encoded = tokenizer->encode("\u2764", {});
  ASSERT_TRUE(encoded.ok());
  ASSERT_EQ(encoded->size(), 3);
  const std::vector<int32_t> half{encoded->tokens[0].id, encoded->tokens[1].id};
  EXPECT_EQ(*tokenizer->decode(half), "\uFFFD");
}

TEST(Tokenizer, SaysWhatItIsInOneLine) {
  EXPECT_EQ(open_or_fail(fixtures() / "byte_level_files")->description(),
            "byte-level BPE, 520 tokens, from vocab.json + merges.txt");
  EXPECT_EQ(open_or_fail(fixtures() / "piece_metaspace")->description(),
            "SentencePiece-style BPE with byte fallback, 560 tokens, from tokenizer.json");
}

TEST(Tokenizer, TokenizesTheStoriesPromptAsItsFileSays) {
  const auto folder = foreign_data() / "stories260K";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const auto tokenizer = open_or_fail(folder);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocabulary_size(), 512);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  const auto greedy = nlohmann::json::parse(read_file(folder / "expected_greedy.json"));
  const auto encoded = tokenizer->encode("Once upon a time", {});
  ASSERT_TRUE(encoded.ok());
  std::vector<std::string> texts;
  for (const Token& token : encoded->tokens) texts.push_back(token.text);
  ASSERT_GT(texts.size(), 1U);
  EXPECT_EQ(texts[0], "<s>");
  std::string joined;
  for (size_t i = 1; i < texts.size(); ++i) joined += texts[i];
  EXPECT_EQ(joined, " Once upon a time");
  const auto greedy_ids = greedy["greedy_ids"].get<std::vector<int32_t>>();
  const std::vector<int32_t> ids = encoded->ids();
  // The model's own story begins with these words.
  ASSERT_GT(greedy_ids.size(), ids.size());
  EXPECT_TRUE(std::equal(ids.begin(), ids.end(), greedy_ids.begin()));
}

TEST(Tokenizer, TheDemoModelsFilesAgreeWithEachOther) {
  const auto folder = std::filesystem::path(SACCADE_SOURCE_DIR) / "resources" / "models" / "induction";
  if (!std::filesystem::exists(folder / "vocab.json")) GTEST_SKIP() << folder << " has not been made";
  const auto whole = open_or_fail(folder);
  const TemporaryFolder copy;
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    copy.write(name, read_file(folder / name));
  }
  const auto two_files = open_or_fail(copy.path());
  ASSERT_TRUE(whole && two_files);
  EXPECT_EQ(whole->vocabulary_size(), two_files->vocabulary_size());
  EXPECT_EQ(whole->bos(), two_files->bos());
  for (const std::string text :
       {"The cat saw the red dog. The cat", " two  spaces\n", "caf\u00E9 \u4F60\u597D"}) {
    const auto first = whole->encode(text, {});
    const auto second = two_files->encode(text, {});
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first->ids(), second->ids());
    EXPECT_EQ(first->ids().front(), whole->bos());
    EXPECT_EQ(*whole->decode(first->ids()), text);
  }
}

TEST(Tokenizer, MergesTheSmallestPublishedCase) {
  const auto path = foreign_data() / "golden" / "hf_expected.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto toy = nlohmann::json::parse(read_file(path))["gpt2_toy_bpe"];
  nlohmann::json vocabulary;
  for (size_t i = 0; i < toy["vocab"].size(); ++i) vocabulary[toy["vocab"][i].get<std::string>()] = i;
  std::string merges = "#version: 0.2\n";
  for (const auto& merge : toy["merges"]) merges += merge.get<std::string>() + "\n";
  const TemporaryFolder folder;
  folder.write("vocab.json", vocabulary.dump());
  folder.write("merges.txt", merges);
  const auto tokenizer = open_or_fail(folder.path());
  ASSERT_NE(tokenizer, nullptr);
  const auto encoded = tokenizer->encode(toy["text"].get<std::string>(), {});
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->ids(), toy["ids"].get<std::vector<int32_t>>());
}

TEST(IdTokenizer, NamesIdsAndAsksForThemWhenGivenText) {
  const auto tokenizer = make_id_tokenizer(10);
  EXPECT_EQ(tokenizer->vocabulary_size(), 10);
  EXPECT_EQ(tokenizer->token(3)->text, "<3>");
  EXPECT_EQ(*tokenizer->decode(std::vector<int32_t>{3, 9}), "<3><9>");
  EXPECT_FALSE(tokenizer->token(10).ok());
  EXPECT_FALSE(tokenizer->token(-1).ok());
  EXPECT_FALSE(tokenizer->bos().has_value());
  const auto encoded = tokenizer->encode("text", {});
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(encoded.error().to_string(), HasSubstr("--ids"));
}

TEST(DisplayText, ShowsALeadingSpaceAndKeepsOthers) {
  EXPECT_EQ(display_text(with_text(" cat")), "\u2423cat");
  EXPECT_EQ(display_text(with_text(" cat"), false), " cat");
  EXPECT_EQ(display_text(with_text("a b")), "a b");
}

TEST(DisplayText, ATokenOfSpacesShowsEveryOne) {
  EXPECT_EQ(display_text(with_text(" ")), "\u2423");
  EXPECT_EQ(display_text(with_text("   ")), "\u2423\u2423\u2423");
  EXPECT_EQ(display_text(with_text("   "), false), "   ");
}

TEST(DisplayText, MakesLineEndsAndControlCharactersVisible) {
  EXPECT_EQ(display_text(with_text("\n")), "\u21B5");
  EXPECT_EQ(display_text(with_text("\r\n")), "\u240D\u21B5");
  EXPECT_EQ(display_text(with_text("\t")), "\u21E5");
  EXPECT_EQ(display_text(with_text(std::string("\0\x1B\x7F", 3))), "\u2400\u241B\u2421");
  EXPECT_EQ(display_text(with_text("\u200B\u0085")), "\u27E8U+200B\u27E9\u27E8U+0085\u27E9");
}

TEST(DisplayText, ShowsLoneBytesInHexadecimal) {
  EXPECT_EQ(display_text(with_text("\xE2\x9D")), "<E2><9D>");
  EXPECT_EQ(display_text(with_text("a\xFF")), "a<FF>");
}

TEST(DisplayText, CutsAtCharactersWithAnEllipsis) {
  EXPECT_EQ(display_text(with_text("abcdef"), true, 3), "abc\u2026");
  EXPECT_EQ(display_text(with_text("abc"), true, 3), "abc");
  EXPECT_EQ(display_text(with_text("\u4F60\u597D\u4E16"), true, 2), "\u4F60\u597D\u2026");
  EXPECT_EQ(display_text(with_text("")), "");
}

TEST(DisplayText, KeepsJoinedEmojiTogether) {
  const std::string family = "\U0001F468\u200D\U0001F469";
  EXPECT_EQ(display_text(with_text(family)), family);
}

}  // namespace
}  // namespace saccade
