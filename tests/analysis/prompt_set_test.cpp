#include "analysis/prompts/prompt_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/files.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const Model& demo() {
  static const auto model = Model::open("demo:induction").value();
  return *model;
}

struct File {
  File(const char* name, const std::string& text) : path(fs::temp_directory_path() / name) {
    std::ofstream(path) << text;
  }
  ~File() { fs::remove(path); }
  fs::path path;
};

std::string refusal(const char* name, const std::string& text) {
  const File file(name, text);
  const auto set = read_prompt_set(file.path, demo());
  return set.ok() ? "accepted" : set.error().to_string();
}

TEST(PromptSet, presets_draw_different_pairs_of_one_length_and_the_same_again_with_the_same_seed) {
  for (const char* name : {"repeat", "ioi"}) {
    const auto set = preset(name, demo(), 6, 3), again = preset(name, demo(), 6, 3),
               other = preset(name, demo(), 6, 4);
    ASSERT_TRUE(set.ok()) << set.error().to_string();
    ASSERT_EQ(set->pairs.size(), 6U);
    EXPECT_TRUE(set->aligned().ok());
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(set->pairs[i].clean.ids(), again->pairs[i].clean.ids());
      EXPECT_NE(set->pairs[i].clean.ids(), set->pairs[i].corrupt.ids());
      EXPECT_NE(set->pairs[i].right, set->pairs[i].wrong);
    }
    EXPECT_NE(set->pairs[0].clean.ids(), other->pairs[0].clean.ids());
  }
}

TEST(PromptSet, ioi_roles_point_at_the_names) {
  const auto set = preset("ioi", demo(), 8, 1);
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  for (const PromptPair& pair : set->pairs) {
    const auto id = [&](const TokenSequence& tokens, int32_t at) {
      return tokens.tokens[static_cast<size_t>(at)].id;
    };
    EXPECT_EQ(id(pair.clean, pair.clean_roles.at("io")), pair.right[0]);
    EXPECT_EQ(id(pair.clean, pair.clean_roles.at("s2")), pair.wrong[0]);
    EXPECT_EQ(id(pair.corrupt, pair.corrupt_roles.at("s2")), pair.right[0])
        << "the receiver gives in the corrupted one";
  }
}

TEST(PromptSet, a_preset_that_the_vocabulary_cannot_say_names_words) {
  const auto set = preset("greater-than", demo(), 2, 1);
  ASSERT_FALSE(set.ok());
  EXPECT_THAT(set.error().to_string(), HasSubstr("single tokens"));
}

TEST(PromptSet, json_and_csv_say_the_same) {
  const File json("saccade_pairs.json", R"([{"clean": "The cat sat. The", "corrupt": "The dog sat. The",
    "right": " cat", "wrong": [" dog"], "roles": {"who": "cat"}}])");
  const File csv("saccade_pairs.csv",
                 "clean,corrupt,right,wrong\n\"The cat sat. The\",The dog sat. The, cat, dog\n");
  const auto a = read_prompt_set(json.path, demo()), b = read_prompt_set(csv.path, demo());
  ASSERT_TRUE(a.ok() && b.ok()) << (a.ok() ? b.error().to_string() : a.error().to_string());
  EXPECT_EQ(a->pairs[0].clean.ids(), b->pairs[0].clean.ids());
  EXPECT_EQ(a->pairs[0].right, b->pairs[0].right);
  EXPECT_EQ(a->pairs[0].wrong, b->pairs[0].wrong);
  const auto who = static_cast<size_t>(a->pairs[0].clean_roles.at("who"));
  EXPECT_EQ(a->pairs[0].clean.tokens[who].text, " cat");
  EXPECT_FALSE(a->pairs[0].corrupt_roles.contains("who"));
}

TEST(PromptSet, quoted_csv_cells_hold_commas_quotes_and_line_ends) {
  const File csv("saccade_pairs.csv", "clean,right\n\"one, \"\"two\"\"\nthree\", four\n");
  const auto set = read_prompt_set(csv.path, demo());
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  EXPECT_EQ(set->pairs[0].clean.text, "one, \"two\"\nthree");
  EXPECT_FALSE(set->has_corrupt());
}

TEST(PromptSet, files_that_make_no_sense_are_refused_by_pair_and_key) {
  EXPECT_THAT(refusal("a.json", "{}"), HasSubstr("JSON array"));
  EXPECT_THAT(refusal("a.json", "[]"), HasSubstr("at least one"));
  EXPECT_THAT(refusal("a.json", R"([{"clean": "a", "right": " b"}, {"right": " b"}])"),
              HasSubstr("pair 2: 'clean'"));
  EXPECT_THAT(refusal("a.json", R"([{"clean": "a"}])"), HasSubstr("'right' is missing"));
  EXPECT_THAT(refusal("a.json", R"([{"clean": "a", "rihgt": " b"}])"), HasSubstr("'rihgt'"));
  EXPECT_THAT(refusal("a.json", R"([{"clean": "a", "right": " cat", "wrong": " cat"}])"),
              HasSubstr("both right and"));
  EXPECT_THAT(refusal("a.csv", "clean,right\na\n"), HasSubstr("row 2 has 1 cells"));
  EXPECT_THAT(refusal("a.csv", "clean,right\n"), HasSubstr("at least one pair"));
  EXPECT_THAT(refusal("a.json", R"([{"clean": "a b", "right": " cat", "roles": {"x": "zebra"}}])"),
              HasSubstr("role 'x'"));
}

}  // namespace
}  // namespace saccade
