#include "core/tokens/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace saccade::tokens {
namespace {

using testing::ElementsAre;

BpeModel make(std::vector<std::pair<std::string, int64_t>> entries, const BpeModel::Merges& merges,
              BpeOptions options = {}) {
  auto vocabulary = Vocabulary::make(std::move(entries));
  EXPECT_TRUE(vocabulary.ok());
  auto model = BpeModel::make(std::move(vocabulary).value(), merges, std::move(options));
  if (!model.ok()) ADD_FAILURE() << model.error().to_string();
  return std::move(model).value();
}

std::vector<int32_t> ids(const BpeModel& model, std::string_view word) {
  BpeScratch scratch;
  std::vector<ModelToken> out;
  model.encode(word, scratch, out);
  std::vector<int32_t> found;
  for (const ModelToken& token : out) found.push_back(token.id);
  return found;
}

// By the definition: join the lowest listed pair, leftmost first, until there is none.
std::vector<std::string> merge_by_definition(std::vector<std::string> parts, const BpeModel::Merges& merges) {
  std::map<std::pair<std::string, std::string>, size_t> rank;
  for (size_t i = 0; i < merges.size(); ++i) rank[merges[i]] = i;
  while (true) {
    size_t best = SIZE_MAX;
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = rank.find({parts[i], parts[i + 1]});
      if (found != rank.end() && found->second < best) {
        best = found->second;
        at = i;
      }
    }
    if (best == SIZE_MAX) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

TEST(Bpe, ShortAndLongWordsMergeAsTheDefinitionSays) {
  std::mt19937 random(3);
  std::vector<std::string> tokens{"a", "b", "c", "d"};
  BpeModel::Merges merges;
  while (merges.size() < 60) {
    const std::string left = tokens[random() % tokens.size()];
    const std::string right = tokens[random() % tokens.size()];
    if (std::find(tokens.begin(), tokens.end(), left + right) != tokens.end()) continue;
    merges.emplace_back(left, right);
    tokens.push_back(left + right);
  }
  std::shuffle(merges.begin(), merges.end(), random);  // ranks in no order of making
  std::vector<std::pair<std::string, int64_t>> entries;
  for (size_t i = 0; i < tokens.size(); ++i) entries.emplace_back(tokens[i], static_cast<int64_t>(i));
  const BpeModel model = make(entries, merges);
  for (const int length :
       {1, 2, 5, 39, 40, 41, 42, 100, 700}) {  // both sides of the change from scan to heap
    for (int round = 0; round < 20; ++round) {
      std::string word;
      for (int i = 0; i < length; ++i) word.push_back(static_cast<char>('a' + random() % 4));
      std::vector<std::string> letters;
      for (const char c : word) letters.emplace_back(1, c);
      BpeScratch scratch;
      std::vector<ModelToken> out;
      model.encode(word, scratch, out);
      std::vector<std::string> got;
      uint32_t at = 0;
      for (const ModelToken& token : out) {
        ASSERT_EQ(token.begin, at);
        at = token.end;
        got.push_back(*model.vocabulary().at(token.id));
        ASSERT_EQ(got.back(), word.substr(token.begin, token.end - token.begin));
      }
      ASSERT_EQ(at, word.size());
      ASSERT_EQ(got, merge_by_definition(letters, merges)) << word;
    }
  }
}

TEST(Bpe, EqualPairsJoinFromTheLeft) {
  const BpeModel model = make({{"a", 0}, {"aa", 1}}, {{"a", "a"}});
  EXPECT_THAT(ids(model, "aaaaa"), ElementsAre(1, 1, 0));
  EXPECT_EQ(ids(model, std::string(101, 'a')).size(), 51U);
  EXPECT_EQ(ids(model, std::string(101, 'a')).back(), 0);
}

TEST(Bpe, ALaterListingOfAPairWins) {
  // "a b" is listed first and last: its rank is the last, so "b c" goes first.
  const BpeModel model =
      make({{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}}, {{"a", "b"}, {"b", "c"}, {"a", "b"}});
  EXPECT_THAT(ids(model, "abc"), ElementsAre(0, 4));
}

TEST(Bpe, UnknownCharactersAreLeftOutReplacedOrFused) {
  const std::vector<std::pair<std::string, int64_t>> entries{{"a", 0}, {"?", 1}};
  EXPECT_THAT(ids(make(entries, {}), "axya"), ElementsAre(0, 0));
  EXPECT_THAT(ids(make(entries, {}, {.unknown = "?"}), "axya"), ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(ids(make(entries, {}, {.unknown = "?", .fuse_unknown = true}), "axyax"),
              ElementsAre(0, 1, 0, 1));
}

TEST(Bpe, LeavingOutACharacterKeepsTheOffsetsOfTheOthers) {
  BpeScratch scratch;
  std::vector<ModelToken> out;
  make({{"a", 0}}, {}).encode("xa", scratch, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].begin, 1U);
}

TEST(Bpe, FallsBackToBytesOnlyWhereAllBytesAreKnown) {
  const std::vector<std::pair<std::string, int64_t>> entries{
      {"?", 0}, {"<0xC3>", 1}, {"<0xA9>", 2}, {"<0xE2>", 3}};
  const BpeModel model = make(entries, {}, {.unknown = "?", .byte_fallback = true});
  EXPECT_THAT(ids(model, "\u00E9"), ElementsAre(1, 2));
  EXPECT_THAT(ids(model, "\u2764"), ElementsAre(0));
}

TEST(Bpe, PrefixAndSuffixMarkTheInsideAndTheEndOfAWord) {
  const BpeModel prefix = make({{"a", 0}, {"##a", 1}, {"##b", 2}, {"a##", 3}, {"ab", 4}}, {{"a", "##b"}},
                               {.continuing_subword_prefix = "##"});
  EXPECT_THAT(ids(prefix, "aa"), ElementsAre(0, 1));
  EXPECT_THAT(ids(prefix, "aba"), ElementsAre(4, 1));
  const BpeModel suffix =
      make({{"a", 0}, {"a</w>", 1}, {"aa</w>", 2}}, {{"a", "a</w>"}}, {.end_of_word_suffix = "</w>"});
  EXPECT_THAT(ids(suffix, "a"), ElementsAre(1));
  EXPECT_THAT(ids(suffix, "aaa"), ElementsAre(0, 2));
}

TEST(Bpe, IgnoringMergesTakesWholeWordsFirst) {
  const std::vector<std::pair<std::string, int64_t>> entries{{"a", 0}, {"b", 1}, {"ab", 2}, {"aba", 3}};
  EXPECT_THAT(ids(make(entries, {{"a", "b"}}), "aba"), ElementsAre(2, 0));
  EXPECT_THAT(ids(make(entries, {{"a", "b"}}, {.ignore_merges = true}), "aba"), ElementsAre(3));
}

}  // namespace
}  // namespace saccade::tokens
