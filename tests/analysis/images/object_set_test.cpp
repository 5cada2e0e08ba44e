#include "analysis/images/object_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::map<std::string, std::vector<std::string>> vocabulary{
    {"red circle", {"red circle", "red disc"}}, {"circle", {"circle"}}, {"box", {"box"}}, {"dog", {"dog"}}};

TEST(Mentions, are_found_by_the_longest_words_whatever_the_case) {
  EXPECT_THAT(mentions_in("A Red circle, a circle and two red discs.", vocabulary),
              ElementsAre("red circle", "circle", "red circle"));
  EXPECT_THAT(mentions_in("Boxes; dogs; hotdog; doghouse; red, dog", vocabulary),
              ElementsAre("box", "dog", "dog"));
  EXPECT_THAT(mentions_in("", vocabulary), ElementsAre());
  EXPECT_THAT(mentions_in("reds circle", vocabulary), ElementsAre("circle"));
}

class ObjectSets : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "object_set_test";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "1.png") << "x";
    document_ = nlohmann::json::parse(R"({"objects": {"red circle": ["red circle"], "dog": ["dog", "puppy"]},
      "caption_prompt": "<image> what",
      "pictures": [{"file": "1.png", "objects": ["dog"], "boxes": [{"object": "red circle", "box": [0, 1, 2, 3]}],
                    "captions": ["a puppy"], "questions": [{"text": "Is there a dog?", "answer": "yes", "kind": "popular"}]}]})");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Result<ObjectSet> read() {
    std::ofstream(folder_ / "objects.json") << document_;
    return read_object_set(folder_);
  }
  std::string refusal() {
    const auto set = read();
    EXPECT_FALSE(set.ok());
    return set.ok() ? "" : set.error().to_string();
  }
  std::filesystem::path folder_;
  nlohmann::json document_;
};

TEST_F(ObjectSets, are_read_with_what_boxes_and_captions_say) {
  const auto set = read();
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  ASSERT_EQ(set->pictures.size(), 1U);
  EXPECT_THAT(set->pictures[0].objects, ElementsAre("dog", "red circle"));
  EXPECT_EQ(set->pictures[0].boxes.at(0).boxes.at(0).bottom, 3.0);
  EXPECT_EQ(set->pictures[0].questions.at(0).kind, "popular");
  EXPECT_EQ(set->caption_prompt, "<image> what");
}

TEST_F(ObjectSets, that_are_wrong_are_refused_with_the_picture_and_the_reason) {
  EXPECT_THAT(read_object_set(folder_ / "nowhere").error().to_string(), HasSubstr("objects.json"));
  const nlohmann::json good = document_;
  document_["pictures"][0]["file"] = "2.png";
  EXPECT_THAT(refusal(), HasSubstr("'2.png': there is no such file"));
  document_ = good;
  document_["pictures"][0]["objects"] = {"cat"};
  EXPECT_THAT(refusal(), HasSubstr("'1.png': object 'cat' is not in \"objects\"; there are dog, red circle"));
  document_ = good;
  document_["pictures"][0]["boxes"][0]["object"] = "cat";
  EXPECT_THAT(refusal(), HasSubstr("object 'cat'"));
  document_ = good;
  document_["pictures"] = nlohmann::json::array();
  EXPECT_THAT(refusal(), HasSubstr("at least one picture"));
  document_ = good;
  document_["objects"]["dog"] = nlohmann::json::array();
  EXPECT_THAT(refusal(), HasSubstr("'dog' has no words"));
  document_ = good;
  document_["pictures"][0]["questions"][0]["answer"] = "maybe";
  EXPECT_THAT(refusal(), HasSubstr("expected yes or no, found 'maybe'"));
  document_ = good;
  document_["pictures"][0]["questions"][0]["kind"] = "hard";
  EXPECT_THAT(refusal(), HasSubstr("random, popular, adversarial, found 'hard'"));
  document_ = nlohmann::json::array();
  EXPECT_THAT(refusal(), HasSubstr("expected a JSON object"));
}

}  // namespace
}  // namespace saccade
