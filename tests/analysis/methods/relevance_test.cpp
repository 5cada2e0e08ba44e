// relevance, similarity-points, reversed-tree and neva, and what they are made of.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <random>

#include "analysis/flow/relevance.h"
#include "analysis/flow/reversed_tree.h"
#include "analysis/images/patch_field.h"
#include "analysis/methods/neva_search.h"
#include "analysis/scanpath/context_saliency.h"
#include "analysis/scanpath/foveation.h"
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

TEST(Foveation, is_sharp_at_the_fixation_and_blurred_away_from_it) {
  HostTensor pixels({1, 9, 11});
  std::mt19937 random(2);
  for (float& value : pixels.mutable_values()) value = static_cast<float>(random() % 100) / 100.0F;
  const FoveationSettings settings{0.2, 0.5, 5, 2.0};
  const Foveation foveation(pixels, settings);
  const FoveaPoint first{-0.5, 0.25}, now{0.5, 0.0};
  const HostTensor seen = foveation.seen({&first, 1}, &now);
  // In plain loops.
  const auto mirror = [](int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i; };
  double weights[5], total = 0.0;
  for (int i = -2; i <= 2; ++i) total += weights[i + 2] = std::exp(-0.5 * i * i / 4.0);
  for (int64_t y = 0; y < 9; ++y)
    for (int64_t x = 0; x < 11; ++x) {
      double blurred = 0.0;
      for (int64_t dy = -2; dy <= 2; ++dy)
        for (int64_t dx = -2; dx <= 2; ++dx)
          blurred += weights[dy + 2] * weights[dx + 2] / (total * total) *
                     pixels.at({0, mirror(y + dy, 9), mirror(x + dx, 11)});
      EXPECT_NEAR(foveation.blurred().at({0, y, x}), blurred, 1e-5);
      const double u = (2.0 * static_cast<double>(x) + 1.0) / 11.0 - 1.0,
                   v = (2.0 * static_cast<double>(y) + 1.0) / 9.0 - 1.0;
      const auto g = [&](FoveaPoint p) {
        return std::exp(-((u - p.x) * (u - p.x) + (v - p.y) * (v - p.y)) / 0.2);
      };
      // R after the first fixation is G_first; the factor gamma comes with the next.
      const double share = std::clamp(1.0 - (g(first) + g(now)), 0.0, 1.0);
      const double sharp = pixels.at({0, y, x});
      EXPECT_NEAR(seen.at({0, y, x}), sharp + share * (blurred - sharp), 1e-5);
    }
}

