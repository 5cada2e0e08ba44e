// Files of ranked tokens against what the tiktoken package recorded (tests/data/make_tiktoken.py), and
// damaged ones.
#include "core/tokens/tiktoken.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/tokens/word_patterns.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using namespace tokens_test;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path recorded() {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "tiktoken";
}
std::string small_file() { return read_file(recorded() / "small.tiktoken"); }

std::shared_ptr<const Tokenizer> open_as(const std::string& name, const std::string& config = "") {
  const TemporaryFolder folder;
  folder.write(name, small_file());
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  return open_or_fail(folder.path());
}

class TiktokenPattern : public testing::TestWithParam<std::string> {};

TEST_P(TiktokenPattern, GivesTheIdsOfThePackage) {
  tokens::TokenizerConfig config;
  auto pipeline = tokens::read_tiktoken(small_file(), "small.tiktoken", config);
  ASSERT_TRUE(pipeline.ok()) << pipeline.error().to_string();
  auto words = tokens::find_word_pattern(GetParam());
  ASSERT_TRUE(words.ok());
  pipeline->pre_tokenizer = std::move(words->pre_tokenizer);
  const auto tokenizer = tokens::make_tokenizer(std::move(*pipeline));
  ASSERT_TRUE(tokenizer.ok());
  const json expected = json::parse(read_file(recorded() / "expected.json"));
  const json& cases = expected["patterns"][GetParam()];
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string text = expected["texts"][i];
    SCOPED_TRACE("text " + std::to_string(i) + ": " + json(text).dump());
    const auto encoded = (*tokenizer)->encode(text, {});
    ASSERT_TRUE(encoded.ok());
    EXPECT_EQ(encoded->ids(), cases[i].get<std::vector<int32_t>>());
    EXPECT_EQ(*(*tokenizer)->decode(encoded->ids()), text);
    int64_t at = 0;
    for (const Token& token :
         encoded->tokens) {  // every byte belongs to one token, and the token is these bytes
      EXPECT_EQ(token.begin, at);
      EXPECT_EQ(token.text, text.substr(static_cast<size_t>(at), static_cast<size_t>(token.end - at)));
      at = token.end;
    }
    EXPECT_EQ(at, static_cast<int64_t>(text.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(All, TiktokenPattern, testing::Values("gpt-2", "cl100k", "qwen2", "o200k"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Tiktoken, OpensByContentAndByName) {
  for (const char* name : {"tokenizer.model", "anything.tiktoken"}) {
    const auto tokenizer = open_as(name);
    ASSERT_NE(tokenizer, nullptr);
    EXPECT_EQ(tokenizer->description(), std::string("byte-level BPE, 600 tokens, from ") + name);
    EXPECT_EQ(tokenizer->bos(), std::nullopt);
  }
}

TEST(Tiktoken, TakesSpecialTokensAndEndsFromTheConfiguration) {
  const auto tokenizer = open_as("tokenizer.model", R"({"bos_token": "<|begin|>", "add_bos_token": true,
      "added_tokens_decoder": {"600": {"content": "<|begin|>", "special": true},
                               "605": {"content": "<|user|>", "special": true}}})");
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->bos(), 600);
  EXPECT_THAT(tokenizer->encode("<|user|>", {})->ids(), ElementsAre(600, 605));
  EXPECT_GT(
      tokenizer->encode("<|user|>", {.add_special_tokens = false, .parse_special_tokens = false})->size(), 1);
  EXPECT_EQ(tokenizer->vocabulary_size(), 606);
}

TEST(Tiktoken, KnowsTheSpecialTokensOfPublishedFiles) {
  tokens::TokenizerConfig config;
  ASSERT_TRUE(tokens::read_tiktoken(small_file(), "qwen.tiktoken", config).ok());
  ASSERT_EQ(config.added.size(), 3U);
  EXPECT_EQ(config.added[1].content, "<|im_start|>");
  EXPECT_EQ(config.added[1].id, 151644);
  EXPECT_EQ(config.eos, "<|endoftext|>");
}

std::string error_of(const std::string& file) {
  tokens::TokenizerConfig config;
  const auto read = tokens::read_tiktoken(file, "x.tiktoken", config);
  return read.ok() ? "read" : read.error().to_string();
}

TEST(Tiktoken, NamesTheLineThatIsWrong) {
  EXPECT_EQ(error_of("YQ== 0\nYg== 1\r\nYWI= 2\n"), "read");
  EXPECT_THAT(error_of("YQ== 0\nYg= 1\n"),
              HasSubstr("line 2: expected \"base64 rank\", found what is not base64"));
  EXPECT_THAT(error_of("Y*== 0\n"), HasSubstr("what is not base64"));
  EXPECT_THAT(error_of("YQ=a 0\n"), HasSubstr("what is not base64"));
  EXPECT_THAT(error_of(" 0\n"), HasSubstr("what is not base64"));
  EXPECT_THAT(error_of("YQ==\n"), HasSubstr("no space"));
  EXPECT_THAT(error_of("YQ== x\n"), HasSubstr("a rank that is no number"));
  EXPECT_THAT(error_of("YQ== -1\n"), HasSubstr("a rank that is no number"));
  EXPECT_THAT(error_of("YQ== 1 2\n"), HasSubstr("a rank that is no number"));
  EXPECT_THAT(error_of("YQ== 99999999999999999999\n"), HasSubstr("a rank that is no number"));
  EXPECT_THAT(error_of("YQ== 4294967295\n"), HasSubstr("a rank above"));
  EXPECT_THAT(error_of("YQ== 1000000\n"), HasSubstr("the id 1000000"));
  EXPECT_THAT(error_of("YQ== 0\nYg== 0\n"), HasSubstr("gives the id 0 to both \"a\" and \"b\""));
  EXPECT_THAT(error_of("YQ== 0\nYQ== 1\n"), HasSubstr("lists \"a\" twice"));
  EXPECT_THAT(error_of("\n\n"), HasSubstr("no tokens"));
}

TEST(Tiktoken, ChangedBytesAreReadOrNamed) {
  std::mt19937 random(3);
  const std::string whole = small_file();
  size_t read = 0;
  for (int round = 0; round < 400; ++round) {
    std::string file = whole.substr(0, round % 4 == 0 ? random() % whole.size() : whole.size());
    if (!file.empty() && round % 4 != 0) file[random() % file.size()] = static_cast<char>(random());
    const TemporaryFolder folder;
    folder.write("x.tiktoken", file);
    const auto opened = open_tokenizer(folder.path());
    if (opened.ok()) {
      ++read;
      EXPECT_TRUE((*opened)->encode("The keeper \u6771", {}).ok());
    } else {
      EXPECT_THAT(opened.error().to_string(), HasSubstr("x.tiktoken"));
    }
  }
  EXPECT_GT(read, 5U);
}

TEST(Tiktoken, ATokenTooLongToBeJoinedIsRefused) {
  std::string line;
  for (int i = 0; i < 500; ++i) line += "YWFh";
  EXPECT_THAT(error_of("YQ== 0\n" + line + " 1\n"),
              HasSubstr("token 1 has 1500 bytes, at most 1024 are supported"));
}

TEST(WordPattern, AnUnknownNameIsNamed) {
  const auto found = tokens::find_word_pattern("klingon");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::unsupported);
  EXPECT_THAT(found.error().to_string(),
              HasSubstr("\"klingon\" to cut a text into words is not supported; known are"));
}

}  // namespace
}  // namespace saccade
