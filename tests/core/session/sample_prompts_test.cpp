#include "core/session/sample_prompts.h"

#include <gtest/gtest.h>

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

TEST(SamplePrompts, a_demo_without_prompts_is_an_error_that_names_the_file) {
  const auto prompts = sample_prompts("no-such-demo");
  ASSERT_FALSE(prompts.ok());
  EXPECT_NE(prompts.error().message.find("no-such-demo.json"), std::string::npos);
}

}  // namespace
}  // namespace saccade
