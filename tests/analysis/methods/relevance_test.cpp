// relevance, similarity-points and reversed-tree, and what they are made of.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <random>

#include "analysis/flow/relevance.h"
#include "analysis/flow/reversed_tree.h"
#include "analysis/images/patch_field.h"
#include "analysis/scanpath/context_saliency.h"
#include "tests/analysis/flow/flow_fixtures.h"
#include "tests/analysis/vision_lab.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

double number(const Cell& cell) {
  return std::holds_alternative<double>(cell) ? std::get<double>(cell)
                                              : static_cast<double>(std::get<int64_t>(cell));
}

TEST(GradientRelevance, is_the_plain_recursion_over_matrices) {
  constexpr int64_t n = 7, heads = 3;
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  GradientCapture gradients;
  flow_fixtures::Matrix r(n, std::vector<double>(n, 0.0));
  for (size_t i = 0; i < n; ++i) r[i][i] = 1.0;
  for (int32_t l = 0; l < 3; ++l) {
    HostTensor a({heads, n, n}), g({heads, n, n});
    flow_fixtures::Matrix mean(n, std::vector<double>(n, 0.0));
    for (int64_t at = 0; at < a.size(); ++at) {
      a.mutable_values()[static_cast<size_t>(at)] = std::abs(normal(random));
      g.mutable_values()[static_cast<size_t>(at)] = normal(random);
      const int64_t within = at % (n * n);
      mean[static_cast<size_t>(within / n)][static_cast<size_t>(within % n)] +=
          std::max(0.0, double{a.data()[at]} * g.data()[at]) / heads;
    }
    const auto added = flow_fixtures::product(mean, r);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) r[i][j] += added[i][j];
    gradients.values[{HookSite::pattern, l}] = std::move(a);
    gradients.gradients[{HookSite::pattern, l}] = std::move(g);
  }
  std::vector<double> start(n, 0.0);
  start[4] = 1.0;
  const std::vector<double> relevance = gradient_relevance(gradients, 3, start);
  for (size_t j = 0; j < n; ++j) EXPECT_NEAR(relevance[j], r[4][j] - (j == 4 ? 1.0 : 0.0), 1e-5);
}

TEST(ContextSaliency, finds_what_stands_out_and_nothing_in_a_flat_map) {
  SaliencyMap map({24, 18}, 0.1);
  for (int64_t y = 5; y < 8; ++y)
    for (int64_t x = 14; x < 17; ++x) map.at(x, y) = 1.0;
  const auto salient = context_saliency(map, {}, {});
  ASSERT_TRUE(salient.ok()) << salient.error().to_string();
  const auto most =
      std::max_element(salient->values.begin(), salient->values.end()) - salient->values.begin();
  EXPECT_NEAR(static_cast<double>(most % 24), 15.0, 2.0);
  EXPECT_NEAR(static_cast<double>(most / 24), 6.0, 2.0);
  const auto areas = areas_above(*salient, 0.5);
  ASSERT_FALSE(areas.empty());
  EXPECT_LT(areas[0].size(), 24U * 18U / 4U);
  const auto flat = context_saliency(SaliencyMap({20, 20}, 0.3), {}, {});
  ASSERT_TRUE(flat.ok());
  EXPECT_EQ(*std::max_element(flat->values.begin(), flat->values.end()), 0.0);
  EXPECT_FALSE(context_saliency(SaliencyMap({100, 100}, 0.3), {}, {}).ok());
  JobContext job;
  job.cancel.cancel();
  EXPECT_EQ(context_saliency(map, {}, job).error().code, ErrorCode::cancelled);
}

