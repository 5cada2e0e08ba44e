// The CUDA kernels on a device; skipped, with the reason, where there is none. The tests of every kernel set
// run on the device too, as the set "cuda".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/attention_cuda.h"
#include "tests/kernels/attention_problem.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using namespace testing_attention;

TEST(Cuda, says_why_it_is_not_there_or_is_one_of_the_kernel_sets) {
  const auto chosen = choose_kernels("cuda");
  if (!cuda::devices().empty()) {
    ASSERT_TRUE(chosen.ok()) << chosen.error().message;
    EXPECT_THAT(cuda::status(), HasSubstr("ready: "));
    EXPECT_NE(kernel_sets().front().name, "cuda") << "auto must not send everything to the device and back";
    return;
  }
  ASSERT_FALSE(chosen.ok());
  EXPECT_THAT(chosen.error().message, HasSubstr(cuda::status()));
  EXPECT_THAT(chosen.error().message, HasSubstr(kernel_sets().front().name)) << "the choices";
  EXPECT_THAT(cuda::status(), testing::MatchesRegex("no .*"));
}

TEST(Cuda, refuses_a_device_that_does_not_exist_with_what_there_is) {
  const auto outcome = cuda::select_device(1000);
  ASSERT_FALSE(outcome.ok());
  if (cuda::devices().empty())
    EXPECT_THAT(outcome.error().message, HasSubstr(cuda::status()));
  else
    EXPECT_THAT(outcome.error().message, HasSubstr("there are 0 = "));
}

class OnADevice : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda::devices().empty()) GTEST_SKIP() << "CUDA: " << cuda::status();
  }
  [[nodiscard]] static const KernelSet& kernels() { return **choose_kernels("cuda"); }
};

TEST_F(OnADevice, agrees_with_the_reference_at_lengths_that_fill_many_blocks) {
  for (const int64_t d : {64, 128, 256})
    for (const bool bf16 : {false, true}) {
      Case c{"heads_of_" + std::to_string(d), {1500, 1500, 4, 2, d, 0}};
      c.bf16 = bf16;
      expect_agrees(kernels(), c, serial(), {2.0, bf16});
      expect_tiles_agree(kernels(), {"tiles", {300, 300, 2, 1, d, 0}});
    }
}

TEST_F(OnADevice, gives_the_same_bits_every_time) {
  for (const bool bf16 : {false, true}) {
    Case c{"again", {900, 900, 4, 2, 64, 0}};
    c.bf16 = bf16;
    Problem first(c), again(c);
    for (Problem* p : {&first, &again}) {
      p->ask_for_everything();
      ASSERT_TRUE(kernels().forward(p->in, p->out, serial()).ok());
    }
    EXPECT_EQ(first.z, again.z);
    EXPECT_EQ(first.received, again.received);
    EXPECT_EQ(first.block_mass, again.block_mass);
  }
}

TEST_F(OnADevice, runs_out_of_memory_with_what_was_asked_for_and_stays_usable) {
  // Statistics of every block of one cell: far more than any device has. Nothing is written: the host's
  // pointer is never reached.
  Problem p({"large", {8, 8, 1, 1, 16, 0}});
  AttentionShape huge = p.shape;
  huge.n_query = huge.n_key = int64_t{1} << 24;
  AttentionInput in = p.in;
  in.shape = huge;
  AttentionOutput out = p.out;
  float sink = 0.0f;
  out.block_size = 1;
  out.block_mass = &sink;
  const auto outcome = kernels().forward(in, out, serial());
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::out_of_memory) << outcome.error().message;
  EXPECT_THAT(outcome.error().message, HasSubstr("asked for 1048"));
  expect_agrees(kernels(), {"after", {100, 100, 2, 1, 64, 0}}, serial());
}

}  // namespace
}  // namespace saccade
