#include "core/tokens/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/tokens/special_tokens.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using nlohmann::json;
using namespace tokens_test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// The smallest tokenizer.json: letters a, b, c, "ab", "abc".
json small() {
  return json::parse(
      R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
    "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}, "merges": ["a b", "ab c"]}})");
}

std::string error_of(const std::string& tokenizer_json) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer_json);
  const auto opened = open_tokenizer(folder.path());
  if (opened.ok()) return "opened";
  std::string message = opened.error().to_string();
  EXPECT_THAT(message, HasSubstr("tokenizer.json"));
  return message;
}

std::string error_of(const json& tokenizer_json) { return error_of(tokenizer_json.dump()); }

std::vector<int32_t> ids_of(const json& tokenizer_json, const std::string& text) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer_json.dump());
  const auto tokenizer = open_or_fail(folder.path());
  if (!tokenizer) return {};
  auto encoded = tokenizer->encode(text, {});
  if (!encoded.ok()) {
    ADD_FAILURE() << encoded.error().to_string();
    return {};
  }
  return encoded->ids();
}

TEST(TokenizerFiles, ReadsMergesAsTextAndAsPairs) {
  EXPECT_THAT(ids_of(small(), "abcab"), ElementsAre(4, 3));
  json pairs = small();
  pairs["model"]["merges"] = json::parse(R"([["a", "b"], ["ab", "c"]])");
  EXPECT_THAT(ids_of(pairs, "abcab"), ElementsAre(4, 3));
}

TEST(TokenizerFiles, TakesAModelWithMergesAndNoTypeForBpe) {
  json old = small();
  old["model"].erase("type");
  EXPECT_THAT(ids_of(old, "abc"), ElementsAre(4));
}

TEST(TokenizerFiles, NamesTheStageAndTypeItDoesNotSupport) {
  const auto with = [](const char* stage, const char* value) {
    json changed = small();
    changed[stage] = json::parse(value);
    return error_of(changed);
  };
  EXPECT_THAT(with("normalizer", R"({"type": "Telepathy"})"),
              HasSubstr("normalizer: the normalizer \"Telepathy\" is not supported"));
  EXPECT_THAT(
      with("normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Odd"}]})"),
      HasSubstr("normalizer.normalizers[1]: the normalizer \"Odd\" is not supported"));
  EXPECT_THAT(with("pre_tokenizer", R"({"type": "Telepathy"})"),
              HasSubstr("the pre-tokenizer \"Telepathy\""));
  EXPECT_THAT(with("post_processor", R"({"type": "Telepathy"})"),
              HasSubstr("the post-processor \"Telepathy\""));
  EXPECT_THAT(with("decoder", R"({"type": "Telepathy"})"), HasSubstr("the decoder \"Telepathy\""));
  EXPECT_THAT(with("model", R"({"type": "Telepathy"})"), HasSubstr("the model \"Telepathy\""));
}

TEST(TokenizerFiles, NamesTheMemberThatIsWrong) {
  json changed = small();
  changed["normalizer"] = json::parse(R"({"type": "Prepend", "prepend": 3})");
  EXPECT_THAT(error_of(changed), HasSubstr("normalizer.prepend: expected text, found 3"));
  changed = small();
  changed["pre_tokenizer"] =
      json::parse(R"({"type": "Split", "pattern": {"String": " "}, "behavior": "Vanish"})");
  EXPECT_THAT(error_of(changed), HasSubstr("pre_tokenizer.behavior: expected Removed, Isolated"));
  changed = small();
  changed["normalizer"] = "NFC";
  EXPECT_THAT(error_of(changed), HasSubstr("normalizer: expected an object with a \"type\", found \"NFC\""));
  changed = small();
  changed["model"]["vocab"]["a"] = "zero";
  EXPECT_THAT(error_of(changed), HasSubstr("vocab[\"a\"]: expected a whole number, found \"zero\""));
  changed = small();
  changed["model"].erase("merges");
  EXPECT_THAT(error_of(changed), HasSubstr("model.merges: expected an array, found nothing"));
}

TEST(TokenizerFiles, RefusesTextThatIsNoJson) {
  EXPECT_THAT(error_of(std::string("{\"model\": ")), HasSubstr("not valid JSON: it goes wrong at byte"));
  EXPECT_THAT(error_of(std::string("")), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(std::string("{\"a\": \"\xFF\"}")), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(std::string("[1, 2]")), HasSubstr("expected an object, found an array of 2"));
}

TEST(TokenizerFiles, RefusesDeepJson) {
  EXPECT_THAT(error_of(std::string(1'000'000, '[')), HasSubstr("nested deeper than 64 levels at byte 64"));
  std::string nested = R"({"type": "NFC"})";
  for (int i = 0; i < 100; ++i) nested = R"({"type": "Sequence", "normalizers": [)" + nested + "]}";
  EXPECT_THAT(error_of(R"({"normalizer": )" + nested + "}"), HasSubstr("nested deeper"));
}