TEST(NevaMethod, chooses_the_least_loss_of_its_grid_and_what_it_reports_is_what_the_model_answers) {
  const auto result = vit_lab().method("neva", {{"fixations", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_FALSE(result->partial);
  const Table& steps = *table_of(*result, "steps");
  ASSERT_EQ(steps.rows.size(), 2U);
  const Field& loss = *result->field("loss");
  EXPECT_EQ(loss.values.shape(), (std::vector<int64_t>{2, 12, 12}));
  for (int64_t k = 0; k < 2; ++k)
    EXPECT_LE(number(steps.rows[static_cast<size_t>(k)][6]),
              *std::ranges::min_element(loss.values.slice(k)) + 1e-5);
  EXPECT_TRUE(is_patch_field(*result->field("seen")));
  // The first fixation once more, by hand.
  const ImageRegion& region = vit_lab().run->capture->images[0];
  const ImageGeometry& g = region.geometry;
  const FoveaPoint point{2.0 * (number(steps.rows[0][4]) * g.scale_x + g.offset_x) / g.width - 1.0,
                         2.0 * (number(steps.rows[0][5]) * g.scale_y + g.offset_y) / g.height - 1.0};
  RunRequest request = vit_lab().run->request;
  auto image = std::make_shared<PreparedImage>(*request.tokens.images[0].image);
  image->pixels = Foveation(image->pixels, {0.15, 0.1, 5, 5.0}).seen({}, &point);
  image->digest = "by hand";
  request.tokens.images[0].image = image;
  const auto run = vit_lab().lab.run(request);
  const auto logits = run->capture->last_logits.values(),
             sharp = vit_lab().run->capture->last_logits.values();
  const auto label = static_cast<size_t>(std::max_element(sharp.begin(), sharp.end()) - sharp.begin());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - logits[label]);
  EXPECT_NEAR(number(steps.rows[0][6]), std::log(sum), 1e-4);
}

TEST(NevaMethod, descends_the_same_way_for_a_seed_and_works_on_features_and_decoders) {
  const auto one = vit_lab().method("neva", {{"search", "differences"}, {"fixations", 1}, {"seed", 4}}),
             two = vit_lab().method("neva", {{"search", "differences"}, {"fixations", 1}, {"seed", 4}});
  ASSERT_TRUE(one.ok() && two.ok()) << one.error().to_string();
  EXPECT_EQ(table_of(*one, "steps")->rows, table_of(*two, "steps")->rows);
  const VisionLab clip("clip");
  const auto features = clip.method("neva", {{"fixations", 1}});
  ASSERT_TRUE(features.ok()) << features.error().to_string();
  EXPECT_THAT(features->findings[0], HasSubstr("features"));
  EXPECT_THAT(clip.method("neva", {{"class", 1}}).error().to_string(), HasSubstr("not with classes"));
  const auto decoder = llava_lab().method("neva", {{"fixations", 1}});
  ASSERT_TRUE(decoder.ok()) << decoder.error().to_string();
}

// The slope that goes through the patch embedding against differences of the loss.
TEST(NevaSlope, is_that_of_the_loss_by_the_fixation) {
  for (const char* variant : {"vit", "clip"}) {
    const VisionLab lab(variant);
    MethodInput input;
    input.model = lab.lab.model;
    input.base = lab.run->request;
    input.capture = lab.run->capture;
    input.parameters = {{"class", -1}, {"caption", ""}, {"picture", 0}};
    const auto aim = neva::read_aim(input);
    ASSERT_TRUE(aim.ok());
    const Foveation foveation(input.base.tokens.images[0].image->pixels, {0.15, 0.5, 5, 3.0});
    const FoveaPoint past{0.9, -0.9}, here{-0.45, 0.35};  // too far apart for R + G to reach 1
    const auto request_at = [&](const FoveaPoint& point) {
      RunRequest request = input.base;
      auto image = std::make_shared<PreparedImage>(*request.tokens.images[0].image);
      image->pixels = foveation.seen({&past, 1}, &point);
      image->digest = neva::name_of_point(point);
      request.tokens.images[0].image = image;
      return request;
    };
    const auto loss_at = [&](const FoveaPoint& point) {
      return neva::loss_of(*aim, lab.lab.run(request_at(point))->capture->last_logits.values());
    };
    const auto run = lab.lab.run(request_at(here));
    GradientRequest wanted;
    wanted.run = request_at(here);
    wanted.scalar = neva::slope_of(*aim, run->capture->last_logits.values());
    wanted.sites = {{HookSite::embed, -1}};
    const auto gradient = lab.lab.runner->gradients(wanted, nullptr, {});
    ASSERT_TRUE(gradient.ok()) << gradient.error().to_string();
    const ImageRegion& region = lab.run->capture->images[0];
    const HostTensor& embedded = (*gradient)->gradients.at({HookSite::embed, -1});
    const int64_t d = embedded.shape()[1];
    const auto patches = embedded.values().subspan(static_cast<size_t>(region.first_patch() * d));
    const FoveaPoint slope = foveation.slope(
        {&past, 1}, here, neva::pixel_gradient(*lab.lab.model, patches, foveation.blurred().shape()));
    constexpr double step = 5e-3;
    const double dx = (loss_at({here.x + step, here.y}) - loss_at({here.x - step, here.y})) / (2 * step),
                 dy = (loss_at({here.x, here.y + step}) - loss_at({here.x, here.y - step})) / (2 * step);
    // float32 answers over a step of 0.01.
    EXPECT_NEAR(slope.x, dx, 2e-4 + 0.02 * std::abs(dx)) << variant;
    EXPECT_NEAR(slope.y, dy, 2e-4 + 0.02 * std::abs(dy)) << variant;
  }
}

TEST(NevaMethod, goes_down_the_gradient_to_a_loss_that_the_model_has_there) {
  const auto result = vit_lab().method("neva", {{"search", "gradient"}, {"fixations", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_FALSE(result->partial);
  EXPECT_EQ(table_of(*result, "steps")->rows.size(), 2U);
  const auto again = vit_lab().method("neva", {{"search", "gradient"}, {"fixations", 2}});
  EXPECT_EQ(table_of(*result, "steps")->rows, table_of(*again, "steps")->rows);
  // The first step of the first fixation is the middle: nothing that is kept is worse.
  const FoveaPoint middle;
  RunRequest request = vit_lab().run->request;
  auto image = std::make_shared<PreparedImage>(*request.tokens.images[0].image);
  image->pixels = Foveation(image->pixels, {0.15, 0.1, 5, 5.0}).seen({}, &middle);
  image->digest = "the middle";
  request.tokens.images[0].image = image;
  neva::Aim aim;
  const auto sharp = vit_lab().run->capture->last_logits.values();
  aim.id = static_cast<int32_t>(std::max_element(sharp.begin(), sharp.end()) - sharp.begin());
  const double at_middle = neva::loss_of(aim, vit_lab().lab.run(request)->capture->last_logits.values());
  EXPECT_LE(number(table_of(*result, "steps")->rows[0][6]), at_middle + 1e-5);
  const VisionLab clip("clip");
  EXPECT_TRUE(clip.method("neva", {{"search", "gradient"}, {"fixations", 1}}).ok());
  EXPECT_THAT(llava_lab().method("neva", {{"search", "gradient"}}).error().to_string(), HasSubstr("tower"));
}

TEST(NevaMethod, says_what_it_needs_and_keeps_what_it_has_when_cancelled) {
  EXPECT_THAT(demo().method("neva", {}).error().to_string(), HasSubstr("--image"));
  EXPECT_THAT(vit_lab().method("neva", {{"class", 50}}).error().to_string(), HasSubstr("class=50"));
  EXPECT_THAT(vit_lab().method("neva", {{"caption", "a cat"}}).error().to_string(), HasSubstr("no pair"));
  // Stops in the second fixation: the first is there, and marked partial.
  JobContext job;
  int rounds = 0;
  job.on_progress = [&](double fraction, std::string_view) {
    if (fraction >= 1.0 && ++rounds > 3) job.cancel.cancel();
  };
  const auto found = find_method("neva");
  const auto looked_at = vit_lab().run;
  int calls = 0;
  Laboratory laboratory{vit_lab().lab.model, vit_lab().lab.runner.get(), {}, {}};
  laboratory.between = [&](const auto&) {
    if (++calls > 0) job.cancel.cancel();
  };
  const auto stopped = run_method(**found, {{"fixations", 3}}, looked_at, laboratory, job);
  if (stopped.ok())
    EXPECT_TRUE(stopped->partial);
  else
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
