#include "core/run/edit_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saccade {
namespace {

constexpr int64_t every = std::numeric_limits<int32_t>::max();

ModelSpec spec() {
  ModelSpec spec;
  spec.n_layer = 4;
  spec.n_head = 3;
  spec.n_kv_head = 3;
  return spec;
}

LayerPlan plan(const std::vector<std::string>& texts, int32_t layer = 1) {
  std::vector<Edit> edits;
  for (const std::string& text : texts) {
    auto edit = parse_edit(text);
    EXPECT_TRUE(edit.ok()) << edit.error().to_string();
    edits.push_back(*edit);
  }
  // Another run of six tokens, whose weights say where they stand.
  const FindPattern numbered = [](const Edit& edit, HeadId head, const std::optional<PositionRange>& query) {
    PatternBlock block{query.value_or(PositionRange{0, 6}), {0, 6}, {}};
    if (edit.key) block.key = edit.key->ranges()[0];
    for (int64_t i = block.query.begin; i < block.query.end; ++i)
      for (int64_t j = block.key.begin; j < block.key.end; ++j)
        block.values.push_back(static_cast<float>(100 * head.head.value + 10 * i + j));
    return Result<PatternBlock>(std::move(block));
  };
  auto made = plan_of(edits, layer, spec(), numbered);
  EXPECT_TRUE(made.ok());
  return made.ok() ? *made : LayerPlan{};
}

const HeadPlan& of(const LayerPlan& plan, size_t head) { return plan.heads.at(head); }

TEST(EditPlan, ALayerWithoutEditsHasNoLists) {
  for (const char* text : {"bias 2.1 by=1 key=0", "# bias 1.1 by=1 key=0", "uniform 1.1 by=0", "zero 1.1",
                           "add blocks.1.hook_resid_pre from=a.h5", "offset 1.1 add=1"}) {
    const LayerPlan none = plan({text});
    EXPECT_TRUE(none.heads.empty() && none.knockouts.empty()) << text;
  }
}

TEST(EditPlan, OnlyTheHeadsOfTheTargetGetAPlan) {
  const LayerPlan made = plan({"bias *.0,2 by=1.5 key=0,4:6 query=3"});
  EXPECT_TRUE(of(made, 1).empty());
  ASSERT_EQ(of(made, 2).scores.size(), 1U);
  const ScoreEdit& edit = of(made, 2).scores[0];
  EXPECT_EQ(edit.kind, ScoreEditKind::bias);
  EXPECT_EQ(edit.value, 1.5F);
  EXPECT_EQ(edit.keys, (KeySet{{0, 1}, {4, 6}}));
  EXPECT_EQ(edit.query, (QueryRange{3, 4}));
}

TEST(EditPlan, EveryVerbOfScoresAndWeightsBecomesItsKind) {
  const LayerPlan made = plan({"temperature 1.0 by=0.5", "boost 1.0 by=0.7 key=1",
                               "stream 1.0 sink=4 recent=9", "uniform 1.0 by=0.3", "identity 1.0 by=0.4",
                               "force 1.0 key=2:4 by=0.6", "power 1.0 by=2", "sharpen 1.0 by=3"});
  const HeadPlan& head = of(made, 0);
  ASSERT_EQ(head.scores.size(), 3U);
  EXPECT_EQ(head.scores[0].kind, ScoreEditKind::temperature);
  EXPECT_EQ(head.scores[0].keys, (KeySet{{0, every}}));
  EXPECT_EQ(head.scores[1].kind, ScoreEditKind::boost);
  EXPECT_EQ(head.scores[2].kind, ScoreEditKind::stream);
  EXPECT_EQ(head.scores[2].sink, 4);
  EXPECT_EQ(head.scores[2].recent, 9);
  std::vector<WeightEditKind> kinds;
  for (const WeightEdit& edit : head.weights) kinds.push_back(edit.kind);
  using enum WeightEditKind;
  EXPECT_THAT(kinds, testing::ElementsAre(uniform, identity, uniform, power, sharpen));
  EXPECT_EQ(head.weights[0].keys, (KeySet{{0, every}}));
  EXPECT_EQ(head.weights[2].keys, (KeySet{{2, 4}}));
  EXPECT_EQ(head.weights[2].value, 0.6F);
}

TEST(EditPlan, RestIsEveryKeyThatDoesNotGive) {
  const LayerPlan made = plan({"redistribute 1.0 by=0.4 key=0,5:8 least-mass=0.2 least-share=0.5",
                               "redistribute 1.0 by=0.4 key=0 to=3:5", "redistribute 1.0 by=0.4 key=2:"});
  const WeightEdit& edit = of(made, 0).weights[0];
  EXPECT_EQ(edit.kind, WeightEditKind::redistribute);
  EXPECT_EQ(edit.keys, (KeySet{{0, 1}, {5, 8}}));
  EXPECT_EQ(edit.to, (KeySet{{1, 5}, {8, every}}));
  EXPECT_EQ(edit.least_mass, 0.2F);
  EXPECT_EQ(edit.least_share, 0.5F);
  EXPECT_EQ(of(made, 0).weights[1].to, (KeySet{{3, 5}}));
  EXPECT_EQ(of(made, 0).weights[2].to, (KeySet{{0, 2}}));
}

TEST(EditPlan, ScalingColumnsSumsToOneAgainOnRequest) {
  EXPECT_EQ(of(plan({"column-scale 1.0 key=0 by=2"}), 0).weights.size(), 1U);
  const LayerPlan made = plan({"column-scale 1.0 key=0 by=2 query=4: renormalise=yes"});
  ASSERT_EQ(of(made, 0).weights.size(), 2U);
  EXPECT_EQ(of(made, 0).weights[0].kind, WeightEditKind::scale_columns);
  EXPECT_EQ(of(made, 0).weights[1].kind, WeightEditKind::renormalise);
  EXPECT_EQ(of(made, 0).weights[1].query, (QueryRange{4, PositionRange::open_end}));
}

TEST(EditPlan, SeveralRangesOfQueriesAreAsManyEdits) {
  const LayerPlan made = plan({"identity 1.0 by=0.5 query=2,5:7"});
  ASSERT_EQ(of(made, 0).weights.size(), 2U);
  EXPECT_EQ(of(made, 0).weights[0].query, (QueryRange{2, 3}));
  EXPECT_EQ(of(made, 0).weights[1].query, (QueryRange{5, 7}));
}

TEST(EditPlan, APatternPutsInTheBlockOfTheOtherRun) {
  const LayerPlan made = plan({"pattern 1.2 from=b query=2:4 key=1:3", "pattern 1.2 from=b renormalise=no"});
  const WeightEdit& block = of(made, 2).weights[0];
  EXPECT_EQ(block.kind, WeightEditKind::replace);
  EXPECT_EQ(block.query, (QueryRange{2, 4}));
  EXPECT_THAT(block.block, testing::ElementsAre(221, 222, 231, 232));
  EXPECT_EQ(block.block_first_key, 1);
  EXPECT_EQ(block.block_columns, 2);
  EXPECT_TRUE(block.rescale);
  EXPECT_EQ(of(made, 2).weights[1].block.size(), 36U);
  EXPECT_FALSE(of(made, 2).weights[1].rescale);
}

TEST(EditPlan, KnockoutsAreRectanglesOfTheMask) {
  const LayerPlan made = plan({"knockout 1.1 query=9 key=0,3:5", "bias 1.1 by=1 key=0"});
  ASSERT_EQ(made.knockouts.size(), 3U);
  ASSERT_EQ(made.knockouts[1].size(), 2U);
  EXPECT_EQ(made.knockouts[1][1].query_begin, 9);
  EXPECT_EQ(made.knockouts[1][1].query_end, 10);
  EXPECT_EQ(made.knockouts[1][1].key_begin, 3);
  EXPECT_EQ(made.knockouts[1][1].key_end, 5);
  EXPECT_TRUE(made.knockouts[0].empty());
}

}  // namespace
}  // namespace saccade