TEST(TokenizerFiles, RefusesMergesThatCannotBe) {
  const auto with = [](const char* merges) {
    json changed = small();
    changed["model"]["merges"] = json::parse(merges);
    return error_of(changed);
  };
  EXPECT_THAT(with(R"(["a b", "a z"])"),
              HasSubstr("merge 1 (\"a\" + \"z\"): \"z\" is not in the vocabulary"));
  EXPECT_THAT(with(R"(["b c"])"), HasSubstr("merge 0 (\"b\" + \"c\"): \"bc\" is not in the vocabulary"));
  EXPECT_THAT(with(R"([["", "a"]])"),
              HasSubstr("merge 0 (\"\" + \"a\"): a part is empty"));  // would never end
  EXPECT_THAT(with(R"(["ab"])"),
              HasSubstr("merges[0]: expected two parts with one space between, found \"ab\""));
  EXPECT_THAT(with(R"(["a b c"])"), HasSubstr("expected two parts"));
  EXPECT_THAT(with(R"([["a"]])"), HasSubstr("merges[0]: expected \"a b\" or [\"a\", \"b\"]"));
}

// Every merge makes a longer token, so rules that feed each other in a circle end with the word.
TEST(TokenizerFiles, MergesThatFeedEachOtherEndWithTheWord) {
  json circle = small();
  circle["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"ba", 3}, {"aba", 4}, {"bab", 5}, {"abab", 6}};
  circle["model"]["merges"] = {"ab ab", "ba b", "ab a", "b a", "a b"};
  EXPECT_THAT(ids_of(circle, "abab"), ElementsAre(0, 5));
  const std::vector<int32_t> ids = ids_of(circle, std::string(100'000, 'a') + std::string(100'000, 'b'));
  EXPECT_EQ(ids.size(), 199'999u);
}

TEST(TokenizerFiles, EnormousMergesAreReadInTimeAndNamedInAShortMessage) {
  json doubling = small();
  std::string token = "a";
  for (int32_t id = 5; id < 21; ++id) {  // up to 65,536 letters
    doubling["model"]["merges"].push_back(json::array({token, token}));
    token += token;
    doubling["model"]["vocab"][token] = id;
  }
  EXPECT_THAT(ids_of(doubling, token + token + "a"), ElementsAre(20, 20, 0));
  json long_part = small();
  long_part["model"]["merges"] = json::array({json::array({"a", std::string(8'000'000, 'z')})});
  const std::string refused = error_of(long_part);
  EXPECT_THAT(refused, HasSubstr("is not in the vocabulary"));
  EXPECT_LT(refused.size(), 2000u);
  json many = small();
  many["model"]["merges"] = std::vector<std::string>(500'000, "a b");
  EXPECT_THAT(ids_of(many, "abc"), ElementsAre(3, 2));  // the last listing of a pair counts
}

TEST(TokenizerFiles, RefusesAMergeWithOnlyTheSubwordPrefix) {
  json changed = small();
  changed["model"]["continuing_subword_prefix"] = "b";
  EXPECT_THAT(error_of(changed), HasSubstr("the right part is only the subword prefix"));
}

TEST(TokenizerFiles, RefusesLyingIds) {
  json changed = small();
  changed["model"]["vocab"]["a"] = 2'000'000'000;
  EXPECT_THAT(error_of(changed), HasSubstr("gives \"a\" the id 2000000000, expected one from 0"));
  changed["model"]["vocab"]["a"] = -4;
  EXPECT_THAT(error_of(changed), HasSubstr("gives \"a\" the id -4"));
  changed["model"]["vocab"]["a"] = 1;
  EXPECT_THAT(error_of(changed), HasSubstr("gives the id 1 to both \"a\" and \"b\""));
  changed["model"]["vocab"]["a"] = 18446744073709551615U;
  EXPECT_THAT(error_of(changed), HasSubstr("expected a whole number below 2^63"));
}

TEST(TokenizerFiles, RefusesAddedTokensThatContradictTheVocabulary) {
  json changed = small();
  changed["added_tokens"] = json::parse(R"([{"id": 1, "content": "<s>", "special": true}])");
  EXPECT_THAT(error_of(changed), HasSubstr("\"<s>\" has the id 1, which the vocabulary gives to \"b\""));
  changed["added_tokens"] = json::parse(R"([{"id": 7, "content": "<s>"}, {"id": 7, "content": "</s>"}])");
  EXPECT_THAT(error_of(changed), HasSubstr("\"<s>\" and \"</s>\" both have the id 7"));
  changed["added_tokens"] = json::parse(R"([{"id": 2000000000, "content": "<s>"}])");
  EXPECT_THAT(error_of(changed), HasSubstr("far beyond the 5 tokens"));
  changed["added_tokens"] = json::array({{{"id", 9}, {"content", std::string(5000, 'x')}}});
  EXPECT_THAT(error_of(changed), HasSubstr("has 5000 bytes, at most 1024"));
}

TEST(TokenizerFiles, RefusesAnUnknownTokenThatTheVocabularyLacks) {
  json changed = small();
  changed["model"]["unk_token"] = "<unk>";
  EXPECT_THAT(error_of(changed), HasSubstr("the unknown token \"<unk>\" is not in the vocabulary"));
}

TEST(TokenizerFiles, RefusesMergingAtRandom) {
  json changed = small();
  changed["model"]["dropout"] = 0.1;
  EXPECT_THAT(error_of(changed),
              HasSubstr("model.dropout: merging at random (dropout 0.1) is not supported"));
  changed["model"]["dropout"] = 0.0;
  EXPECT_EQ(error_of(changed), "opened");
}

TEST(TokenizerFiles, RefusesATemplateWhoseTokensDoNotExist) {
  json changed = small();
  changed["post_processor"] = json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [99], "tokens": ["<s>"]}}})");
  EXPECT_THAT(error_of(changed), HasSubstr("token id 99 is not in the vocabulary"));
  changed["post_processor"]["special_tokens"] = json::object();
  EXPECT_THAT(error_of(changed), HasSubstr("special_tokens.<s>.ids: expected an array"));
  changed["post_processor"]["single"] = json::array();
  EXPECT_THAT(error_of(changed), HasSubstr("holds the text 0 times"));
}

