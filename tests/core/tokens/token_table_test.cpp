// The tokenizers of GGUF files: other people's vocabularies with their expected ids, and made-up tables.
#include "core/tokens/token_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/files.h"
#include "core/model/gguf_config.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using namespace tokens_test;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> split(const std::string& text, const std::string& mark) {
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t next = text.find(mark); next != std::string::npos; next = text.find(mark, at)) {
    parts.push_back(text.substr(at, next - at));
    at = next + mark.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

std::vector<int32_t> read_ids(const std::string& line) {
  std::istringstream stream(line);
  std::vector<int32_t> ids;
  for (int32_t id = 0; stream >> id;) ids.push_back(id);
  return ids;
}

std::filesystem::path vocabulary_file(const std::string& name) {
  return foreign_data() / "tokenizers" / ("ggml-vocab-" + name + ".gguf");
}

std::shared_ptr<const Tokenizer> open_vocabulary(const std::string& name) {
  const auto mapped = MappedFile::open(vocabulary_file(name));
  if (!mapped.ok()) {
    ADD_FAILURE() << mapped.error().to_string();
    return nullptr;
  }
  const auto gguf = read_gguf((*mapped)->bytes());
  if (!gguf.ok()) {
    ADD_FAILURE() << gguf.error().to_string();
    return nullptr;
  }
  const auto tokenizer = gguf_tokenizer(*gguf);
  if (tokenizer.ok()) return *tokenizer;
  ADD_FAILURE() << tokenizer.error().to_string();
  return nullptr;
}

class Vocabularies : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    file_ = vocabulary_file(GetParam());
    if (!std::filesystem::exists(file_)) GTEST_SKIP() << file_ << " is not there";
    tokenizer_ = open_vocabulary(GetParam());
    ASSERT_NE(tokenizer_, nullptr);
  }
  std::string file_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_P(Vocabularies, GiveTheRecordedIdsForEveryCase) {
  const std::vector<std::string> texts = split(read_file(file_ + ".inp"), "\n__ggml_vocab_test__\n");
  const std::vector<std::string> lines = split(read_file(file_ + ".out"), "\n");
  ASSERT_EQ(texts.size(), 47U);
  ASSERT_GE(lines.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i) + ": " + nlohmann::json(texts[i]).dump());
    const auto encoded = tokenizer_->encode(texts[i], {.add_special_tokens = false});
    ASSERT_TRUE(encoded.ok()) << encoded.error().to_string();
    EXPECT_EQ(encoded->ids(), read_ids(lines[i]));
    int64_t at = 0;
    for (const Token& token : encoded->tokens) {  // offsets go through the text from left to right
      EXPECT_LE(at, token.end);
      EXPECT_LE(token.begin, token.end);
      EXPECT_LE(token.end, static_cast<int64_t>(texts[i].size()));
      at = token.begin;
    }
    if (std::string_view(GetParam()) != "bert-bge") {
      EXPECT_EQ(*tokenizer_->decode(encoded->ids()), texts[i]);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(GGUF, Vocabularies,
                         testing::Values("gpt-2", "llama-spm", "bert-bge", "falcon", "mpt", "starcoder",
                                         "phi-3"));

// "prompt: 'Data visualization'," and "tokenIds: [6601, 32704]," of a JavaScript object.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t begin = text.find(before) + before.size();
  return text.substr(begin, text.find(after, begin) - begin);
}

TEST(Vocabularies, GPT2CutsTheExplainersPromptsAsRecorded) {
  const auto folder = foreign_data() / "golden" / "transformer_explainer";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const auto gpt2 = open_vocabulary("gpt-2");
  ASSERT_NE(gpt2, nullptr);
  int compared = 0;
  for (const char* name : {"ex0.js", "ex1.js", "ex2.js"}) {
    const std::string text = read_file(folder / name);
    const std::string prompt = between(text, "prompt: '", "',");
    std::string ids = between(text, "tokenIds: [", "]");
    std::replace(ids.begin(), ids.end(), ',', ' ');
    const auto encoded = gpt2->encode(prompt, {});
    ASSERT_TRUE(encoded.ok());
    EXPECT_EQ(encoded->ids(), read_ids(ids)) << prompt;
    compared += static_cast<int>(encoded->size());
  }
  EXPECT_GT(compared, 15);
}

// A made-up table of scored pieces: bytes, letters, and what they make.
struct Scored {
  std::vector<std::string_view> tokens = {"<unk>",  "<s>", "</s>", "<0x0A>", "<0xC3>",  "<0xA9>",
                                          "\u2581", "a",   "b",    "ab",     "\u2581a", "<|end|>"};
  std::vector<double> scores = {0, 0, 0, 0, 0, 0, -9, -10, -11, -1, -2, 0};
  std::vector<int64_t> types = {2, 3, 3, 6, 6, 6, 1, 1, 1, 1, 1, 4};

  [[nodiscard]] TokenTable table() const {
    TokenTable table;
    table.model = "llama";
    table.tokens = tokens;
    table.scores = scores;
    table.types = types;
    table.bos = 1;
    table.eos = 2;
    table.unknown_id = 0;
    return table;
  }
};

