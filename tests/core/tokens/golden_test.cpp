// Every fixture tokenizer against what the `tokenizers` package recorded
// (tests/data/make_tokens_expected.py): ids, offsets and decoded text of the same texts.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/tokens/unicode.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using nlohmann::json;
using namespace tokens_test;

const json& expected() {
  static const json loaded = json::parse(
      read_file(std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "tokens_expected.json"));
  return loaded;
}

// The record counts characters, and a part of a character there is the whole one: our bytes, widened to
// characters.
std::pair<int64_t, int64_t> in_characters(const std::string& text, int64_t begin, int64_t end) {
  const auto inside = [&](int64_t at) {
    return at < static_cast<int64_t>(text.size()) && tokens::is_continuation(text[static_cast<size_t>(at)]);
  };
  if (begin < end) {
    while (inside(begin)) --begin;
    while (inside(end)) ++end;
  }
  const auto count = [&](int64_t at) {
    return static_cast<int64_t>(
        tokens::count_characters(std::string_view(text).substr(0, static_cast<size_t>(at))));
  };
  return {count(begin), count(end)};
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string name = GetParam();
    std::filesystem::path folder = fixtures() / name;
    if (name.starts_with("data:")) {
      folder = foreign_data() / name.substr(5);
      if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
    }
    tokenizer_ = open_or_fail(folder);
    ASSERT_NE(tokenizer_, nullptr);
    cases_ = expected()["tokenizers"][name == "byte_level_files" ? "byte_level" : name];
    texts_ = expected()["texts"].get<std::vector<std::string>>();
    ASSERT_EQ(cases_.size(), texts_.size());
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  json cases_;
  std::vector<std::string> texts_;
};

TEST_P(Golden, EncodesToTheRecordedIdsAndOffsets) {
  for (size_t i = 0; i < texts_.size(); ++i) {
    SCOPED_TRACE("text " + std::to_string(i) + ": " + json(texts_[i]).dump());
    const auto encoded = tokenizer_->encode(texts_[i], {});
    ASSERT_TRUE(encoded.ok()) << encoded.error().to_string();
    EXPECT_EQ(encoded->text, texts_[i]);
    EXPECT_EQ(encoded->ids(), cases_[i]["ids"].get<std::vector<int32_t>>()) << cases_[i]["tokens"];
    if (encoded->ids() != cases_[i]["ids"].get<std::vector<int32_t>>()) continue;
    for (size_t t = 0; t < encoded->tokens.size(); ++t) {
      const Token& token = encoded->tokens[t];
      const auto recorded = cases_[i]["offsets"][t].get<std::pair<int64_t, int64_t>>();
      if (recorded.first == recorded.second) {
        EXPECT_EQ(token.begin, token.end) << "token " << t;
        continue;
      }
      EXPECT_EQ(in_characters(texts_[i], token.begin, token.end), recorded)
          << "token " << t << ": " << cases_[i]["tokens"][t];
    }
  }
}

TEST_P(Golden, DecodesToTheRecordedText) {
  for (size_t i = 0; i < texts_.size(); ++i) {
    SCOPED_TRACE("text " + std::to_string(i) + ": " + json(texts_[i]).dump());
    const auto ids = cases_[i]["ids"].get<std::vector<int32_t>>();
    const auto skipped = tokenizer_->decode(ids);
    ASSERT_TRUE(skipped.ok()) << skipped.error().to_string();
    EXPECT_EQ(*skipped, cases_[i]["decoded"].get<std::string>());
    const auto all = tokenizer_->decode(ids, false);
    ASSERT_TRUE(all.ok()) << all.error().to_string();
    EXPECT_EQ(*all, cases_[i]["decoded_all"].get<std::string>());
  }
}

std::vector<std::string> names() {
  std::vector<std::string> found{"byte_level_files"};
  for (const auto& [name, cases] : expected()["tokenizers"].items()) found.push_back(name);
  return found;
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Golden, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

}  // namespace
}  // namespace saccade
