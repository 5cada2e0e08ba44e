// Methods about pictures on tiny random models: what they choose is what its definition chooses from the
// maps, what they foretell is what a run under their edits gives, and runs of text are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "analysis/images/gaze_shift.h"
#include "analysis/images/token_pruning.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"
#include "tests/analysis/lab.h"
#include "tests/core/run/vision_fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

struct OnPicture {
  fixtures::Opened opened;
  std::shared_ptr<const Run> run;

  explicit OnPicture(const std::string& variant)
      : opened(fixtures::open(fixtures::vision_golden(variant).string())),
        run(fixtures::run(opened, fixtures::vision_request(opened, fixtures::Numbers(variant)))) {}
  [[nodiscard]] Result<AnalysisResult> method(
      const std::string& id, const nlohmann::json& parameters = nlohmann::json::object()) const {
    return run_method(**find_method(id), parameters, run, {opened.model, opened.runner.get(), {}}, {});
  }
  // The last logits under the edits of a table's column.
  [[nodiscard]] std::shared_ptr<const Run> under(const std::vector<std::string>& edits) const {
    RunRequest request = run->request;
    for (const std::string& text : edits) {
      const auto edit = parse_edit(text);
      EXPECT_TRUE(edit.ok()) << text << ": " << edit.error().to_string();
      if (edit.ok()) request.edits.push_back(*edit);
    }
    return fixtures::run(opened, request);
  }
  [[nodiscard]] double kl_of(const std::shared_ptr<const Run>& other) const {
    return keep_answer(other->capture->last_logits, {}, &run->capture->last_logits).kl;
  }
};

std::vector<std::string> texts(const AnalysisResult& result, const std::string& table, size_t column) {
  std::vector<std::string> found;
  if (const Table* made = table_of(result, table))
    for (const auto& row : made->rows) found.push_back(std::get<std::string>(row[column]));
  return found;
}

bool is_over_patches(const Field& field) {
  return field.axes.size() == 2 && field.axes[0].kind == AxisKind::other &&
         field.axes[0].name == "patch row" && field.axes[1].name == "patch column";
}

TEST(PictureMethods, refuse_runs_of_text_with_what_to_do) {
  const auto run = demo().run("The cat sat.");
  for (const char* id : {"hiprune", "token-exit", "gift", "carve", "imbalance-boost"}) {
    const auto result = run_method(**find_method(id), nlohmann::json::object(), run,
                                   {demo().model, demo().runner.get(), {}}, {});
    ASSERT_FALSE(result.ok()) << id;
    EXPECT_THAT(result.error().message, HasSubstr("--image FILE")) << id;
    EXPECT_THAT(result.error().message, HasSubstr(id));
  }
}

TEST(PictureMethods, that_need_a_question_refuse_models_of_pictures_alone) {
  const OnPicture vit("vit");
  for (const char* id : {"gift", "carve", "imbalance-boost"}) {
    const auto result = vit.method(id);
    ASSERT_FALSE(result.ok()) << id;
    EXPECT_EQ(result.error().code, ErrorCode::unsupported);
    EXPECT_THAT(result.error().message, HasSubstr("decoder"));
  }
}

