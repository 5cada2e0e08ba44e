#include "analysis/flow/rollout.h"

#include <gmock/gmock.h>

#include <numeric>

#include "analysis/flow/target.h"
#include "tests/analysis/flow/flow_fixtures.h"

namespace saccade {
namespace {

using namespace flow_fixtures;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

FusedMaps maps_of(const std::shared_ptr<const Capture>& capture, FusionOptions options = {}) {
  auto maps = FusedMaps::make(capture, kernel_sets().front(), std::move(options));
  EXPECT_TRUE(maps.ok()) << maps.error().to_string();
  return std::move(*maps);
}

std::vector<double> one_hot(int64_t n, int64_t at) {
  std::vector<double> start(static_cast<size_t>(n), 0.0);
  start[static_cast<size_t>(at)] = 1.0;
  return start;
}

// A_1 = [[1, 0], [.5, .5]], A_2 = [[1, 0], [.2, .8]]: row 1 of B_2 is [.1, .9], of B_1 [.25, .75], of R_2
// [.325, .675].
TEST(Rollout, is_that_of_the_worked_example) {
  const auto capture = layers_of({"a", "b"}, {{{{1.0}, {0.5, 0.5}}}, {{{1.0}, {0.2, 0.8}}}});
  const FusedMaps maps = maps_of(capture);
  std::vector<float> rows(2);
  ASSERT_TRUE(maps.mixed_rows(1, 1, 2, 0.5, rows).ok());
  EXPECT_NEAR(rows[0], 0.1, 1e-6);
  EXPECT_NEAR(rows[1], 0.9, 1e-6);
  ASSERT_TRUE(maps.mixed_rows(0, 1, 2, 0.5, rows).ok());
  EXPECT_NEAR(rows[0], 0.25, 1e-6);
  EXPECT_NEAR(rows[1], 0.75, 1e-6);
  const auto shares = rollout_from(maps, one_hot(2, 1), {}, {});
  ASSERT_TRUE(shares.ok());
  EXPECT_NEAR((*shares)[0][0], 0.325, 1e-6);
  EXPECT_NEAR((*shares)[0][1], 0.675, 1e-6);
  EXPECT_NEAR((*shares)[1][0], 0.1, 1e-6);
  const auto map = rollout_map(maps, {}, {});
  ASSERT_TRUE(map.ok());
  EXPECT_NEAR(map->at({1, 0}), 0.325, 1e-6);
  EXPECT_NEAR(map->at({0, 0}), 1.0, 1e-6);
}

class RolloutOnRandomMaps : public testing::TestWithParam<std::tuple<HeadFusion, double>> {};

TEST_P(RolloutOnRandomMaps, is_the_plain_product_of_matrices) {
  const auto [fusion, residual] = GetParam();
  const std::shared_ptr<const Capture> capture = both_ways(75, 3, 2, 11);
  const FusedMaps maps = maps_of(capture, {.fusion = fusion, .heads = {}, .discard = 0.0, .weights = {}});
  Matrix expected = plain_mixed(plain_map(capture, 0, fusion), residual);
  for (int32_t l = 1; l < 3; ++l)
    expected = product(plain_mixed(plain_map(capture, l, fusion), residual), expected);
  const auto whole = rollout_map(maps, {residual, 2}, {});
  ASSERT_TRUE(whole.ok());
  for (int64_t t : {0, 31, 32, 74}) {
    const auto shares = rollout_from(maps, one_hot(75, t), {residual, 2}, {});
    ASSERT_TRUE(shares.ok());
    for (const std::vector<double>& row : *shares)
      EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1.0, 1e-5);
    for (int64_t j = 0; j < 75; ++j) {
      const double value = expected[static_cast<size_t>(t)][static_cast<size_t>(j)];
      EXPECT_NEAR((*shares)[0][static_cast<size_t>(j)], value, 1e-5);
      EXPECT_NEAR(whole->at({t, j}), value, 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RolloutOnRandomMaps,
                         testing::Combine(testing::Values(HeadFusion::mean, HeadFusion::max, HeadFusion::min),
                                          testing::Values(0.0, 0.5, 0.9)));

TEST(Rollout, follows_only_the_chosen_heads_and_passes_layers_without_any) {
  const auto capture = synthetic::random_capture(synthetic::words(40), 3, 2, 3);
  HeadTarget only;
  only.layers.ranges = {{1, 1}};
  only.heads.ranges = {{1, 1}};
  const FusedMaps maps =
      maps_of(capture, {.fusion = HeadFusion::mean, .heads = only, .discard = 0.0, .weights = {}});
  EXPECT_EQ(maps.n_chosen(), 1);
  const auto shares = rollout_from(maps, one_hot(40, 39), {}, {});
  ASSERT_TRUE(shares.ok());
  const auto map = AttentionMap::of(capture, {LayerIndex{1}, HeadIndex{1}}, kernel_sets().front());
  for (int64_t j = 0; j < 40; ++j) {
    EXPECT_NEAR((*shares)[0][static_cast<size_t>(j)], 0.5 * *map->weight(39, j) + (j == 39 ? 0.5 : 0.0),
                1e-5);
    EXPECT_EQ((*shares)[0][static_cast<size_t>(j)], (*shares)[1][static_cast<size_t>(j)]);
  }
  only.layers.ranges = {{7, 7}};
  const auto none =
      FusedMaps::make(capture, kernel_sets().front(),
                      {.fusion = HeadFusion::mean, .heads = only, .discard = 0.0, .weights = {}});
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().to_string(), HasSubstr("names no head"));
}

TEST(Rollout, discards_the_smallest_weights_of_a_row) {
  const auto capture =
      layers_of({"a", "b", "c", "d"}, {{{{1.0}, {0.4, 0.6}, {0.2, 0.3, 0.5}, {0.1, 0.4, 0.2, 0.3}}}});
  const FusedMaps maps =
      maps_of(capture, {.fusion = HeadFusion::mean, .heads = {}, .discard = 0.5, .weights = {}});
  std::vector<float> row(4);
  ASSERT_TRUE(maps.rows(0, 3, 4, row).ok());
  EXPECT_THAT(row, testing::ElementsAre(0.0F, testing::FloatNear(0.4F, 1e-6F), 0.0F,
                                        testing::FloatNear(0.3F, 1e-6F)));
  const auto shares = rollout_from(maps, one_hot(4, 3), {}, {});
  EXPECT_NEAR((*shares)[0][1], 0.2 / 0.85, 1e-6);  // (.5 [0, .4, 0, .3] + .5 I) / .85
}

TEST(Rollout, gives_the_same_numbers_for_any_number_of_threads_and_stops_when_cancelled) {
  const auto capture = synthetic::random_capture(synthetic::words(100), 2, 2, 5);
  const FusedMaps maps = maps_of(capture);
  const auto one = rollout_from(maps, one_hot(100, 99), {0.5, 1}, {}),
             three = rollout_from(maps, one_hot(100, 99), {0.5, 3}, {});
  EXPECT_EQ(*one, *three);
  JobContext job;
  job.cancel.cancel();
  EXPECT_EQ(rollout_from(maps, one_hot(100, 99), {}, job).error().code, ErrorCode::cancelled);
  EXPECT_EQ(rollout_map(maps, {}, job).error().code, ErrorCode::cancelled);
}

TEST(PathTarget, is_where_the_answer_is_read) {
  const auto capture = synthetic::random_capture(synthetic::words(6), 1, 1, 1);
  const auto start = [&](Pooling pooling) {
    capture->spec.pooling = pooling;
    return path_target(*capture, -1)->start;
  };
  EXPECT_EQ(start(Pooling::none), one_hot(6, 5));
  EXPECT_EQ(start(Pooling::cls), one_hot(6, 0));
  EXPECT_EQ(start(Pooling::cls_and_distillation), (std::vector<double>{0.5, 0.5, 0, 0, 0, 0}));
  capture->spec.patches = PatchSpec{};
  capture->spec.patches.height = capture->spec.patches.width = 1;
  capture->spec.patches.cls = true;
  capture->spec.patches.n_register = 1;
  EXPECT_EQ(start(Pooling::mean), (std::vector<double>{0, 0, 0.25, 0.25, 0.25, 0.25}));
  EXPECT_EQ(start(Pooling::cls_and_mean), (std::vector<double>{0.5, 0, 0.125, 0.125, 0.125, 0.125}));
  EXPECT_EQ(path_target(*capture, 3)->query, 3);
  EXPECT_THAT(path_target(*capture, 6).error().to_string(), HasSubstr("0 to 5"));
}

}  // namespace
}  // namespace saccade