// One scale, no foci: eq. 1 to 3 in plain loops.
TEST(ContextSaliency, is_what_the_equations_say) {
  SaliencyMap map({6, 5});
  std::mt19937 random(8);
  for (double& value : map.values) value = static_cast<double>(random() % 1000) / 999.0;
  map.values[0] = 0.0;
  map.values[7] = 1.0;
  ContextSaliencyOptions options;
  options.scales = {1.0};
  options.nearest = 5;
  options.foci = 2.0;
  const auto salient = context_saliency(map, options, {});
  ASSERT_TRUE(salient.ok());
  const auto at = [&](int64_t x, int64_t y) {
    return map.at(std::clamp<int64_t>(x, 0, 5), std::clamp<int64_t>(y, 0, 4));
  };
  std::vector<double> expected;
  for (int64_t i = 0; i < 30; ++i) {
    std::vector<std::pair<double, double>> others;
    for (int64_t k = 0; k < 30; ++k) {
      if (k == i) continue;
      double square = 0.0;
      for (int64_t dy = -3; dy <= 3; ++dy)
        for (int64_t dx = -3; dx <= 3; ++dx)
          square += std::pow(at(i % 6 + dx, i / 6 + dy) - at(k % 6 + dx, k / 6 + dy), 2.0);
      const double value = std::sqrt(square / 49.0);
      const double place =
          std::hypot(static_cast<double>(i % 6 - k % 6), static_cast<double>(i / 6 - k / 6)) / 6.0;
      others.emplace_back(value, value / (1.0 + 3.0 * place));
    }
    std::sort(others.begin(), others.end());
    double sum = 0.0;
    for (size_t k = 0; k < 5; ++k) sum += others[k].second;
    expected.push_back(1.0 - std::exp(-sum / 5.0));
  }
  const auto [least, most] = std::minmax_element(expected.begin(), expected.end());
  for (size_t i = 0; i < 30; ++i)
    EXPECT_NEAR(salient->values[i], (expected[i] - *least) / (*most - *least), 1e-5);
}

TEST(RelevanceMethod, gives_shares_and_areas_by_gradients_and_without) {
  for (const char* kind : {"gradient-weighted", "gradient x input", "rollout"})
    for (const VisionLab* lab : {&vit_lab(), &llava_lab()}) {
      const auto result = lab->method("relevance", {{"relevance", kind}, {"side", 16}});
      ASSERT_TRUE(result.ok()) << kind << ": " << result.error().to_string();
      const auto shares = result->field("relevance")->values.values();
      EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-5);
      EXPECT_TRUE(is_patch_field(*result->field("relevance_patches")));
      EXPECT_TRUE(is_patch_field(*result->field("areas_patches")));
    }
  const auto text = demo().method("relevance", {});
  ASSERT_TRUE(text.ok()) << text.error().to_string();
  EXPECT_EQ(text->field("areas"), nullptr);
}

TEST(RelevanceMethod, refuses_classes_that_are_not_there_and_models_without_gradients) {
  EXPECT_THAT(vit_lab().method("relevance", {{"class", 9}}).error().to_string(), HasSubstr("class=9"));
  const VisionLab siglip("siglip");
  EXPECT_THAT(siglip.method("relevance", {}).error().to_string(), HasSubstr("without gradients"));
  EXPECT_TRUE(siglip.method("relevance", {{"relevance", "rollout"}, {"side", 12}}).ok());
}

