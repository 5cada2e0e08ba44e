// rollout, attention-flow and vlsam-flow on runs of text and of pictures.
#include <gmock/gmock.h>

#include <numeric>

#include "analysis/images/patch_field.h"
#include "tests/analysis/vision_lab.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

double sum_of(const Field& field) {
  return std::accumulate(field.values.values().begin(), field.values.values().end(), 0.0);
}

class FlowMethods : public testing::TestWithParam<std::string> {};

TEST_P(FlowMethods, work_on_a_text_and_refuse_positions_beyond_it) {
  const auto result = demo().method(GetParam(), {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto run = demo().run("The cat sat.");
  const Table* tokens = table_of(*result, "tokens");
  ASSERT_NE(tokens, nullptr);
  EXPECT_EQ(static_cast<int64_t>(tokens->rows.size()), run->capture->n_token());
  for (const Field& field : result->fields) EXPECT_FALSE(is_patch_field(field)) << field.name;
  EXPECT_FALSE(result->findings.empty());
  EXPECT_THAT(demo().method(GetParam(), {{"query", 99}}).error().to_string(), HasSubstr("query=99"));
  EXPECT_THAT(demo().method(GetParam(), {{"heads", "9.9 query=3"}}).error().to_string(), HasSubstr("heads="));
  EXPECT_FALSE(demo().method(GetParam(), {{"heads", "banana"}}).ok());
}

TEST_P(FlowMethods, give_maps_over_the_patches_of_pictures) {
  for (const VisionLab* lab : {&vit_lab(), &llava_lab()}) {
    const auto result = lab->method(GetParam(), {});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const ImageRegion& region = lab->run->capture->images.at(0);
    const auto found = std::find_if(result->fields.begin(), result->fields.end(), is_patch_field);
    ASSERT_NE(found, result->fields.end());
    EXPECT_EQ(patch_extent(*found), (PatchExtent{region.grid_height, region.grid_width}));
    const std::string over = found->name.substr(0, found->name.find("_patches"));
    const Field* all = result->field(over);
    ASSERT_NE(all, nullptr);
    for (int64_t patch = 0; patch < region.end() - region.first_patch(); ++patch)
      EXPECT_EQ(found->values.data()[patch], all->values.data()[region.first_patch() + patch]);
  }
}

TEST_P(FlowMethods, stop_when_they_are_cancelled) {
  JobContext job;
  job.cancel.cancel();
  const auto found = find_method(GetParam());
  MethodInput input;
  input.capture = vit_lab().run->capture;
  input.kernels = &vit_lab().lab.runner->kernels();
  EXPECT_EQ((*found)->compute(input, job).error().code, ErrorCode::cancelled);
}

INSTANTIATE_TEST_SUITE_P(All, FlowMethods, testing::Values("rollout", "attention-flow", "vlsam-flow"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(RolloutMethod, gives_shares_that_sum_to_one_at_every_layer_and_the_whole_map) {
  const auto result = vit_lab().method("rollout", {{"whole", true}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_NEAR(sum_of(*result->field("rollout")), 1.0, 1e-5);
  const Field& layers = *result->field("by_layer");
  EXPECT_EQ(axis_names(layers), (std::vector<std::string>{"layer", "token"}));
  EXPECT_NEAR(sum_of(layers), 2.0, 1e-5);
  EXPECT_EQ(axis_names(*result->field("by_layer_patches")),
            (std::vector<std::string>{"layer", "patch row", "patch column"}));
  const Field& map = *result->field("map");
  const int64_t n = vit_lab().run->capture->n_token();
  EXPECT_NEAR(sum_of(map), static_cast<double>(n), 1e-4);
  for (int64_t j = 0; j < n; ++j)  // CLS is where a ViT is read
    EXPECT_NEAR(map.values.at({0, j}), result->field("rollout")->values.at({j}), 1e-5);
}

TEST(AttentionFlowMethod, gives_flows_that_the_smallest_cuts_allow) {
  const auto result = vit_lab().method("attention-flow", {{"query", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_NEAR(sum_of(*result->field("share")), 1.0, 1e-5);
  const auto whole = vit_lab().method("rollout", {{"query", 2}});
  const Field& flow = *result->field("flow");
  for (int64_t j = 0; j < flow.values.size(); ++j) {
    EXPECT_LE(flow.values.at({j}), 1.0 + 1e-6);
    // What takes every path in proportion never is more than the largest flow.
    EXPECT_GE(flow.values.at({j}), whole->field("rollout")->values.at({j}) - 1e-5);
  }
}

TEST(AttentionFlowMethod, says_what_to_do_with_long_runs_and_what_pruning_took) {
  EXPECT_THAT(vit_lab().method("attention-flow", {{"most_tokens", 5}}).error().to_string(),
              HasSubstr("most_tokens"));
  const auto pruned = vit_lab().method("attention-flow", {{"prune", 0.02}});
  ASSERT_TRUE(pruned.ok());
  EXPECT_THAT(pruned->findings.back(), HasSubstr("left out"));
}

TEST(VlSamFlowMethod, has_a_positive_and_a_negative_point_in_pixels_of_the_picture) {
  const auto result = llava_lab().method("vlsam-flow", {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* points = table_of(*result, "points");
  ASSERT_NE(points, nullptr);
  ASSERT_EQ(points->rows.size(), 2U);
  const ImageRegion& region = llava_lab().run->capture->images[0];
  const Field& flow = *result->field("flow_patches");
  const auto [least, most] = std::minmax_element(flow.values.values().begin(), flow.values.values().end());
  EXPECT_NEAR(std::get<double>(points->rows[1][6]), *least, 1e-6);
  EXPECT_LE(std::get<double>(points->rows[0][6]), *most + 1e-6);
  for (const auto& row : points->rows) {
    EXPECT_GE(std::get<double>(row[4]), 0.0);
    EXPECT_LE(std::get<double>(row[4]), region.geometry.original_width);
  }
  EXPECT_EQ(axis_names(*result->field("head_weight")), (std::vector<std::string>{"layer", "head"}));
}

}  // namespace
}  // namespace saccade