// Importance by its definition, from the maps of a model of pictures.
TEST(HiPrune, keeps_what_the_maps_of_the_encoder_say) {
  const OnPicture vit("vit");
  const auto result =
      vit.method("hiprune", {{"budget", 5}, {"alpha", 1.0}, {"object_layer", 0}, {"output_layer", 1}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const ImageRegion& region = vit.run->capture->images.at(0);
  const int64_t n = vit.run->capture->n_token();
  const auto importance = [&](int32_t layer) {
    std::vector<double> mean(static_cast<size_t>(region.end() - region.first_patch()), 0.0);
    const int32_t heads = vit.run->capture->spec.n_head;
    for (int32_t h = 0; h < heads; ++h) {
      std::vector<float> map(static_cast<size_t>(n * n));
      EXPECT_TRUE(
          AttentionMap::of(vit.run->capture, {LayerIndex{layer}, HeadIndex{h}}, vit.opened.runner->kernels())
              ->rows(0, n, n, map)
              .ok());
      for (int64_t i = 0; i < n; ++i)
        for (size_t j = 0; j < mean.size(); ++j)
          mean[j] +=
              map[static_cast<size_t>(i * n + region.first_patch()) + j] / static_cast<double>(n * heads);
    }
    return mean;
  };
  const auto object = importance(0), output = importance(1);
  const auto roles = prune_tokens(object, output, region.grid_height, region.grid_width, {5, 1.0, false});
  const Field& field = *result->field("role");
  EXPECT_TRUE(is_over_patches(field));
  for (size_t j = 0; j < roles.size(); ++j) {
    EXPECT_EQ(field.values.data()[j], static_cast<float>(roles[j])) << j;
    EXPECT_NEAR(result->field("object_importance")->values.data()[j], object[j], 1e-6);
  }
}

TEST(HiPrune, the_answer_without_the_others_is_that_of_a_run_under_its_edit) {
  for (const char* variant : {"llava", "llava_siglip", "vit"}) {
    const OnPicture picture(variant);
    const auto result = picture.method("hiprune", {{"budget", 2}, {"object_layer", 0}});
    ASSERT_TRUE(result.ok()) << variant << ": " << result.error().to_string();
    const auto edits = texts(*result, "edits", 1);
    ASSERT_EQ(edits.size(), 1U) << variant;
    const Table* budgets = table_of(*result, "budgets");
    ASSERT_NE(budgets, nullptr);
    EXPECT_NEAR(std::get<double>(budgets->rows[0][1]), picture.kl_of(picture.under(edits)), 1e-6) << variant;
    EXPECT_GT(budgets->rows.size(), 1U) << "the sweep";
    const Field* spread = result->field("dispersion");
    ASSERT_NE(spread, nullptr);
    EXPECT_FALSE(std::isnan(spread->values.data()[0]));
  }
}

TEST(HiPrune, a_model_of_pictures_without_a_layer_behind_the_object_layer_measures_nothing) {
  const OnPicture vit("vit");
  const int32_t last = vit.opened.model->spec().n_layer - 1;
  const auto result = vit.method("hiprune", {{"object_layer", last}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(table_of(*result, "budgets"), nullptr);
  EXPECT_THAT(result->findings.back(), HasSubstr("not measured"));
}

TEST(HiPrune, layers_that_the_encoder_does_not_have_are_refused) {
  const OnPicture llava("llava");
  const auto result = llava.method("hiprune", {{"object_layer", 50}});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("not 50"));
}

TEST(TokenExit, the_sweep_is_that_of_plain_runs_with_the_picture_hidden) {
  for (const char* variant : {"llava", "vit"}) {
    const OnPicture picture(variant);
    const auto result = picture.method("token-exit", {{"tolerance", 1e-9}});
    ASSERT_TRUE(result.ok()) << variant << ": " << result.error().to_string();
    const ImageRegion& region = picture.run->capture->images[0];
    const int32_t layers = picture.opened.model->spec().n_layer;
    const Field& kl = *result->field("kl");
    ASSERT_EQ(kl.values.size(), layers + 1);
    EXPECT_NEAR(kl.values.data()[layers], 0.0F, 1e-6F) << "hidden nowhere";
    const std::string rows = region.n_prefix > 0 ? " query=0:" + std::to_string(region.n_prefix) : "";
    for (int32_t l = 0; l < layers; ++l) {
      const auto hidden = picture.under({"knockout " + std::to_string(l) + "-" + std::to_string(layers - 1) +
                                         ".*" + rows + " key=" + std::to_string(region.first_patch()) + ":" +
                                         std::to_string(region.end())});
      EXPECT_NEAR(kl.values.data()[l], picture.kl_of(hidden), 1e-5) << variant << " layer " << l;
    }
    EXPECT_GT(kl.values.data()[0], 1e-7F) << "the picture matters";
  }
}

TEST(TokenExit, masses_are_sums_of_the_map_and_the_least_looking_heads_lose_their_block) {
  const OnPicture llava("llava");
  const auto result = llava.method("token-exit", {{"inactive", 0.5}, {"radius", 1}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const ImageRegion& region = llava.run->capture->images[0];
  const int64_t n = llava.run->capture->n_token();
  const HostTensor& ratio = result->field("patch_ratio")->values;
  std::vector<float> map(static_cast<size_t>(n * n));
  ASSERT_TRUE(
      AttentionMap::of(llava.run->capture, {LayerIndex{1}, HeadIndex{0}}, llava.opened.runner->kernels())
          ->rows(0, n, n, map)
          .ok());
  double on_patches = 0.0, all = 0.0;
  for (int64_t i = region.first_patch(); i < region.end(); ++i)
    for (int64_t j = 0; j < n; ++j) {
      const double weight = map[static_cast<size_t>(i * n + j)];
      all += weight;
      if (j >= region.first_patch() && j < region.end()) on_patches += weight;
    }
  EXPECT_NEAR(ratio.at({1, 0}), on_patches / all, 1e-5);
  const auto kinds = texts(*result, "edits", 0), edits = texts(*result, "edits", 1);
  const auto inactive = std::count(kinds.begin(), kinds.end(), "inactive");
  EXPECT_EQ(inactive, ratio.size() / 2);
  float most_inactive = 0.0F, least_active = 1.0F;
  std::set<std::string> named;
  for (size_t e = 0; e < edits.size(); ++e)
    if (kinds[e] == "inactive") named.insert(edits[e].substr(9, edits[e].find(' ', 9) - 9));
  for (int64_t at = 0; at < ratio.size(); ++at) {
    const HeadId head{LayerIndex{static_cast<int32_t>(at / ratio.shape()[1])},
                      HeadIndex{static_cast<int32_t>(at % ratio.shape()[1])}};
    (named.contains(to_string(head)) ? most_inactive = std::max(most_inactive, ratio.data()[at])
                                     : least_active = std::min(least_active, ratio.data()[at]));
  }
  EXPECT_LE(most_inactive, least_active);
  ASSERT_NE(llava.under(edits), nullptr) << "all of them can be run";
}

TEST(Gift, saliency_is_that_of_the_maps_and_the_edits_multiply_the_weights) {
  const OnPicture llava("llava");
  const auto result = llava.method(
      "gift",
      {{"alpha", 2.0}, {"layer", 0}, {"from", 0}, {"to", 0}, {"content_words", false}, {"steps", 256}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Capture& capture = *llava.run->capture;
  const ImageRegion& region = capture.images[0];
  const int64_t n = capture.n_token(), last = n - 1;
  const auto edits = texts(*result, "edits", 0);
  ASSERT_FALSE(edits.empty());
  EXPECT_TRUE(is_over_patches(*result->field("saliency")));
  // p of the last row under the edits: image times m, question times r, normalised.
  const auto edited = llava.under(edits);
  for (int32_t h = 0; h < capture.spec.n_head; ++h) {
    const HeadId head{LayerIndex{0}, HeadIndex{h}};
    std::vector<float> before(static_cast<size_t>(n)), after(before);
    ASSERT_TRUE(AttentionMap::of(llava.run->capture, head, llava.opened.runner->kernels())
                    ->rows(last, n, n, before)
                    .ok());
    ASSERT_TRUE(AttentionMap::of(edited->capture, head, llava.opened.runner->kernels())
                    ->rows(last, n, n, after)
                    .ok());
    std::vector<double> expected(before.begin(), before.end());
    std::vector<double> image, factors;
    for (int64_t j = region.first_patch(); j < region.end(); ++j) {
      const double level =
          std::lround(double{result->field("saliency")->values.data()[j - region.first_patch()]} * 255.0) /
          255.0;
      image.push_back(expected[static_cast<size_t>(j)]);
      factors.push_back(std::exp(2.0 * level));
      expected[static_cast<size_t>(j)] *= factors.back();
    }
    for (int64_t j = region.end(); j < n; ++j)
      expected[static_cast<size_t>(j)] *= question_factor(image, factors);
    double sum = 0.0;
    for (const double value : expected) sum += value;
    for (size_t j = 0; j < expected.size(); ++j)
      EXPECT_NEAR(after[j], expected[j] / sum, 2e-5) << h << " " << j;
  }
  const Table* answer = table_of(*result, "answer");
  ASSERT_NE(answer, nullptr);
  EXPECT_NEAR(std::get<double>(answer->rows[0][0]), llava.kl_of(edited), 1e-6);
}

TEST(Gift, a_question_that_is_not_behind_the_picture_is_refused) {
  const OnPicture llava("llava");
  const auto result = llava.method("gift", {{"question", "0:1"}});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("has to follow the picture"));
  EXPECT_FALSE(llava.method("gift", {{"question", "loud"}}).ok());
}

TEST(ImbalanceBoost, the_answer_is_that_of_a_run_under_its_edits) {
  for (const char* variant : {"llava", "llava_siglip"}) {
    const OnPicture llava(variant);
    for (const bool per_head : {false, true}) {
      const auto result = llava.method("imbalance-boost", {{"per_head", per_head}});
      ASSERT_TRUE(result.ok()) << result.error().to_string();
      EXPECT_TRUE(is_over_patches(*result->field("group")));
      const auto edits = texts(*result, "edits", 0);
      ASSERT_FALSE(edits.empty());
      EXPECT_THAT(edits[0], testing::StartsWith("boost "));
      const Table* answer = table_of(*result, "answer");
      ASSERT_NE(answer, nullptr);
      EXPECT_NEAR(std::get<double>(answer->rows[0][0]), llava.kl_of(llava.under(edits)), 1e-6);
    }
  }
}

TEST(Carve, asks_four_times_and_masks_where_the_question_looks_more) {
  const OnPicture llava("llava");
  const auto result = llava.method("carve", {{"general", "ids:5,6,7"}, {"tokens", 4}, {"share", 0.3}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* answers = table_of(*result, "answers");
  ASSERT_NE(answers, nullptr);
  EXPECT_EQ(answers->rows.size(), 4U);
  EXPECT_FALSE(result->partial);
  const Field &contrast = *result->field("contrast"), &mask = *result->field("mask");
  EXPECT_TRUE(is_over_patches(contrast) && is_over_patches(mask));
  // What is kept lies higher than what is not.
  double kept = 0.0, left = 0.0, kept_weight = 0.0, left_weight = 0.0;
  for (int64_t j = 0; j < mask.values.size(); ++j) {
    kept += double{mask.values.data()[j]} * contrast.values.data()[j];
    kept_weight += mask.values.data()[j];
    left += (1.0 - mask.values.data()[j]) * contrast.values.data()[j];
    left_weight += 1.0 - mask.values.data()[j];
  }
  EXPECT_GT(kept / kept_weight, left / left_weight);
  EXPECT_LE(kept_weight, 0.31 * static_cast<double>(mask.values.size()));
  const auto edits = texts(*result, "edits", 0);
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_NE(llava.under(edits), nullptr);
}

TEST(Carve, the_same_instruction_twice_has_no_contrast) {
  const OnPicture llava("llava");
  const ImageRegion& region = llava.run->capture->images[0];
  std::string ids = "ids:";
  for (int64_t at = region.end(); at < llava.run->capture->n_token(); ++at)
    ids += (at > region.end() ? "," : "") +
           std::to_string(llava.run->capture->tokens[static_cast<size_t>(at)].id);
  const auto result = llava.method("carve", {{"general", ids}, {"tokens", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto values = result->field("contrast")->values.values();
  for (const float value : values) EXPECT_NEAR(value, values[0], 1e-3) << "the ratio is 1 everywhere";
}

TEST(Carve, an_instruction_that_cannot_be_read_says_how_to_give_one) {
  const OnPicture llava("llava");
  const auto result = llava.method("carve");
  if (!result.ok()) {
    EXPECT_THAT(result.error().to_string(), HasSubstr("ids:5,6,7"));
  }
  const auto wrong = llava.method("carve", {{"general", "ids:a"}});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message, HasSubstr("ids:5,6,7"));
}

}  // namespace
}  // namespace saccade
