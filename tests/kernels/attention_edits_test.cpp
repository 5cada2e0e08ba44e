// Every edit, alone and combined, on every kernel set: outputs, statistics and tiles against the reference.
#include <gtest/gtest.h>

#include "tests/kernels/attention_problem.h"

namespace saccade {
namespace {

using namespace testing_attention;

constexpr int64_t all = 1000;

struct NamedPlan {
  std::string name;
  HeadPlan plan;
};

HeadPlan scores(std::vector<ScoreEdit> edits) { return {std::move(edits), {}, {}}; }
HeadPlan weights(std::vector<WeightEdit> edits) { return {{}, std::move(edits), {}}; }

WeightEdit weight_edit(WeightEditKind kind, float value, QueryRange query = {}, KeySet keys = {{0, all}}) {
  WeightEdit edit;
  edit.kind = kind;
  edit.query = query;
  edit.keys = std::move(keys);
  edit.value = value;
  return edit;
}

WeightEdit redistribution(float value, float least_mass = 0.0f, float least_share = 0.0f) {
  WeightEdit edit = weight_edit(WeightEditKind::redistribute, value, {}, {{0, 1}, {12, 20}});
  edit.to = {{4, 9}, {22, 30}, {50, 52}};
  edit.least_mass = least_mass;
  edit.least_share = least_share;
  return edit;
}

WeightEdit redistribution_among() {
  WeightEdit edit = redistribution(0.3f, 0.3f, 0.4f);
  edit.among = {{2, 30}, {45, 60}};
  return edit;
}

WeightEdit replacement(bool rescale) {
  WeightEdit edit = weight_edit(WeightEditKind::replace, 1.0f, {10, 22}, {});
  edit.block_first_key = 5;
  edit.block_columns = 20;  // beyond what a causal row 10 sees
  for (int i = 0; i < 12 * 20; ++i) edit.block.push_back(0.001f * static_cast<float>(i % 37));
  edit.rescale = rescale;
  return edit;
}

WeightEdit column_factors() {
  WeightEdit edit = weight_edit(WeightEditKind::scale_columns, 1.0f, {3, 40}, {{1, 3}, {20, 24}, {900, 901}});
  edit.values = {0.0f, 2.0f, 0.5f, -0.25f, 3.0f, 1.0f, 9.0f};
  return edit;
}

std::vector<NamedPlan> score_plans() {
  const KeySet some{{2, 7}, {19, 33}, {40, all}};
  return {
      {"temperature", scores({{ScoreEditKind::temperature, {}, {{0, all}}, 0.5f}})},
      {"temperature_of_some_keys", scores({{ScoreEditKind::temperature, {5, 30}, some, 3.0f}})},
      {"bias", scores({{ScoreEditKind::bias, {}, some, -1.5f}})},
      {"boost", scores({{ScoreEditKind::boost, {}, some, 0.4f}})},
      {"cut", scores({{ScoreEditKind::cut, {4, 50}, some}})},
      {"cut_whole_rows", scores({{ScoreEditKind::cut, {20, 30}, {{0, all}}}})},
      {"stream", scores({{ScoreEditKind::stream, {}, {}, 0.0f, 2, 5}})},
      {"stream_of_the_future_too", scores({{ScoreEditKind::stream, {10, 40}, {}, 0.0f, 0, 0}})},
      {"flat", scores({{ScoreEditKind::flat, {}, some}})},
      {"flat_rows", scores({{ScoreEditKind::flat, {7, 19}, {{0, all}}}})},
      {"bias_then_temperature", scores({{ScoreEditKind::bias, {}, some, 2.0f},
                                        {ScoreEditKind::temperature, {}, {{0, all}}, 2.0f},
                                        {ScoreEditKind::cut, {}, {{5, 6}}}})},
  };
}

std::vector<NamedPlan> weight_plans() {
  using Kind = WeightEditKind;
  return {
      {"scale_columns", weights({weight_edit(Kind::scale_columns, 0.25f, {}, {{3, 9}})})},
      {"scale_every_column_on_its_own", weights({column_factors()})},
      {"scale_and_renormalise",
       weights({weight_edit(Kind::scale_columns, 3.0f, {}, {{3, 9}}), weight_edit(Kind::renormalise, 1.0f)})},
      {"renormalise_nothing_left",
       weights({weight_edit(Kind::scale_columns, 0.0f), weight_edit(Kind::renormalise, 1.0f)})},
      {"redistribute", weights({redistribution(0.4f)})},
      {"redistribute_more", weights({redistribution(1.5f)})},
      {"redistribute_where_it_counts", weights({redistribution(0.0f, 0.45f, 0.5f)})},
      {"redistribute_where_some_keys_count", weights({redistribution_among()})},
      {"identity", weights({weight_edit(Kind::identity, 0.4f)})},
      {"identity_of_some_rows", weights({weight_edit(Kind::identity, 1.0f, {8, 20})})},
      {"uniform", weights({weight_edit(Kind::uniform, 0.3f)})},
      {"uniform_on_a_set", weights({weight_edit(Kind::uniform, 1.0f, {5, 45}, {{6, 11}, {30, 31}})})},
      {"power", weights({weight_edit(Kind::power, 2.5f)})},
      {"power_below_1", weights({weight_edit(Kind::power, 0.5f, {9, 50})})},
      {"steep_power", weights({weight_edit(Kind::power, 20.0f)})},
      {"power_of_nothing", weights({weight_edit(Kind::scale_columns, 0.0f), weight_edit(Kind::power, 2.0f)})},
      {"sharpen", weights({weight_edit(Kind::sharpen, 1.0f)})},
      {"sharpen_much", weights({weight_edit(Kind::sharpen, 15.0f, {4, 60})})},
      {"replace", weights({replacement(true)})},
      {"replace_without_rescaling", weights({replacement(false)})},
      {"replace_beside_nothing", weights({weight_edit(Kind::scale_columns, 0.0f), replacement(true)})},
  };
}

std::vector<NamedPlan> combined_plans() {
  using Kind = WeightEditKind;
  HeadPlan output;
  output.outputs = {{{3, 30}, 0.5f, {}, {}}, {}};
  for (int x = 0; x < 24; ++x) {
    output.outputs[1].scale.push_back(0.1f * static_cast<float>(x));
    output.outputs[1].offset.push_back(1.0f - 0.2f * static_cast<float>(x));
  }
  output.outputs[1].factor = -2.0f;
  HeadPlan everything = output;
  everything.scores = {{ScoreEditKind::bias, {}, {{2, 7}}, 1.0f},
                       {ScoreEditKind::cut, {0, 40}, {{9, 11}}},
                       {ScoreEditKind::cut, {33, 35}, {{0, all}}}};
  everything.weights = {redistribution(0.4f),
                        weight_edit(Kind::uniform, 0.2f),
                        weight_edit(Kind::identity, 0.1f, {5, 50}),
                        weight_edit(Kind::power, 1.5f),
                        replacement(true),
                        weight_edit(Kind::sharpen, 1.0f, {30, 40}),
                        column_factors(),
                        weight_edit(Kind::renormalise, 1.0f)};
  return {{"output", output}, {"everything", everything}};
}

// Heads 0 and 2 of four are edited; they share their KV heads with others that are not.
Case edited(const NamedPlan& named, Case base) {
  base.name = named.name + "_" + base.name;
  base.edits.resize(4);
  base.edits[0] = base.edits[2] = named.plan;
  return base;
}

std::vector<Case> shapes() {
  std::vector<Case> list{{"causal", {60, 60, 4, 2, 24, 0}},
                         {"bidirectional", {60, 60, 4, 2, 24, 0}, false},
                         {"window", {60, 60, 4, 2, 24, 0}, true, 9},
                         {"decode", {1, 40, 4, 2, 24, 39}},
                         {"decode_three_rows", {3, 40, 4, 1, 24, 20}},
                         {"continuing", {9, 45, 4, 4, 24, 11}, false}};
  list.push_back(
      {"cut_capped_and_biased", {60, 60, 4, 2, 24, 0}, true, 0, 2.0f, {{3, 25, 4, 9}}, 6.0f, true});
  list.push_back({"prefix", {60, 60, 4, 2, 24, 0}, true, 9});
  list.back().prefix = 22;
  return list;
}

class EditedMaps : public testing::TestWithParam<KernelSet> {
 protected:
  static void check(const std::vector<NamedPlan>& plans) {
    for (const NamedPlan& plan : plans)
      for (const Case& shape : shapes()) {
        const Case c = edited(plan, shape);
        expect_agrees(GetParam(), c, threads(2));
        expect_tiles_agree(GetParam(), c);
      }
  }
};

TEST_P(EditedMaps, with_edited_scores_agree_with_the_reference) { check(score_plans()); }
TEST_P(EditedMaps, with_edited_weights_agree_with_the_reference) { check(weight_plans()); }
TEST_P(EditedMaps, with_edits_of_every_kind_at_once_agree_with_the_reference) { check(combined_plans()); }

TEST_P(EditedMaps, of_bfloat16_inputs_agree_with_the_reference) {
  for (const NamedPlan& plan : combined_plans())
    for (const Case& shape : shapes()) {
      Case c = edited(plan, shape);
      c.bf16 = true;
      expect_agrees(GetParam(), c, threads(2), {2.0, true});
      expect_tiles_agree(GetParam(), c);
    }
}

TEST_P(EditedMaps, leave_the_other_heads_as_they_are_bit_for_bit) {
  const Case base{"base", {60, 60, 4, 2, 24, 0}};
  Problem plain(base), changed(edited(combined_plans()[1], base));
  for (Problem* p : {&plain, &changed}) {
    p->ask_for_everything();
    ASSERT_TRUE(GetParam().forward(p->in, p->out, serial()).ok());
  }
  for (const int64_t head : {1, 3})
    for (int64_t i = 0; i < 60; ++i) {
      for (int64_t x = 0; x < 24; ++x) {
        const auto at = static_cast<size_t>((i * 4 + head) * 24 + x);
        ASSERT_EQ(plain.z[at], changed.z[at]);
      }
      const auto row = static_cast<size_t>(head * 60 + i);
      ASSERT_EQ(plain.entropy[row], changed.entropy[row]);
      ASSERT_EQ(plain.received[row], changed.received[row]);
    }
}

TEST_P(EditedMaps, with_plans_that_are_empty_are_the_plain_ones_bit_for_bit) {
  for (const int64_t n : {2, 60}) {
    Case c{"base", {n, n, 4, 2, 24, 0}};
    Problem plain(c);
    c.edits.resize(4);
    Problem listed(c);
    for (Problem* p : {&plain, &listed}) {
      p->ask_for_everything();
      ASSERT_TRUE(GetParam().forward(p->in, p->out, serial()).ok());
    }
    EXPECT_EQ(plain.z, listed.z);
    EXPECT_EQ(plain.entropy, listed.entropy);
  }
}

TEST_P(EditedMaps, keep_rows_that_see_nothing_at_zero) {
  Case c{"unseen", {20, 20, 1, 1, 8, 0}};
  c.edits.resize(1);
  c.edits[0].scores = {{ScoreEditKind::cut, {5, 7}, {{0, all}}}};
  c.edits[0].weights = {weight_edit(WeightEditKind::identity, 0.5f),
                        weight_edit(WeightEditKind::uniform, 0.5f)};
  c.edits[0].outputs = {{{}, 1.0f, {}, std::vector<float>(8, 3.0f)}};
  Problem p(c);
  p.ask_for_everything();
  ASSERT_TRUE(GetParam().forward(p.in, p.out, serial()).ok());
  for (const size_t row : {5, 6}) {
    EXPECT_EQ(p.lse[row], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(p.max_key[row], -1);
    for (size_t x = 0; x < 8; ++x) EXPECT_EQ(p.z[row * 8 + x], 0.0f);
  }
  EXPECT_NE(p.z[7 * 8], 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Sets, EditedMaps, testing::ValuesIn(kernel_sets().begin(), kernel_sets().end()),
                         [](const auto& set) { return set.param.name; });

}  // namespace
}  // namespace saccade
