#include "core/run/contrast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/core/run/vision_golden_runs.h"

namespace saccade {
namespace {

using fixtures::farthest, fixtures::vision_model, fixtures::vision_request_of;
using testing::HasSubstr;

HostTensor row(const std::vector<float>& values) {
  HostTensor tensor({static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.mutable_values().begin());
  return tensor;
}

// DAMRO: l = [2,1,0], l' = [1,1.5,0], alpha .5 -> [2.5,.75,0]; cut 2 + ln 0.1 = -.303: all stay.
TEST(Contrast, worked_example_of_damro) {
  const HostTensor made = contrasted(row({2, 1, 0}), row({1, 1.5F, 0}), 0.5, 0.1);
  EXPECT_THAT(std::vector<float>(made.values().begin(), made.values().end()),
              testing::Pointwise(testing::FloatNear(1e-6F), std::vector<float>{2.5F, 0.75F, 0.0F}));
}

TEST(Contrast, cuts_what_is_not_plausible_and_never_the_most_probable) {
  const float none = -std::numeric_limits<float>::infinity();
  const auto values = [](const HostTensor& t) {
    return std::vector<float>(t.values().begin(), t.values().end());
  };
  // 2 + ln 0.2 = 0.39
  EXPECT_EQ(values(contrasted(row({2, 1, 0}), row({1, 1.5F, 0}), 0.5, 0.2)),
            (std::vector<float>{2.5F, 0.75F, none}));
  EXPECT_EQ(values(contrasted(row({2, 1, 0}), row({9, 0, 0}), 1.0, 1.0)),
            (std::vector<float>{-5.0F, none, none}));
  EXPECT_EQ(values(contrasted(row({2, 1, 0}), row({9, 0, 0}), 0.0, 0.0)), (std::vector<float>{2, 1, 0}));
}

// Slow and obvious: a whole run of both prompts for every token.
TEST(Contrast, decodes_both_streams_as_runs_over_the_whole_texts_would) {
  const auto& model = vision_model("llava");
  const RunRequest request = vision_request_of("llava", {"boost 1.* by=0.5 key=img"});
  auto negative = std::make_shared<RunRequest>(request);
  negative->tokens = with_patches(request.tokens, 0, {1, 8}).value();
  negative->edits.push_back(parse_edit("knockout 0.1 query=gen key=img").value());
  SamplingOptions options;
  options.max_tokens = 6;
  options.stop_at_eos = false;
  options.keep_logits = true;
  options.contrast = {negative, 1.5, 0.01};
  const auto generation = model.runner->generate(request, options, {}, {});
  ASSERT_TRUE(generation.ok()) << generation.error().to_string();
  ASSERT_EQ(generation->tokens.size(), 6U);
  std::vector<Token> written;
  for (size_t step = 0; step < 6; ++step) {
    RunRequest with = request, without = *negative;
    with.tokens = with_generated(request.tokens, written);
    without.tokens = with_generated(negative->tokens, written);
    const HostTensor l = fixtures::run(model, with)->capture->last_logits,
                     other = fixtures::run(model, without)->capture->last_logits;
    const float highest = *std::max_element(l.values().begin(), l.values().end());
    int32_t best = -1;
    for (int32_t id = 0; id < l.size(); ++id) {
      const float got = generation->logits[step].values()[static_cast<size_t>(id)];
      if (l.data()[id] < highest + std::log(0.01F)) {
        EXPECT_EQ(got, -std::numeric_limits<float>::infinity());
        continue;
      }
      const float wanted = 2.5F * l.data()[id] - 1.5F * other.data()[id];
      EXPECT_NEAR(got, wanted, 3e-4F);
      if (best < 0 || wanted > 2.5F * l.data()[best] - 1.5F * other.data()[best]) best = id;
    }
    EXPECT_EQ(generation->tokens[step].id, best) << step;
    written.push_back(generation->tokens[step]);
  }
  // with no weight it is the answer alone
  options.contrast = {negative, 0.0, 0.0};
  const auto alone = model.runner->generate(request, options, {}, {});
  options.contrast = {};
  const auto plain = model.runner->generate(request, options, {}, {});
  ASSERT_TRUE(alone.ok() && plain.ok());
  for (size_t step = 0; step < 6; ++step) EXPECT_EQ(farthest(alone->logits[step], plain->logits[step]), 0.0F);
}

TEST(Contrast, refuses_what_makes_no_sense_before_any_work) {
  const auto& model = vision_model("llava");
  const RunRequest request = vision_request_of("llava");
  auto negative = std::make_shared<RunRequest>(request);
  SamplingOptions options;
  options.contrast = {negative, 1.0, 1.5};
  EXPECT_THAT(model.runner->generate(request, options, {}, {}).error().message,
              HasSubstr("0 <= plausibility <= 1"));
  options.contrast = {negative, std::nan(""), 0.1};
  EXPECT_THAT(model.runner->generate(request, options, {}, {}).error().message, HasSubstr("finite alpha"));
  negative->edits.push_back(parse_edit("zero 9.9").value());
  options.contrast = {negative, 1.0, 0.1};
  EXPECT_THAT(model.runner->generate(request, options, {}, {}).error().message, HasSubstr("zero 9.9"));
}

}  // namespace
}  // namespace saccade
