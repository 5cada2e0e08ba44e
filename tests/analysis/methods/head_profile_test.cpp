#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "analysis/images/patch_field.h"
#include "analysis/methods/head_hops.h"
#include "analysis/methods/head_pruning.h"
#include "tests/analysis/flow/flow_fixtures.h"
#include "tests/analysis/vision_lab.h"

namespace saccade {
namespace {

using namespace flow_fixtures;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

HopProfile profile_of(const std::shared_ptr<const Capture>& capture, const HopGrid& grid, int64_t hops) {
  const auto map = AttentionMap::of(capture, {}, kernel_sets().front());
  EXPECT_TRUE(map.ok());
  auto profile = hop_profile(*map, grid, hops, {});
  EXPECT_TRUE(profile.ok());
  return std::move(*profile);
}

// Half on itself, half one patch away, for every patch: strength .5 and .5, mean hop .5.
TEST(HopProfile, is_that_of_the_worked_example) {
  const auto capture = full_map({{0.5, 0.5, 0.0}, {0.25, 0.5, 0.25}, {0.0, 0.5, 0.5}});
  const HopGrid grid{0, 0, 1, 3};
  const HopProfile profile = profile_of(capture, grid, 2);
  EXPECT_NEAR(profile.strength[0], 0.5, 1e-6);
  EXPECT_NEAR(profile.strength[1], 0.5, 1e-6);
  EXPECT_NEAR(profile.strength[2], 0.0, 1e-6);
  EXPECT_NEAR(profile.mean_hop, 0.5, 1e-6);
  EXPECT_NEAR(profile.per_patch[1], (0.5 + 0.25 + 0.5) / 3.0, 1e-6);
  EXPECT_NEAR(profile.offsets[2], 0.5, 1e-6);                 // of 5 displacements the middle one
  EXPECT_NEAR(profile.offsets[3], (0.5 + 0.25) / 2.0, 1e-6);  // one to the right, which two patches have
  EXPECT_EQ(pattern_label(profile, grid), "neighbour");
}

TEST(HopProfile, is_what_plain_loops_give_on_a_random_map_with_a_prefix) {
  const auto capture = both_ways(16, 1, 1, 21);  // 2 of text, CLS, a register, 3 x 4 patches
  const HopGrid grid{2, 4, 3, 4};
  const int64_t hops = 2;  // what is 3 away counts as 2
  const HopProfile profile = profile_of(capture, grid, hops);
  const Matrix a = plain_map(capture, 0, HeadFusion::mean);
  std::vector<double> strength(3, 0.0);
  double mean = 0.0, prefix = 0.0, elsewhere = 0.0, row_mass = 0.0, column_mass = 0.0;
  Matrix sum(5, std::vector<double>(5, 0.0)), count = sum;
  for (int64_t q = 0; q < 12; ++q)
    for (int64_t k = 0; k < 16; ++k) {
      const double weight = a[static_cast<size_t>(4 + q)][static_cast<size_t>(k)] / 12.0;
      if (k < 2) elsewhere += weight;
      if (k == 2 || k == 3) prefix += weight;
      if (k < 4) continue;
      const int64_t dy = (k - 4) / 4 - q / 4, dx = (k - 4) % 4 - q % 4;
      const int64_t hop = std::max(std::abs(dy), std::abs(dx));
      strength[static_cast<size_t>(std::min(hop, hops))] += weight;
      mean += static_cast<double>(hop) * weight;
      row_mass += dy == 0 ? weight : 0.0;
      column_mass += dx == 0 ? weight : 0.0;
      if (std::abs(dx) <= 2) {
        sum[static_cast<size_t>(dy + 2)][static_cast<size_t>(dx + 2)] += 12.0 * weight;
        count[static_cast<size_t>(dy + 2)][static_cast<size_t>(dx + 2)] += 1.0;
      }
    }
  for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(profile.strength[k], strength[k], 1e-5);
  EXPECT_NEAR(profile.mean_hop, mean, 1e-5);
  EXPECT_NEAR(profile.prefix, prefix, 1e-5);
  EXPECT_NEAR(profile.elsewhere, elsewhere, 1e-5);
  EXPECT_NEAR(profile.same_row, row_mass, 1e-5);
  EXPECT_NEAR(profile.same_column, column_mass, 1e-5);
  ASSERT_EQ(profile.offsets.size(), 25U);
  for (size_t y = 0; y < 5; ++y)
    for (size_t x = 0; x < 5; ++x) EXPECT_NEAR(profile.offsets[y * 5 + x], sum[y][x] / count[y][x], 1e-5);
  double whole = profile.prefix + profile.elsewhere;
  for (const double value : profile.strength) whole += value;
  EXPECT_NEAR(whole, 1.0, 1e-5);
  for (size_t k = 0; k < 12; ++k) EXPECT_NEAR(profile.first_row[k], a[2][4 + k], 1e-5);
}

TEST(PatternLabels, are_those_of_plain_patterns) {
  const auto label = [](int64_t side, const auto& weight) {
    const HopGrid grid{0, 0, side, side};
    const auto n = static_cast<size_t>(side * side);
    Matrix a(n, std::vector<double>(n, 0.0));
    for (size_t q = 0; q < n; ++q) {
      double sum = 0.0;
      for (size_t k = 0; k < n; ++k)
        sum += a[q][k] = weight(static_cast<int64_t>(q), static_cast<int64_t>(k));
      for (double& value : a[q]) value /= sum;
    }
    return pattern_label(profile_of(full_map(a), grid, side - 1), grid);
  };
  EXPECT_EQ(label(5, [](int64_t q, int64_t k) { return q == k ? 1.0 : 0.01; }), "self");
  EXPECT_EQ(label(3, [](int64_t, int64_t) { return 1.0; }), "neighbour");  // of 3 x 3 most are neighbours
  EXPECT_EQ(label(5, [](int64_t q, int64_t k) { return q / 5 == k / 5 ? 1.0 : 0.01; }), "row");
  EXPECT_EQ(label(5, [](int64_t q, int64_t k) { return q % 5 == k % 5 ? 1.0 : 0.01; }), "column");
  EXPECT_EQ(label(5, [](int64_t, int64_t) { return 1.0; }), "uniform");
  EXPECT_EQ(label(5, [](int64_t q, int64_t k) { return k == 24 - q ? 1.0 : 0.01; }), "content");
  // A prefix that takes most.
  Matrix a(26, std::vector<double>(26, 0.3 / 25.0));
  for (auto& row : a) row[0] = 0.7;
  const HopGrid grid{0, 1, 5, 5};
  EXPECT_EQ(pattern_label(profile_of(full_map(a), grid, 4), grid), "prefix");
}

TEST(JensenShannon, is_zero_for_equal_and_ln_2_for_disjoint_distributions) {
  EXPECT_NEAR(pruning::jensen_shannon(std::vector{0.5, 0.5}, std::vector{0.5, 0.5}), 0.0, 1e-12);
  EXPECT_NEAR(pruning::jensen_shannon(std::vector{1.0, 0.0}, std::vector{0.0, 1.0}), std::log(2.0), 1e-12);
}

TEST(HeadProfileMethod, sums_to_one_over_pictures_and_texts) {
  for (const VisionLab* lab : {&vit_lab(), &llava_lab()}) {
    const auto result = lab->method("head-profile", {});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const Field& strength = *result->field("strength");
    EXPECT_EQ(axis_names(strength), (std::vector<std::string>{"layer", "head", "hop"}));
    const int64_t hops = strength.values.shape()[2];
    for (int64_t at = 0; at < strength.values.size() / hops; ++at) {
      double sum = result->field("prefix")->values.data()[at] + result->field("elsewhere")->values.data()[at];
      for (int64_t k = 0; k < hops; ++k) sum += strength.values.data()[at * hops + k];
      EXPECT_NEAR(sum, 1.0, 1e-5);
    }
  }
  const auto text = demo().method("head-profile", {{"clusters", 2}});
  ASSERT_TRUE(text.ok()) << text.error().to_string();
  EXPECT_EQ(text->field("cls_row"), nullptr);
  EXPECT_EQ(text->field("drop"), nullptr);
  EXPECT_EQ(text->field("prototype")->values.shape()[0], 2);
}

TEST(HeadProfileMethod, sorts_heads_the_same_way_for_the_same_seed) {
  const auto one = vit_lab().method("head-profile", {{"clusters", 3}, {"seed", 5}}),
             two = vit_lab().method("head-profile", {{"clusters", 3}, {"seed", 5}});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_TRUE(
      std::ranges::equal(one->field("cluster")->values.values(), two->field("cluster")->values.values()));
  EXPECT_TRUE(is_patch_field(*one->field("cls_row")));
}

TEST(HeadPruning, measures_what_runs_without_a_head_lose) {
  const auto result = vit_lab().method("head-profile", {{"importance", "all rows"}, {"turn", true}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Capture& capture = *vit_lab().run->capture;
  const std::vector<double> before = pruning::softmax(capture.last_logits.values());
  const auto best = std::max_element(before.begin(), before.end()) - before.begin();
  for (const char* head : {"0.0", "1.3"}) {
    RunRequest request = vit_lab().run->request;
    request.edits = {*parse_edit(std::string("zero ") + head)};
    request.capture.sites = {{HookSite::ln_final_normalized, -1}};
    const auto run = vit_lab().lab.run(request);
    const std::vector<double> after = pruning::softmax(run->capture->last_logits.values());
    const int64_t l = head[0] - '0', h = head[2] - '0';
    EXPECT_NEAR(result->field("drop")->values.at({l, h}),
                before[static_cast<size_t>(best)] - after[static_cast<size_t>(best)], 1e-5);
    EXPECT_NEAR(result->field("divergence")->values.at({l, h}), pruning::jensen_shannon(before, after), 1e-5);
    EXPECT_GT(result->field("turn")->values.at({l, h}), 0.0);
  }
  const auto cls = vit_lab().method("head-profile", {{"importance", "CLS row"}});
  ASSERT_TRUE(cls.ok());
  // In the last layer only CLS is read: there its row alone is the whole head.
  EXPECT_NEAR(cls->field("drop")->values.at({1, 2}), result->field("drop")->values.at({1, 2}), 1e-5);
  const auto patches = vit_lab().method("head-profile", {{"importance", "patch rows"}});
  ASSERT_TRUE(patches.ok());
  EXPECT_NEAR(patches->field("drop")->values.at({1, 2}), 0.0, 1e-6);
}

TEST(HeadPruning, follows_features_tokens_and_refuses_what_is_not_there) {
  const VisionLab clip("clip");
  const auto features = clip.method("head-profile", {{"importance", "all rows"}});
  ASSERT_TRUE(features.ok()) << features.error().to_string();
  EXPECT_EQ(features->field("drop"), nullptr);
  EXPECT_NE(features->field("turn"), nullptr);
  const auto text = demo().method("head-profile", {{"importance", "all rows"}});
  ASSERT_TRUE(text.ok()) << text.error().to_string();
  EXPECT_NE(text->field("drop"), nullptr);
  EXPECT_THAT(demo().method("head-profile", {{"importance", "CLS row"}}).error().to_string(),
              HasSubstr("picture"));
  EXPECT_THAT(
      vit_lab().method("head-profile", {{"importance", "all rows"}, {"class", 77}}).error().to_string(),
      HasSubstr("class=77"));
  EXPECT_THAT(llava_lab().method("head-profile", {{"importance", "CLS row"}}).error().to_string(),
              HasSubstr("no CLS"));
  EXPECT_THAT(vit_lab().method("head-profile", {{"picture", 2}}).error().to_string(),
              HasSubstr("no picture 2"));
}

}  // namespace
}  // namespace saccade