std::vector<int32_t> ids_of(const TokenTable& table, const std::string& text) {
  const auto made = make_tokenizer(table);
  if (!made.ok()) {
    ADD_FAILURE() << made.error().to_string();
    return {};
  }
  const auto encoded = (*made)->encode(text, {});
  return encoded.ok() ? encoded->ids() : std::vector<int32_t>{};
}

std::string error_of(const TokenTable& table) {
  const auto made = make_tokenizer(table);
  return made.ok() ? "no error" : made.error().to_string();
}

TEST(TokenTable, TheBestScoreIsJoinedFirst) {
  Scored made;
  EXPECT_THAT(ids_of(made.table(), "ab"), ElementsAre(1, 6, 9));  // "ab" is better than "\u2581a"
  std::swap(made.scores[9], made.scores[10]);
  EXPECT_THAT(ids_of(made.table(), "ab"), ElementsAre(1, 10, 8));
}

TEST(TokenTable, WhatNoPieceHoldsBecomesItsBytes) {
  const Scored made;
  EXPECT_THAT(ids_of(made.table(), "\u00E9\n"), ElementsAre(1, 6, 4, 5, 3));
  EXPECT_THAT(ids_of(made.table(), "a\u00EA"), ElementsAre(1, 10, 0));  // no such byte: unknown
}

TEST(TokenTable, FlagsDecideTheEndsAndTheSpaceBefore) {
  const Scored made;
  TokenTable table = made.table();
  table.add_bos = false;
  table.add_eos = true;
  table.add_space_prefix = false;
  EXPECT_THAT(ids_of(table, "a"), ElementsAre(7, 2));
}

TEST(TokenTable, TokensOfTheUserAreFoundInTheText) {
  const Scored made;
  EXPECT_THAT(ids_of(made.table(), "a<|end|>a"), ElementsAre(1, 10, 11, 10));
  const auto tokenizer = make_tokenizer(made.table());
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(*(*tokenizer)->decode(std::vector<int32_t>{1, 10, 11, 2}), "a<|end|>");
}

TEST(TokenTable, WhatDoesNotFitIsRefusedWithTheNumbers) {
  Scored made;
  TokenTable table = made.table();
  table.model = "rwkv";
  EXPECT_THAT(error_of(table), HasSubstr("\"rwkv\" is not supported; known are gpt2, llama and bert"));
  table = made.table();
  table.eos = 12;
  EXPECT_THAT(error_of(table), HasSubstr("has id 12, but there are 12 tokens"));
  table = made.table();
  table.scores = table.scores.first(3);
  EXPECT_THAT(error_of(table), HasSubstr("a score for each of 12 tokens, found 3"));
  made.scores[7] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_of(made.table()), HasSubstr("the score of token 7 is not a number"));
  made = {};
  made.tokens[8] = "a";
  EXPECT_THAT(error_of(made.table()), HasSubstr("lists \"a\" twice"));
  made.tokens[8] = "\xC3";
  EXPECT_THAT(error_of(made.table()), HasSubstr("a token is no valid UTF-8"));
}

TEST(TokenTable, MergesNeedTwoPartsThatAreTokens) {
  const std::vector<std::string_view> tokens = {"a", "b", "ab"};
  TokenTable table;
  table.model = "gpt2";
  table.words = "gpt-2";
  table.tokens = tokens;
  std::vector<std::string_view> merges = {"a b"};
  table.merges = merges;
  EXPECT_THAT(ids_of(table, "ab"), ElementsAre(2));
  merges[0] = "ab";
  EXPECT_THAT(error_of(table), HasSubstr("merge 0: expected two parts"));
  merges[0] = "a c";
  EXPECT_THAT(error_of(table), HasSubstr("\"c\""));
  table.words = "no-such-way";
  EXPECT_THAT(error_of(table), HasSubstr("no-such-way"));
}

TEST(TokenTable, PiecesThatBeginAWordAreMarked) {
  std::vector<std::string_view> tokens = {"[UNK]", "[CLS]", "[SEP]", "\u2581play", "ing", "\u2581!"};
  const std::vector<int64_t> types = {3, 3, 3, 1, 1, 1};
  TokenTable table;
  table.model = "bert";
  table.tokens = tokens;
  table.types = types;
  table.unknown_id = 0;
  table.classifier = 1;
  table.separator = 2;
  EXPECT_THAT(ids_of(table, "Playing!"), ElementsAre(1, 3, 4, 5, 2));
  EXPECT_THAT(ids_of(table, "ing"), ElementsAre(1, 0, 2));  // no piece begins a word so
  tokens[3] = "\u2581Play";                                 // a capital letter: a cased vocabulary
  EXPECT_THAT(ids_of(table, "Playing"), ElementsAre(1, 3, 4, 2));
  EXPECT_THAT(ids_of(table, "playing"), ElementsAre(1, 0, 2));
}

}  // namespace
}  // namespace saccade
