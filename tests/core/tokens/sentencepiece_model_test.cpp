// tokenizer.model files against what the sentencepiece package recorded (tests/data/make_sentencepiece.py),
// and damaged ones.
#include "core/tokens/sentencepiece_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/tokens/sentencepiece_proto.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using namespace tokens_test;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path models() {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "sentencepiece";
}

std::string model_file(const std::string& name) { return read_file(models() / (name + ".model")); }

const json& expected() {
  static const json loaded = json::parse(read_file(models() / "expected.json"));
  return loaded;
}

std::shared_ptr<const Tokenizer> open_with(const std::string& model, const std::string& config) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", model_file(model));
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  return open_or_fail(folder.path());
}

constexpr EncodeOptions plain_text{.add_special_tokens = false, .parse_special_tokens = false};

class SentencePieceModel : public testing::TestWithParam<std::string> {};

// The byte pieces of a character share its range in the record (all of it at the last byte); here each has
// its own byte.
void expect_offsets(const json& recorded, const TokenSequence& encoded, const Tokenizer& tokenizer) {
  for (size_t t = 0; t < encoded.tokens.size(); ++t) {
    const Token& token = encoded.tokens[t];
    const std::string piece = recorded["pieces"][t];
    if (piece.starts_with("<0x") && token.text.size() == 1) {
      EXPECT_EQ(token.end, token.begin + 1) << "token " << t;
      EXPECT_EQ(encoded.text.substr(static_cast<size_t>(token.begin), 1), tokenizer.token(token.id)->text);
      continue;
    }
    const auto range = recorded["offsets"][t].get<std::pair<int64_t, int64_t>>();
    EXPECT_EQ(std::pair(token.begin, token.end), range) << "token " << t << ": " << piece;
  }
}

TEST_P(SentencePieceModel, EncodesAndDecodesAsThePackageDoes) {
  const auto tokenizer = open_with(GetParam(), "");
  ASSERT_NE(tokenizer, nullptr);
  const json& cases = expected()["models"][GetParam()];
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string text = expected()["texts"][i];
    SCOPED_TRACE("text " + std::to_string(i) + ": " + json(text).dump());
    const auto encoded = tokenizer->encode(text, plain_text);
    ASSERT_TRUE(encoded.ok()) << encoded.error().to_string();
    const auto ids = cases[i]["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(encoded->ids(), ids) << cases[i]["pieces"];
    if (encoded->ids() != ids) continue;
    expect_offsets(cases[i], *encoded, *tokenizer);
    std::string decoded = cases[i]["decoded"];
    if (decoded.find("\u2047") != std::string::npos) continue;  // unknown pieces are special here
    EXPECT_EQ(*tokenizer->decode(ids, false), decoded);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SentencePieceModel, testing::Values("unigram", "bpe", "plain"),
                         [](const auto& info) { return info.param; });

TEST(SentencePieceTokenizer, PutsTheBeginningTokenWhereTheConfigurationDoesNotSayOtherwise) {
  const auto ids = [](const std::string& model, const std::string& config) {
    return open_with(model, config)->encode("a", {})->ids();
  };
  EXPECT_THAT(ids("unigram", ""), ElementsAre(1, 11));
  EXPECT_THAT(ids("unigram", R"({"tokenizer_class": "LlamaTokenizer"})"), ElementsAre(1, 11));
  EXPECT_THAT(ids("unigram", R"({"add_bos_token": false, "add_eos_token": true})"), ElementsAre(11, 2));
  EXPECT_THAT(ids("unigram", R"({"tokenizer_class": "T5Tokenizer"})"), ElementsAre(11, 2));
  EXPECT_EQ(open_with("plain", "")->bos(), std::nullopt);
  EXPECT_EQ(open_with("plain", "")->encode("a", {})->tokens.size(), 1U);

  const TemporaryFolder folder;
  folder.write("tokenizer.model", model_file("plain"));
  folder.write("tokenizer_config.json", R"({"add_bos_token": true})");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(),
              HasSubstr("add_bos_token is true, but no bos_token of the model is named"));
}