TEST(TokenizerFiles, RefusesAnExpressionThatCannotBeCompiled) {
  json changed = small();
  changed["pre_tokenizer"] = json::parse(
      R"({"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated", "invert": false})");
  EXPECT_THAT(error_of(changed),
              AllOf(HasSubstr("pre_tokenizer.pattern"), HasSubstr("(a cannot be compiled")));
}

TEST(TokenizerFiles, AHostileExpressionEndsInAnErrorNotInAHang) {
  json changed = small();
  changed["pre_tokenizer"] = json::parse(
      R"({"type": "Split", "pattern": {"Regex": "(a+a+)+[bd]"}, "behavior": "Isolated", "invert": false})");
  const TemporaryFolder folder;
  folder.write("tokenizer.json", changed.dump());
  const auto tokenizer = open_or_fail(folder.path());
  ASSERT_NE(tokenizer, nullptr);
  const auto encoded = tokenizer->encode(std::string(5000, 'a') + "c", {});
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(encoded.error().to_string(), HasSubstr("was given up at byte 0"));
}

TEST(TokenizerFiles, AFolderWithoutFilesSaysWhatWasLookedFor) {
  const TemporaryFolder folder;
  const auto opened = open_tokenizer(folder.path());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  EXPECT_THAT(opened.error().to_string(), HasSubstr("expected tokenizer.json, or vocab.json and merges.txt"));
  folder.write("tokenizer.model", "x");
  EXPECT_EQ(open_tokenizer(folder.path()).error().code, ErrorCode::bad_format);
}

// GPT-2's two files, small.
void write_two_files(const TemporaryFolder& folder, const std::string& config) {
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<|endoftext|>": 4, "<start>": 5})");
  folder.write("merges.txt", "#version: 0.2\na b\n");
  if (!config.empty()) folder.write("tokenizer_config.json", config);
}

std::vector<int32_t> ids_with_config(const std::string& config) {
  const TemporaryFolder folder;
  write_two_files(folder, config);
  const auto tokenizer = open_or_fail(folder.path());
  return tokenizer ? tokenizer->encode("ab a", {})->ids() : std::vector<int32_t>{};
}

TEST(TokenizerFiles, TwoFilesAddABeginningOnlyWhereTheConfigSaysSo) {
  EXPECT_THAT(ids_with_config(""), ElementsAre(2, 3, 0));
  EXPECT_THAT(ids_with_config(R"({"bos_token": "<start>"})"), ElementsAre(2, 3, 0));
  EXPECT_THAT(ids_with_config(R"({"bos_token": "<start>", "add_bos_token": true})"), ElementsAre(5, 2, 3, 0));
  EXPECT_THAT(
      ids_with_config(R"({"bos_token": {"content": "<start>", "lstrip": false}, "add_bos_token": true})"),
      ElementsAre(5, 2, 3, 0));
  EXPECT_THAT(ids_with_config(R"({"add_bos_token": true})"), ElementsAre(4, 2, 3, 0));
  EXPECT_THAT(ids_with_config(R"({"add_prefix_space": true})"), ElementsAre(3, 2, 3, 0));
}

