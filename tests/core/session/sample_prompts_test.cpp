#include "core/session/sample_prompts.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace saccade {
namespace {

TEST(SamplePrompts, the_demos_are_there_with_title_text_and_note) {
  const auto prompts = sample_prompts("induction");
  ASSERT_TRUE(prompts.ok()) << prompts.error().to_string();
  ASSERT_GE(prompts->size(), 4u);
  for (const SamplePrompt& prompt : *prompts) {
    EXPECT_FALSE(prompt.title.empty());
    EXPECT_FALSE(prompt.text.empty());
    EXPECT_FALSE(prompt.note.empty()) << prompt.title;
  }
}

TEST(SamplePrompts, demos_that_see_come_with_pictures) {
  for (const char* demo : {"shapes-vit", "shapes-vlm"}) {
    const auto prompts = sample_prompts(demo);
    ASSERT_TRUE(prompts.ok()) << prompts.error().to_string();
    for (const SamplePrompt& prompt : *prompts) {
      EXPECT_TRUE(std::filesystem::exists(prompt.image)) << prompt.image;
      EXPECT_EQ(prompt.text.find("<image>") == 0, demo == std::string("shapes-vlm")) << prompt.title;
      EXPECT_FALSE(prompt.note.empty()) << prompt.title;
    }
  }
}

TEST(SamplePrompts, a_demo_without_prompts_is_an_error_that_names_the_file) {
  const auto prompts = sample_prompts("no-such-demo");
  ASSERT_FALSE(prompts.ok());
  EXPECT_NE(prompts.error().message.find("no-such-demo.json"), std::string::npos);
}

}  // namespace
}  // namespace saccade