TEST(SentencePieceTokenizer, ParsesSpecialTokensOnlyWhereAsked) {
  const auto tokenizer = open_with("bpe", "");
  const auto parsed =
      tokenizer->encode("<s>a</s>b", {.add_special_tokens = false, .parse_special_tokens = true});
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->tokens.size(), 4U);
  EXPECT_EQ(parsed->tokens[0].id, tokenizer->bos());
  EXPECT_TRUE(parsed->tokens[0].special);
  EXPECT_EQ(parsed->tokens[1].text, " a");
  EXPECT_EQ(parsed->tokens[1].begin, 3);
  EXPECT_EQ(parsed->tokens[2].id, tokenizer->eos());
  EXPECT_EQ(parsed->tokens[2].begin, 4);
  EXPECT_EQ(parsed->tokens[2].end, 8);
  EXPECT_EQ(parsed->tokens[3].text, " b");
  const auto letters = tokenizer->encode("<s>a</s>b", plain_text);
  for (const Token& token : letters->tokens) EXPECT_FALSE(token.special);
  EXPECT_EQ(*tokenizer->decode(letters->ids()), "<s>a</s>b");
  EXPECT_EQ(*tokenizer->decode(parsed->ids(), false), "<s> a</s> b");
  EXPECT_EQ(*tokenizer->decode(parsed->ids(), true), "a b");
}

TEST(SentencePieceTokenizer, PutsNoSpaceAfterSpecialTokensUnlessTheConfigurationIsLegacy) {
  const auto text = [](const std::string& config) {
    const auto tokenizer = open_with("bpe", config);
    return tokenizer->encode("a<s>a", {.add_special_tokens = false})->tokens[2].text;
  };
  EXPECT_EQ(text(R"({"legacy": true})"), " a");
  EXPECT_EQ(text(R"({"legacy": false})"), "a");
}

TEST(SentencePieceTokenizer, KnowsTheTokensThatTheConfigurationAdds) {
  const auto tokenizer = open_with("bpe", R"({"added_tokens_decoder": {
      "480": {"content": "<|user|>", "special": true}, "482": {"content": "<tool>", "special": false}}})");
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocabulary_size(), 483);
  const auto encoded = tokenizer->encode("<|user|><tool>", {.add_special_tokens = false});
  EXPECT_THAT(encoded->ids(), ElementsAre(480, 482));
  EXPECT_EQ(*tokenizer->decode(encoded->ids()), "<tool>");
  EXPECT_EQ(tokenizer->token(481).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{483}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{-1}).error().code, ErrorCode::invalid_argument);
}

TEST(SentencePieceTokenizer, ByteTokensStandForTheirBytes) {
  const auto tokenizer = open_with("bpe", "");
  const auto encoded = tokenizer->encode("\u6771", plain_text);
  ASSERT_EQ(encoded->tokens.size(), 4U);
  EXPECT_EQ(encoded->tokens[1].text, "\xE6");
  EXPECT_EQ(encoded->tokens[3].text, "\xB1");
  EXPECT_EQ(tokenizer->description(),
            "SentencePiece BPE with byte fallback, 480 tokens, from tokenizer.model");
  EXPECT_EQ(tokenizer->encode("\xE6", {}).error().code, ErrorCode::invalid_argument);
}

// Opens what may be damaged, and where it opens, uses it: an error or a result, never a crash.
bool survives(const std::string& file) {
  const auto opened = tokens::open_sentencepiece(file, {}, "tokenizer.model");
  if (!opened.ok()) {
    EXPECT_FALSE(opened.error().message.empty());
    return false;
  }
  const auto encoded = (*opened)->encode("The ke\u0301eper \ufb01nds 12 [KEEP] \u6771 A\u030a\u00a0.", {});
  if (encoded.ok()) {
    EXPECT_TRUE((*opened)->decode(encoded->ids(), false).ok());
    for (const Token& token : encoded->tokens) {
      EXPECT_LE(token.begin, token.end);
      EXPECT_LE(token.end, static_cast<int64_t>(encoded->text.size()));
    }
  }
  return true;
}

TEST(DamagedSentencePieceModel, CutShortAnywhereIsAnErrorOrASmallerModel) {
  for (const char* name : {"unigram", "bpe", "plain"}) {
    const std::string whole = model_file(name);
    for (size_t size = 0; size < whole.size(); size += size < 600 ? 1 : 37) survives(whole.substr(0, size));
    EXPECT_FALSE(survives(whole.substr(0, whole.size() - 1)));
  }
}

TEST(DamagedSentencePieceModel, ChangedBytesDoNotCrash) {
  std::mt19937 random(1);
  size_t opened = 0;
  for (const char* name : {"unigram", "bpe", "plain"}) {
    const std::string whole = model_file(name);
    for (int round = 0; round < 1500; ++round) {
      std::string file = whole;
      for (int changes = 1 + round % 3; changes > 0; --changes)
        file[random() % file.size()] = static_cast<char>(random());
      opened += survives(file) ? 1 : 0;
    }
  }
  EXPECT_GT(opened, 100U);
}

