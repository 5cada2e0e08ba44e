#include "kernels/attention_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/attention_problem.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using namespace testing_attention;

const Case plain{"plain", {8, 8, 4, 2, 16, 0}};

std::string refusal(const std::function<void(Problem&)>& spoil) {
  Problem p(plain);
  spoil(p);
  const Result<void> outcome = kernel_sets()[0].forward(p.in, p.out, serial());
  if (outcome.ok()) return "accepted";
  EXPECT_EQ(outcome.error().code, ErrorCode::invalid_argument);
  return outcome.error().message;
}

std::string refusal_of_plan(const std::function<void(HeadPlan&)>& spoil) {
  return refusal([&](Problem& p) {
    p.edits.resize(4);
    spoil(p.edits[2]);
    p.in.edits = p.edits;
  });
}

std::string refusal_of(ScoreEdit edit) {
  return refusal_of_plan([&](HeadPlan& plan) { plan.scores.push_back(std::move(edit)); });
}
std::string refusal_of(WeightEdit edit) {
  return refusal_of_plan([&](HeadPlan& plan) { plan.weights.push_back(std::move(edit)); });
}

TEST(Checks, shapes_that_do_not_fit_are_refused_with_the_numbers) {
  EXPECT_EQ(refusal([](Problem&) {}), "accepted");
  EXPECT_THAT(refusal([](Problem& p) { p.in.shape.n_kv_head = 3; }), HasSubstr("4 heads cannot share 3"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.shape.d_head = 0; }), HasSubstr("head size 0"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.q.data = nullptr; }), HasSubstr("q is null"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.v.token_stride = 3; }), HasSubstr("v: strides 3"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.q.head_stride = -16; }), HasSubstr("-16 (head)"));
  EXPECT_THAT(refusal([](Problem& p) { p.out.z.data = nullptr; }), HasSubstr("z is null"));
  EXPECT_THAT(refusal([](Problem& p) { p.out.top_k = 99; }), HasSubstr("99"));
  EXPECT_THAT(refusal([](Problem& p) { p.out.block_size = -4; }), HasSubstr("block size -4"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.scores.scale = NAN; }), HasSubstr("scale"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.scores.softcap = -1.0f; }), HasSubstr("soft cap"));
  EXPECT_THAT(refusal([](Problem& p) {
                static const float one = 1.0f;
                p.in.scores.slopes = {&one, 1};
              }),
              HasSubstr("1 ALiBi slopes for 4 heads"));
}

TEST(Checks, views_of_one_call_have_one_type) {
  static const std::vector<Bfloat16> narrow(8 * 128);
  EXPECT_THAT(refusal([](Problem& p) { p.in.k.bf16 = narrow.data(); }),
              HasSubstr("k is bfloat16 where q is float32"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.q.bf16 = p.in.k.bf16 = narrow.data(); }),
              HasSubstr("v is float32 where q is bfloat16"));
}

TEST(Checks, key_sets_are_sorted_and_do_not_overlap) {
  EXPECT_THAT(refusal([](Problem& p) {
                p.masses = {{{{0, 4}, {3, 5}}, nullptr}};
                p.out.key_masses = p.masses;
              }),
              HasSubstr("key set 0: 3:5 after position 4"));
  EXPECT_THAT(refusal_of(ScoreEdit{ScoreEditKind::cut, {}, {{5, 6}, {1, 2}}}),
              testing::AllOf(HasSubstr("score edit 0 of head 2"), HasSubstr("1:2 after position 6")));
  EXPECT_THAT(refusal_of(ScoreEdit{ScoreEditKind::cut, {}, {{-3, 6}}}), HasSubstr("-3:6"));
  WeightEdit moved{WeightEditKind::redistribute, {}, {{0, 4}}, {{3, 8}}};
  EXPECT_THAT(refusal_of(moved), HasSubstr("overlap"));
}

