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

}  // namespace
}  // namespace saccade
