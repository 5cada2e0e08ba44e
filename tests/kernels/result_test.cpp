#include "kernels/base/result.h"

#include <gtest/gtest.h>

namespace saccade {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return make_error(ErrorCode::invalid_argument, "odd");
  return number / 2;
}
Result<int> quarter(int number) {
  SACCADE_TRY(const int first, half(number));
  SACCADE_TRY(const int second, half(first));
  return second;
}

TEST(Result, a_failing_step_ends_the_function_with_its_error) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(6).error().message, "odd");
}

TEST(Result, contexts_are_told_from_the_outside_in) {
  const Error error = make_error(ErrorCode::io, "no room").with("writing b").with("saving a");
  EXPECT_EQ(error.to_string(), "saving a: writing b: no room");
}

TEST(Result, a_text_of_megabytes_keeps_its_two_ends_and_whole_characters) {
  std::string name;
  for (int i = 0; i < 500'000; ++i) name += "\u00E9";
  const std::string text =
      make_error(ErrorCode::bad_format, "tensor '" + name + "': lies").with("a").to_string();
  EXPECT_LT(text.size(), 2000u);
  EXPECT_TRUE(text.starts_with("a: tensor '\u00E9"));
  EXPECT_TRUE(text.ends_with("\u00E9': lies"));
  const size_t cut = text.find(" [");
  ASSERT_NE(cut, std::string::npos);
  EXPECT_EQ(text.substr(cut - 2, 2), "\u00E9");
  EXPECT_EQ(text.substr(text.find("] ") + 2, 2), "\u00E9");
}

}  // namespace
}  // namespace saccade
