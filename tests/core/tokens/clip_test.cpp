// CLIP's tokenizer: a small one against what the `tokenizers` package recorded (tests/data/make_clip.py), the
// real one against published vectors, and packed files that are damaged or grow without end.
#include "core/tokens/clip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "core/tokens/gzip.h"
#include "core/tokens/unicode.h"
#include "tests/core/tokens/tokens_fixture.h"

namespace saccade {
namespace {

using namespace tokens_test;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path small() {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "clip";
}

// The record has whole characters.
std::pair<int64_t, int64_t> widened(const std::string& text, const Token& token) {
  size_t begin = static_cast<size_t>(token.begin);
  size_t end = static_cast<size_t>(token.end);
  while (begin < text.size() && tokens::is_continuation(text[begin])) --begin;
  while (end < text.size() && tokens::is_continuation(text[end])) ++end;
  return {begin, end};
}

TEST(Clip, GivesWhatThePackageGives) {
  const auto tokenizer = open_or_fail(small());
  ASSERT_NE(tokenizer, nullptr);
  const json expected = json::parse(read_file(small() / "expected.json"));
  for (size_t i = 0; i < expected["cases"].size(); ++i) {
    const std::string text = expected["texts"][i];
    const json& recorded = expected["cases"][i];
    SCOPED_TRACE("text " + std::to_string(i) + ": " + json(text).dump());
    const auto encoded = tokenizer->encode(text, {});
    ASSERT_TRUE(encoded.ok());
    ASSERT_EQ(encoded->ids(), recorded["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(*tokenizer->decode(encoded->ids()), recorded["decoded"]);
    for (size_t t = 1; t + 1 < encoded->tokens.size(); ++t) {
      EXPECT_EQ(widened(text, encoded->tokens[t]),
                (recorded["offsets"][t].get<std::pair<int64_t, int64_t>>()))
          << "token " << t;
    }
  }
}

TEST(Clip, PutsStartAndEndAroundTheText) {
  const auto tokenizer = open_or_fail(small());
  const auto encoded = tokenizer->encode("a", {});
  ASSERT_EQ(encoded->tokens.size(), 3U);
  EXPECT_EQ(encoded->tokens[0].text, "<|startoftext|>");
  EXPECT_TRUE(encoded->tokens[0].special);
  EXPECT_EQ(encoded->tokens[1].text, "a ");
  EXPECT_EQ(tokenizer->bos(), encoded->tokens[0].id);
  EXPECT_EQ(tokenizer->eos(), encoded->tokens[2].id);
  EXPECT_EQ(tokenizer->encode("a", {.add_special_tokens = false})->tokens.size(), 1U);
}

TEST(Clip, GivesThePublishedVectors) {
  const std::filesystem::path folder = foreign_data() / "tokenizers";
  const std::string name = "clip_bpe_simple_vocab_16e6.txt.gz";
  if (!std::filesystem::exists(folder / name)) GTEST_SKIP() << folder / name << " is not there";
  const TemporaryFolder own;
  own.write(name, read_file(folder / name));
  const auto tokenizer = open_or_fail(own.path());
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->description(), "CLIP's byte-level BPE, 49,408 tokens, from " + name);
  const json expected = json::parse(read_file(folder / "clip_expected.json"));
  EXPECT_EQ(expected["cases"].size(), 12U);
  for (const auto& [text, ids] : expected["cases"].items())
    EXPECT_EQ(tokenizer->encode(text, {})->ids(), ids.get<std::vector<int32_t>>()) << text;
  EXPECT_EQ(*tokenizer->decode(tokenizer->encode("A Photo of  a TREE!", {})->ids()), "a photo of a tree !");
  EXPECT_EQ(tokenizer->bos(), 49406);
  EXPECT_EQ(tokenizer->eos(), 49407);
}

std::string pack(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY),
            Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Gzip, UnpacksAndStopsAtTheLimit) {
  const std::string text(1'000'000, 'x');
  EXPECT_EQ(*tokens::unpack_gzip(pack(text), 1'000'000), text);
  EXPECT_EQ(*tokens::unpack_gzip(pack(""), 10), "");
  const auto bomb = tokens::unpack_gzip(pack(std::string(100'000'000, '\0')), 1'000'000);
  ASSERT_FALSE(bomb.ok());
  EXPECT_THAT(bomb.error().to_string(), HasSubstr("more than 1000000 bytes come out of the packed file"));
}

TEST(Gzip, DamagedFilesAreNamed) {
  const std::string packed =
      pack("some text that is long enough to be cut in the middle, and some more of it");
  for (size_t size = 0; size < packed.size(); ++size)
    EXPECT_FALSE(tokens::unpack_gzip(packed.substr(0, size), 1000).ok()) << size;
  for (size_t at = 10; at < packed.size(); ++at) {
    std::string damaged = packed;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    EXPECT_FALSE(tokens::unpack_gzip(damaged, 1000).ok()) << at;
  }
}

TEST(Clip, DamagedListsOfMergesAreNamed) {
  const auto error_of = [](const std::string& file) {
    const TemporaryFolder folder;
    folder.write("bpe_simple_vocab_16e6.txt.gz", file);
    const auto opened = open_tokenizer(folder.path());
    return opened.ok() ? std::string("opened") : opened.error().to_string();
  };
  EXPECT_EQ(error_of(pack("\"name#version: 0.2\na b\nab c</w>\n")), "opened");
  EXPECT_EQ(error_of("name#version: 0.2\na b\n"), "opened");  // not packed
  EXPECT_THAT(error_of(pack("#version\nab\n")), HasSubstr("line 2: expected two parts"));
  EXPECT_THAT(error_of(pack("#version\na b\na b\n")), HasSubstr("lists \"ab\" twice"));
  EXPECT_THAT(error_of(pack("#version\nx yz\n")), HasSubstr("\"yz\" is not in the vocabulary"));
  EXPECT_THAT(error_of(pack("#version\n\xFF b\n")), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(error_of(pack(std::string(80'000'000, 'a'))), HasSubstr("come out of the packed file"));
  EXPECT_THAT(error_of(pack("#version\na b\n").substr(0, 12)), HasSubstr("damaged"));
}

TEST(Clip, FilesWithoutItsEndsAreRefused) {
  const TemporaryFolder folder;
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  folder.write("merges.txt", "a b\n");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "CLIPTokenizer"})");
  EXPECT_THAT(open_tokenizer(folder.path()).error().to_string(),
              HasSubstr("needs the token <|startoftext|>"));
}

}  // namespace
}  // namespace saccade