TEST(DamagedSentencePieceModel, RandomBytesAreNamedAsNoModel) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    std::string file(static_cast<size_t>(round * 7 + 1), '\0');
    for (char& byte : file) byte = static_cast<char>(random());
    EXPECT_FALSE(survives(file));
  }
  const TemporaryFolder folder;
  folder.write("tokenizer.model", "x");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(), HasSubstr("this is no SentencePiece model"));
}

// A message of a protocol buffer by hand.
std::string field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
}
std::string piece(const std::string& text, int type) {
  return field(1, field(1, text) + "\x15" + std::string(4, '\0') + "\x18" + static_cast<char>(type));
}
std::string open_error(const std::string& file) {
  const auto opened = tokens::open_sentencepiece(file, {}, "tokenizer.model");
  return opened.ok() ? "opened" : opened.error().to_string();
}

TEST(DamagedSentencePieceModel, PiecesThatCannotBeAreNamed) {
  const std::string unknown = piece("<unk>", 2);
  EXPECT_EQ(open_error(unknown + piece("a", 1)), "opened");
  EXPECT_THAT(open_error(piece("a", 1)), HasSubstr("0 pieces for what is unknown, expected one"));
  EXPECT_THAT(open_error(unknown + piece("", 1)), HasSubstr("piece 1: it has no text"));
  EXPECT_THAT(open_error(unknown + piece(std::string("a\0", 2), 1)), HasSubstr("a zero byte"));
  EXPECT_THAT(open_error(unknown + piece("\xFF", 1)), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(open_error(unknown + piece("<0xZZ>", 6)), HasSubstr("expected the form <0x0A>"));
  EXPECT_THAT(open_error(unknown + piece("a", 9)), HasSubstr("a type of piece, 1 to 6"));
  EXPECT_NE(open_error(unknown + piece("a", 1) + piece("a", 1)), "opened");
  const std::string not_finite = field(1, field(1, "a") + "\x15" + std::string("\x00\x00\xC0\x7F", 4));
  EXPECT_THAT(open_error(unknown + not_finite), HasSubstr("its score is no finite number"));
  std::string nested = unknown;
  for (size_t length = 1; length < 90; ++length) nested += piece(std::string(length, 'a'), 4);
  EXPECT_THAT(open_error(nested), HasSubstr("89 user-defined pieces that begin alike"));
}

TEST(CharacterTable, WaysOutOfItAreFound) {
  const auto table = [](std::vector<uint32_t> units, const std::string& strings) {
    const auto bytes = static_cast<uint32_t>(units.size() * 4);
    std::string out(reinterpret_cast<const char*>(&bytes), 4);
    out.append(reinterpret_cast<const char*>(units.data()), bytes);
    return tokens::check_character_table(out + strings);
  };
  // Two blocks: the start leads to the second, where no label fits yet.
  std::vector<uint32_t> units(512, 0x80000000U);
  units[0] = 256U << 10;
  const std::string strings("A\0", 2);
  EXPECT_TRUE(table(units, strings).ok());
  EXPECT_THAT(table(units, "A").error().to_string(), HasSubstr("its strings have no end"));
  EXPECT_THAT(table({}, strings).error().to_string(), HasSubstr("it is empty"));
  units[0] = 512U << 10;
  EXPECT_THAT(table(units, strings).error().to_string(), HasSubstr("a way leads out of it"));
  units[0] = 256U << 10;
  units[256 + 'a'] =
      'a' | (('a' ^ 'b') << 10) | 1U << 8;  // "a" leads to place 'b', where a replacement is named
  units[256 + 'b'] = 0x80000000U | 7;
  EXPECT_THAT(table(units, strings).error().to_string(), HasSubstr("a replacement lies outside it"));
  units[256 + 'b'] = 0x80000000U | 1;
  EXPECT_TRUE(table(units, strings).ok());
  EXPECT_THAT(table(units, std::string("\u00e9\0", 3)).error().to_string(), HasSubstr("inside a character"));
  units[256 + 'a'] = 'a' | uint32_t{'a'} << 10;  // "a" leads back to where it was found
  EXPECT_THAT(table(units, strings).error().to_string(), HasSubstr("it leads back into itself"));
  EXPECT_THAT(tokens::check_character_table("abc").error().to_string(), HasSubstr("it has no size"));
}

}  // namespace
}  // namespace saccade