TEST(TokenizerFiles, TwoFilesKnowTheirEndTokenWithoutAnyConfig) {
  const TemporaryFolder folder;
  write_two_files(folder, "");
  const auto tokenizer = open_or_fail(folder.path());
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->bos(), 4);
  EXPECT_EQ(tokenizer->eos(), 4);
  const auto encoded = tokenizer->encode("a<|endoftext|>", {});
  EXPECT_THAT(encoded->ids(), ElementsAre(0, 4));
  EXPECT_TRUE(encoded->tokens[1].special);
}

TEST(TokenizerFiles, ReadsTheSpecialTokensMapAndAddedTokens) {
  const TemporaryFolder folder;
  write_two_files(folder, "");
  folder.write("special_tokens_map.json",
               R"({"bos_token": "<start>", "eos_token": {"content": "<|endoftext|>"},
    "additional_special_tokens": ["<x>"]})");
  folder.write("added_tokens.json", R"({"<x>": 6})");
  const auto tokenizer = open_or_fail(folder.path());
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->bos(), 5);
  EXPECT_EQ(tokenizer->eos(), 4);
  EXPECT_EQ(tokenizer->vocabulary_size(), 7);
  EXPECT_THAT(tokenizer->encode("a<x>b", {})->ids(), ElementsAre(0, 6, 1));
}

TEST(SpecialTokens, AreListedWithTheEndsFirstAndCountedWhenThereAreMany) {
  json many = small();
  for (int32_t id = 5; id < 20; ++id)
    many["added_tokens"].push_back(
        {{"id", id}, {"content", "<" + std::to_string(id) + ">"}, {"special", id > 5}});
  const TemporaryFolder folder;
  folder.write("tokenizer.json", many.dump());
  folder.write("tokenizer_config.json", R"({"bos_token": "<9>", "eos_token": "<7>"})");
  const auto tokenizer = open_or_fail(folder.path());
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(special_tokens(*tokenizer).size(), 14u);
  EXPECT_EQ(
      special_tokens_text(*tokenizer),
      "BOS <9> (9), EOS <7> (7), <6> (6), <8> (8), <10> (10), <11> (11), <12> (12), <13> (13), <14> (14), "
      "<15> (15) and 4 more");
  EXPECT_EQ(special_tokens_text(*make_id_tokenizer(10)), "");
}

TEST(TokenizerFiles, ConfigErrorsNameTheFile) {
  const TemporaryFolder folder;
  write_two_files(folder, R"({"add_bos_token": "yes"})");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("add_bos_token: expected true or false")));
  folder.write("tokenizer_config.json", R"({"bos_token": 5})");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(),
              HasSubstr("bos_token: expected text or an object"));
  folder.write("tokenizer_config.json", R"({"bos_token": "<nowhere>", "added_tokens_decoder": {"x": {}}})");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(), HasSubstr("\"x\" is no token id"));
  folder.write("tokenizer_config.json", "{");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(), HasSubstr("tokenizer_config.json"));
}

TEST(TokenizerFiles, MergesFileErrorsNameTheLine) {
  const TemporaryFolder folder;
  write_two_files(folder, "");
  folder.write("merges.txt", "#version: 0.2\na b\nnonsense\n");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(), HasSubstr("merges.txt, line 3"));
}

TEST(TokenizerFiles, ATemplateDecidesAndTheLlamaClassFillsInWhereThereIsNone) {
  json described = small();
  described["added_tokens"] = json::parse(R"([{"id": 5, "content": "<s>", "special": true}])");
  const auto ids = [&](const std::string& config) {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", described.dump());
    folder.write("tokenizer_config.json", config);
    const auto tokenizer = open_or_fail(folder.path());
    return tokenizer ? tokenizer->encode("abc", {})->ids() : std::vector<int32_t>{};
  };
  const std::string llama =
      R"({"bos_token": "<s>", "add_bos_token": true, "tokenizer_class": "LlamaTokenizer"})";
  EXPECT_THAT(ids(llama), ElementsAre(5, 4));
  EXPECT_THAT(ids(R"({"bos_token": "<s>", "add_bos_token": false, "tokenizer_class": "LlamaTokenizer"})"),
              ElementsAre(4));
  EXPECT_THAT(
      ids(R"({"bos_token": "<s>", "add_bos_token": true, "tokenizer_class": "PreTrainedTokenizerFast"})"),
      ElementsAre(4));
  described["post_processor"] = json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}})");
  EXPECT_THAT(ids(llama), ElementsAre(5, 4));  // once, not twice
  EXPECT_THAT(ids("{}"), ElementsAre(5, 4));
}

}  // namespace
}  // namespace saccade
