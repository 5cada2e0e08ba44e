#include "analysis/flow/vlsam.h"

#include <gmock/gmock.h>

#include "tests/analysis/flow/flow_fixtures.h"

namespace saccade {
namespace {

using namespace flow_fixtures;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;

TEST(DecidedWeights, are_those_of_the_worked_example) {
  // The mean of 1, .6 and .5.
  const auto capture = layers_of({"a", "b", "c"}, {{{{1.0}, {0.4, 0.6}, {0.2, 0.3, 0.5}}}});
  const auto kept = decided_weights(capture, kernel_sets().front(), {});
  ASSERT_TRUE(kept.ok());
  EXPECT_NEAR(kept->at(0), 0.7, 1e-6);
  auto bare = std::make_shared<LayerCapture>(*capture->layers[0]);
  bare->statistics = {};
  capture->layers[0] = bare;
  EXPECT_NEAR(decided_weights(capture, kernel_sets().front(), {})->at(0), 0.7, 1e-6);
}

TEST(CausalFactors, go_from_one_nth_to_one) {
  ModelSpec spec;
  EXPECT_THAT(causal_factors(spec, 0, 4), ElementsAre(0.25, 0.5, 0.75, 1.0));
  spec.windows = {2};
  EXPECT_THAT(causal_factors(spec, 0, 4), ElementsAre(0.75, 0.75, 0.75, 1.0));
  spec.causal = false;
  spec.windows = {};
  EXPECT_THAT(causal_factors(spec, 0, 4), ElementsAre(0.25, 0.25, 0.25, 0.25));
}

TEST(VlSamFlow, is_the_plain_recursion) {
  for (const bool corrected : {true, false}) {
    const std::shared_ptr<const Capture> capture = synthetic::random_capture(synthetic::words(45), 3, 2, 9);
    const auto weights = decided_weights(capture, kernel_sets().front(), {});
    const auto maps =
        FusedMaps::make(capture, kernel_sets().front(),
                        {.fusion = HeadFusion::mean, .heads = {}, .discard = 0.0, .weights = *weights});
    ASSERT_TRUE(maps.ok());
    const size_t n = 45;
    Matrix t(n, std::vector<double>(n, 0.0));
    for (int32_t l = 0; l < 3; ++l) {
      Matrix a(n, std::vector<double>(n, 0.0)), g = t;
      for (int32_t h = 0; h < 2; ++h) {
        const auto map = AttentionMap::of(capture, {LayerIndex{l}, HeadIndex{h}}, kernel_sets().front());
        for (size_t i = 0; i < n; ++i)
          for (size_t j = 0; j < n; ++j)
            a[i][j] += (*weights)[static_cast<size_t>(2 * l + h)] * 0.5 *
                       *map->weight(static_cast<int64_t>(i), static_cast<int64_t>(j));
      }
      for (size_t i = 0; i < n; ++i) {
        a[i][i] += 1.0;
        g[i][i] += 1.0;
      }
      t = product(a, g);
      double most = 0.0;
      for (auto& row : t)
        for (size_t j = 0; j < n; ++j) {
          if (corrected) row[j] *= 1.0 - (static_cast<double>(n - j) - 1.0) / static_cast<double>(n);
          most = std::max(most, row[j]);
        }
      for (auto& row : t)
        for (double& value : row) value /= most;
    }
    const auto flow = vlsam_flow(*maps, {corrected, 2}, {});
    ASSERT_TRUE(flow.ok());
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        EXPECT_NEAR(flow->at({static_cast<int64_t>(i), static_cast<int64_t>(j)}), t[i][j], 1e-5);
  }
}

TEST(PeakPoints, are_of_the_largest_region_above_the_threshold) {
  // The highest place is alone; three neighbours by side make the larger area. Corners do not touch.
  const std::vector<float> map{9, 0, 0, 0,  //
                               0, 5, 6, 0,  //
                               0, 0, 5, 0,  //
                               1, 0, 0, -1};
  const PeakPoints points = peak_points(map, 4, 4, 0.5);
  EXPECT_THAT(points.area, ElementsAre(5, 6, 10));
  ASSERT_TRUE(points.positive.has_value());
  EXPECT_EQ(*points.positive, 6);
  EXPECT_EQ(points.negative, 15);
  const PeakPoints flat = peak_points(std::vector<float>(6, 2.0F), 2, 3, 1.0);
  EXPECT_FALSE(flat.positive.has_value());
  EXPECT_TRUE(flat.area.empty());
}

}  // namespace
}  // namespace saccade