TEST(SimilarityPoints, are_those_of_plain_cosines) {
  const auto result = llava_lab().method("similarity-points", {{"points", 2}, {"level", 1}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Capture& capture = *llava_lab().run->capture;
  const ImageRegion& region = capture.images[0];
  const HostTensor& x = capture.layers[1]->resid_pre;
  const auto dot = [&](int64_t a, int64_t b) {
    double sum = 0.0;
    for (size_t c = 0; c < x.slice(0).size(); ++c) sum += double{x.slice(a)[c]} * x.slice(b)[c];
    return sum;
  };
  const int64_t last = capture.n_token() - 1, patches = region.end() - region.first_patch();
  const Field& similar = *result->field("similarity");
  EXPECT_TRUE(is_patch_field(similar));
  double most = -2.0;
  for (int64_t j = 0; j < patches; ++j) {
    const int64_t at = region.first_patch() + j;
    const double cosine = dot(last, at) / std::sqrt(dot(last, last) * dot(at, at));
    EXPECT_NEAR(similar.values.data()[j], cosine, 1e-5);
    most = std::max(most, cosine);
  }
  const Table& points = *table_of(*result, "points");
  ASSERT_EQ(points.rows.size(), 4U);
  EXPECT_NEAR(number(points.rows[0][6]), most, 1e-5);
  double sum = 0.0;
  for (const float value : result->field("points")->values.values()) sum += value;
  EXPECT_EQ(sum, 0.0);  // as many positive as negative
  EXPECT_THAT(demo().method("similarity-points", {}).error().to_string(), HasSubstr("--image"));
  EXPECT_THAT(llava_lab().method("similarity-points", {{"level", 9}}).error().to_string(),
              HasSubstr("level=9"));
}

TEST(ReversedTree, takes_the_query_that_takes_most_and_breaks_cycles) {
  // Columns: token 0 goes to 1 (s = 2 against 0 for itself), 1 to 0 more weakly (s = 1), 2 to itself.
  const double low = -5.0;
  const std::vector<double> scores{0.0, 1.0, low,  //
                                   2.0, 0.0, low,  //
                                   low, low, 3.0};
  const std::vector<double> weights(9, 1.0 / 3.0);
  const ReversedTree tree = reversed_tree(scores, weights, 3);
  EXPECT_EQ(tree.broken, 1);
  EXPECT_THAT(tree.parent, ElementsAre(1, -1, -1));  // of the two edges 1 -> 0 is the weaker
  EXPECT_THAT(tree.depth, ElementsAre(1, 0, 0));
  EXPECT_NEAR(tree.strength[0], std::exp(2.0) / (1.0 + std::exp(2.0) + std::exp(low)), 1e-9);
  EXPECT_NEAR(tree.mass[0], 1.0, 1e-12);
  const ReversedTree unseen =
      reversed_tree(std::vector<double>(4, -INFINITY), std::vector<double>(4, 0.0), 2);
  EXPECT_THAT(unseen.parent, ElementsAre(-1, -1));
}

TEST(ReversedTreeMethod, is_a_tree_over_patches_and_tokens) {
  for (const VisionLab* lab : {&vit_lab(), &llava_lab()}) {
    const auto result = lab->method("reversed-tree", {{"layer", 0}, {"heads", "0.1"}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const auto& rows = table_of(*result, "tree")->rows;
    const auto n = static_cast<int64_t>(rows.size());
    ASSERT_EQ(n, lab->run->capture->n_token());
    double mass = 0.0;
    for (const auto& row : rows) {
      mass += number(row[5]);
      int64_t at = std::get<int64_t>(row[0]), steps = 0;
      for (; std::get<int64_t>(rows[static_cast<size_t>(at)][2]) >= 0; ++steps) {
        ASSERT_LE(steps, n);
        at = std::get<int64_t>(rows[static_cast<size_t>(at)][2]);
      }
      EXPECT_EQ(steps, std::get<int64_t>(row[6]));
    }
    EXPECT_NEAR(mass, static_cast<double>(n), 1e-4);  // every row gives 1 away
    EXPECT_TRUE(is_patch_field(*result->field("mass_patches")));
  }
  EXPECT_TRUE(demo().method("reversed-tree", {}).ok());
  EXPECT_THAT(vit_lab().method("reversed-tree", {{"layer", 4}}).error().to_string(), HasSubstr("layer=4"));
  EXPECT_THAT(vit_lab().method("reversed-tree", {{"layer", 0}, {"heads", "1.0"}}).error().to_string(),
              HasSubstr("no head of layer 0"));
}

}  // namespace
}  // namespace saccade