TEST(Checks, edits_have_as_many_numbers_as_they_name_places) {
  WeightEdit scaled{WeightEditKind::scale_columns, {}, {{0, 4}}};
  scaled.values = {1.0f, 2.0f};
  EXPECT_THAT(refusal_of(scaled), HasSubstr("2 factors for 4 keys"));
  WeightEdit block{WeightEditKind::replace, {2, 4}};
  block.block = {0.1f, 0.2f, 0.3f};
  block.block_columns = 2;
  EXPECT_THAT(refusal_of(block), HasSubstr("3 weights for queries 2:4 and 2 keys"));
  block.block_columns = int64_t{1} << 62;
  EXPECT_THAT(refusal_of(block), HasSubstr("3 weights"));
  block.query = {};
  EXPECT_THAT(refusal_of(block), HasSubstr("3 weights"));
  EXPECT_THAT(refusal_of_plan([](HeadPlan& plan) {
                plan.outputs.push_back({{}, 1.0f, {1.0f}, {}});
              }),
              HasSubstr("1 scales and 0 offsets for a head size of 16"));
  EXPECT_THAT(refusal([](Problem& p) {
                p.edits.resize(3);
                p.in.edits = p.edits;
              }),
              HasSubstr("3 edit plans"));
}

TEST(Checks, edits_take_finite_numbers_of_the_right_sign) {
  EXPECT_THAT(refusal_of(ScoreEdit{ScoreEditKind::temperature, {}, {{0, 8}}, 0.0f}), HasSubstr("value 0"));
  EXPECT_THAT(refusal_of(ScoreEdit{ScoreEditKind::bias, {}, {{0, 8}}, INFINITY}), HasSubstr("value inf"));
  EXPECT_THAT(refusal_of(ScoreEdit{ScoreEditKind::stream, {}, {}, 0.0f, -1, 4}), HasSubstr("-1 sink"));
  WeightEdit power{WeightEditKind::power};
  power.value = -2.0f;
  EXPECT_THAT(refusal_of(power), HasSubstr("value -2"));
  WeightEdit block{WeightEditKind::replace, {2, 3}};
  block.block = {0.5f, NAN};
  block.block_columns = 2;
  EXPECT_THAT(refusal_of(block), HasSubstr("block[1] is nan"));
  block.block = {0.5f, 0.9f};
  EXPECT_THAT(refusal_of(block), HasSubstr("sums to 1.3999"));
  block.rescale = false;
  EXPECT_EQ(refusal_of(block), "accepted");
  EXPECT_THAT(refusal_of_plan([](HeadPlan& plan) { plan.outputs.push_back({{5, 2}}); }), HasSubstr("5:2"));
}

TEST(Checks, tiles_lie_inside_the_map_and_have_what_they_are_made_of) {
  const KernelSet& kernels = kernel_sets()[0];
  Problem p(plain);
  p.ask_for_everything();
  ASSERT_TRUE(kernels.forward(p.in, p.out, serial()).ok());
  float out[64];
  EXPECT_TRUE(kernels.tile(p.tile_input(), {0, 0, 8, 0, 8, 1}, {out, nullptr}).ok());
  EXPECT_FALSE(kernels.tile(p.tile_input(), {0, 0, 9, 0, 8, 1}, {out, nullptr}).ok());
  EXPECT_FALSE(kernels.tile(p.tile_input(), {0, 0, 8, 0, 8, 0}, {out, nullptr}).ok());
  EXPECT_FALSE(kernels.tile(p.tile_input(), {4, 0, 8, 0, 8, 1}, {out, nullptr}).ok());
  const std::vector<int32_t> query{8}, key{0};
  EXPECT_FALSE(kernels.weights_at(p.tile_input(), 0, query, key, out).ok());
  p.edits.resize(4);
  p.edits[1].weights.push_back({WeightEditKind::renormalise});
  p.in.edits = p.edits;
  const auto without = kernels.tile(p.tile_input(), {1, 0, 8, 0, 8, 1}, {out, nullptr});
  ASSERT_FALSE(without.ok());
  EXPECT_THAT(without.error().message, HasSubstr("head 1 has weight edits and no row factors"));
  EXPECT_TRUE(kernels.tile(p.tile_input(), {0, 0, 8, 0, 8, 1}, {out, nullptr}).ok());
}

}  // namespace
}  // namespace saccade
