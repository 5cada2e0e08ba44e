// scanpath, object-scanpath and visual-search on the tiny models that read pictures.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/images/patch_field.h"
#include "analysis/scanpath/object_boxes.h"
#include "analysis/scanpath/visual_search.h"
#include "core/capture/attention_map.h"
#include "tests/analysis/vision_lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

const KernelSet& kernels() { return kernel_sets().front(); }

double number(const Cell& cell) {
  return std::holds_alternative<double>(cell) ? std::get<double>(cell)
                                              : static_cast<double>(std::get<int64_t>(cell));
}

TEST(ScanpathMethod, takes_the_row_of_cls_in_every_layer_of_a_vit) {
  const auto result = vit_lab().method("scanpath", {{"sink_times", 0.0}, {"sigma", 0.0}, {"heads", "*.1,2"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Field& maps = *result->field("maps");
  EXPECT_EQ(axis_names(maps), (std::vector<std::string>{"step", "patch row", "patch column"}));
  const Capture& capture = *vit_lab().run->capture;
  const ImageRegion& region = capture.images[0];
  const Table& steps = *table_of(*result, "steps");
  ASSERT_EQ(steps.rows.size(), 2U);
  for (int32_t l = 0; l < 2; ++l) {
    int64_t best = 0;
    double most = -1.0;
    for (int64_t patch = 0; patch < region.end() - region.first_patch(); ++patch) {
      double weight = 0.0;
      for (int32_t h = 1; h <= 2; ++h)
        weight += 0.5 * *AttentionMap::of(vit_lab().run->capture, {LayerIndex{l}, HeadIndex{h}}, kernels())
                             ->weight(0, region.first_patch() + patch);
      EXPECT_NEAR(maps.values.slice(l)[static_cast<size_t>(patch)], weight, 1e-5);
      if (weight > most) {
        most = weight;
        best = patch;
      }
    }
    const auto& row = steps.rows[static_cast<size_t>(l)];
    EXPECT_EQ(number(row[2]), static_cast<double>(best));
    const PatchRect rect = rect_of(region, best);
    EXPECT_NEAR(number(row[5]), rect.x + rect.width / 2.0, 1e-9);
    EXPECT_NEAR(number(row[6]), rect.y + rect.height / 2.0, 1e-9);
  }
  EXPECT_EQ(table_of(*result, "fixations")->rows.size(), 2U);
}

TEST(ScanpathMethod, follows_tokens_that_are_read_and_tokens_that_are_generated) {
  const auto read = llava_lab().method("scanpath", {{"over", "tokens"}});
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  const Capture& capture = *llava_lab().run->capture;
  const ImageRegion& region = capture.images[0];
  EXPECT_EQ(read->field("maps")->values.shape()[0], capture.n_token() - region.end());
  const auto made =
      llava_lab().method("scanpath", {{"over", "generated"}, {"generate", 4}, {"sink_times", 0.0}});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  const Field& maps = *made->field("maps");
  EXPECT_LE(maps.values.shape()[0], 4);
  // The first token is read from the prompt's last row, mean of layers and heads.
  const int64_t last = capture.n_token() - 1;
  for (int64_t patch = 0; patch < maps.values.size() / maps.values.shape()[0]; ++patch) {
    double weight = 0.0;
    for (int32_t at = 0; at < 8; ++at)
      weight += 0.125 * *AttentionMap::of(llava_lab().run->capture, {LayerIndex{at / 4}, HeadIndex{at % 4}},
                                          kernels())
                             ->weight(last, region.first_patch() + patch);
    EXPECT_NEAR(maps.values.slice(0)[static_cast<size_t>(patch)], weight, 1e-5);
  }
}

TEST(ScanpathMethod, can_let_the_highest_places_of_the_sum_win_one_after_another) {
  const auto result = vit_lab().method(
      "scanpath", {{"choose", "winner-take-all"}, {"fixations", 4}, {"radius", 0.5}, {"sigma", 0.0}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table& steps = *table_of(*result, "steps");
  ASSERT_EQ(steps.rows.size(), 4U);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_LE(number(steps.rows[i][8]), number(steps.rows[i - 1][8]));
    EXPECT_NE(number(steps.rows[i][2]), number(steps.rows[i - 1][2]));
  }
}

TEST(ScanpathMethod, says_what_it_needs) {
  EXPECT_THAT(demo().method("scanpath", {}).error().to_string(), HasSubstr("--image"));
  EXPECT_THAT(vit_lab().method("scanpath", {{"over", "tokens"}}).error().to_string(),
              HasSubstr("over=layers"));
  EXPECT_THAT(vit_lab().method("scanpath", {{"over", "generated"}}).error().to_string(),
              HasSubstr("does not generate"));
  EXPECT_THAT(vit_lab().method("scanpath", {{"picture", 1}}).error().to_string(), HasSubstr("no picture 1"));
  JobContext job;
  job.cancel.cancel();
  EXPECT_FALSE(vit_lab().method("scanpath", {}, job).ok());
}

TEST(ObjectBoxes, are_read_from_text_and_from_json) {
  const auto boxes = read_boxes("cat:1,2,30,40; dog:5.5,0,9,8;0,0,1,1", {100, 50});
  ASSERT_TRUE(boxes.ok()) << boxes.error().to_string();
  ASSERT_EQ(boxes->size(), 3U);
  EXPECT_EQ((*boxes)[0].name, "cat");
  EXPECT_EQ((*boxes)[1].left, 5.5);
  EXPECT_EQ((*boxes)[2].name, "box 3");
  const auto path = std::filesystem::path(testing::TempDir()) / "boxes.json";
  for (const char* text : {R"([{"label":"cat","box":[1,2,30,40]}])", R"({"cat":[1,2,30,40]})",
                           R"([{"name":"cat","left":1,"top":2,"right":30,"bottom":40}])"}) {
    std::ofstream(path) << text;
    const auto read = read_boxes(path.string(), {});
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    EXPECT_EQ(read->at(0).name, "cat");
    EXPECT_EQ(read->at(0).bottom, 40.0);
  }
  for (const char* text :
       {"7", R"([{"name":"cat","left":1}])", R"({"cat":[1,2,3]})", R"({"cat":[1,2,3,"x"]})", "["}) {
    std::ofstream(path) << text;
    EXPECT_FALSE(read_boxes(path.string(), {}).ok()) << text;
  }
}

TEST(ObjectBoxes, that_cannot_be_are_refused_with_their_names) {
  EXPECT_THAT(read_boxes("", {}).error().to_string(), HasSubstr("no boxes"));
  EXPECT_THAT(read_boxes("cat:1,2,3", {}).error().to_string(), HasSubstr("fewer than four"));
  EXPECT_THAT(read_boxes("cat:1,2,x,4", {}).error().to_string(), HasSubstr("'x' is no number"));
  EXPECT_THAT(read_boxes("cat:5,2,5,4", {}).error().to_string(), HasSubstr("no area"));
  EXPECT_THAT(read_boxes("cat:100,2,105,4", {100, 50}).error().to_string(), HasSubstr("off the picture"));
}

TEST(ObjectScanpathMethod, names_the_objects_in_order_with_ratios_that_sum_to_one) {
  const ImageRegion& region = vit_lab().run->capture->images[0];
  const int w = region.geometry.original_width, h = region.geometry.original_height;
  const std::string halves = "left:0,0," + std::to_string(w / 2) + "," + std::to_string(h) +
                             ";right:" + std::to_string(w / 2) + ",0," + std::to_string(w) + "," +
                             std::to_string(h);
  const auto result = vit_lab().method("object-scanpath", {{"boxes", halves}, {"target", "left"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table& behaviour = *table_of(*result, "behaviour");
  ASSERT_EQ(behaviour.rows.size(), 1U);
  EXPECT_NEAR(number(behaviour.rows[0][1]) + number(behaviour.rows[0][2]) + number(behaviour.rows[0][3]), 1.0,
              1e-9);
  EXPECT_EQ(number(behaviour.rows[0][5]), 2.0);  // two layers, every fixation on one of the halves
  const Table& dwell = *table_of(*result, "dwell");
  EXPECT_NEAR(number(dwell.rows[0][3]) + number(dwell.rows[1][3]), 1.0, 1e-6);
  EXPECT_THAT(vit_lab().method("object-scanpath", {{"boxes", halves}, {"target", "cow"}}).error().to_string(),
              HasSubstr("left, right"));
  EXPECT_FALSE(vit_lab().method("object-scanpath", {}).ok());
  EXPECT_THAT(vit_lab().method("object-scanpath", {{"boxes", "far:900,900,999,999"}}).error().to_string(),
              HasSubstr("off the picture"));
  EXPECT_FALSE(demo().method("object-scanpath", {{"boxes", halves}}).ok());
}

TEST(ObjectScanpathMethod, compares_with_peoples_gaze) {
  const ImageRegion& region = vit_lab().run->capture->images[0];
  const int w = region.geometry.original_width, h = region.geometry.original_height;
  const auto path = std::filesystem::path(testing::TempDir()) / "people.csv";
  std::ofstream(path) << "subject,stimulus,index,x,y,duration_ms\na,p,0,1,1,200\na,p,1," << w - 1 << ","
                      << h - 1 << ",300\n";
  const std::string halves = "left:0,0," + std::to_string(w / 2) + "," + std::to_string(h) +
                             ";right:" + std::to_string(w / 2) + ",0," + std::to_string(w) + "," +
                             std::to_string(h);
  const auto result = vit_lab().method("object-scanpath", {{"boxes", halves}, {"gaze", path.string()}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(table_of(*result, "behaviour")->rows.size(), 2U);
  const Table* against = table_of(*result, "against people");
  ASSERT_NE(against, nullptr);
  const double score = number(against->rows[0][1]);
  EXPECT_GE(score, 0.0);
  EXPECT_LE(score, 1.0);
}

TEST(VisualSearchMethod, compares_patches_with_the_targets_mean_feature) {
  const ImageRegion& region = vit_lab().run->capture->images[0];
  const PatchRect rect = rect_of(region, 0);
  const std::string box = std::to_string(rect.x) + "," + std::to_string(rect.y) + "," +
                          std::to_string(rect.x + rect.width) + "," + std::to_string(rect.y + rect.height);
  const auto result = vit_lab().method(
      "visual-search", {{"target", box}, {"slope", 0.0}, {"inhibition", 0.9}, {"fixations", 12}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Field& match = *result->field("match");
  EXPECT_EQ(axis_names(match), (std::vector<std::string>{"step", "patch row", "patch column"}));
  const HostTensor& x = vit_lab().run->capture->final_resid;
  const auto dot = [&](int64_t a, int64_t b) {
    double sum = 0.0;
    for (size_t c = 0; c < x.slice(0).size(); ++c) sum += static_cast<double>(x.slice(a)[c]) * x.slice(b)[c];
    return sum;
  };
  const int64_t first = region.first_patch();
  for (int64_t patch = 0; patch < region.end() - first; ++patch)
    EXPECT_NEAR(match.values.slice(0)[static_cast<size_t>(patch)],
                dot(first, first + patch) / std::sqrt(dot(first, first) * dot(first + patch, first + patch)),
                1e-5);
  // What looks exactly like the target is the target: the second fixation finds it.
  EXPECT_THAT(result->findings[0], HasSubstr("found with 2 fixations"));
  EXPECT_EQ(number(table_of(*result, "steps")->rows[1][1]), 0.0);
}

TEST(VisualSearchMethod, takes_another_picture_as_its_target_and_says_what_it_needs) {
  const std::string picture = SACCADE_SOURCE_DIR "/tests/data/pictures/colours.png";
  const auto result = vit_lab().method("visual-search", {{"target_picture", picture},
                                                         {"fixations", 3},
                                                         {"inhibition", 1.0},
                                                         {"levels", "0,1,-1"},
                                                         {"centre", true}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(table_of(*result, "steps")->rows.size(), 3U);
  EXPECT_THAT(result->findings[0], HasSubstr("without a box"));
  EXPECT_THAT(vit_lab().method("visual-search", {}).error().to_string(), HasSubstr("needs a target"));
  EXPECT_THAT(vit_lab().method("visual-search", {{"target", "900,900,950,950"}}).error().to_string(),
              HasSubstr("off the picture"));
  EXPECT_THAT(vit_lab().method("visual-search", {{"target", "0,0,9,9"}, {"levels", "7"}}).error().to_string(),
              HasSubstr("0 to 2"));
  EXPECT_THAT(vit_lab().method("visual-search", {{"target", "0,0,9,9"}, {"levels", "a"}}).error().to_string(),
              HasSubstr("levels='a'"));
  EXPECT_THAT(demo().method("visual-search", {{"target", "0,0,9,9"}}).error().to_string(),
              HasSubstr("--image"));
  EXPECT_FALSE(vit_lab().method("visual-search", {{"target_picture", "/nowhere.png"}}).ok());
}

}  // namespace
}  // namespace saccade
