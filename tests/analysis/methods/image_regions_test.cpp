// image-regions and damro: slow references and invariants on the random models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/methods/damro.h"
#include "core/capture/attention_map.h"
#include "tests/analysis/methods/seeing_lab.h"

namespace saccade {
namespace {

using seeing::llava;
using testing::HasSubstr;

// The picture's halves, in its own pixels.
std::string halves(const ImageRegion& image) {
  const int w = image.geometry.original_width, h = image.geometry.original_height;
  return "left:0,0," + std::to_string(w / 2) + "," + std::to_string(h) + ";right:" + std::to_string(w / 2) +
         ",0," + std::to_string(w) + "," + std::to_string(h);
}

TEST(ImageRegions, of_halves_add_up_to_the_picture) {
  for (const seeing::Seeing* model : {&llava(), &seeing::llava_siglip()}) {
    const Capture& capture = *model->run->capture;
    const auto result =
        model->method("image-regions", {{"regions", halves(capture.images[0])}, {"generate", 3}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const int64_t n = capture.n_token(), heads = capture.spec.n_head;
    double areas = 0.0;
    for (const auto& row : table_of(*result, "regions")->rows) areas += std::get<double>(row[1]);
    EXPECT_NEAR(areas, 1.0, 1e-9);
    for (int32_t l = 0; l < capture.spec.n_layer; ++l)
      for (int32_t h = 0; h < heads; ++h) {
        const auto map =
            AttentionMap::of(model->run->capture, {LayerIndex{l}, HeadIndex{h}}, model->lab.runner->kernels())
                .value();
        std::vector<float> row(static_cast<size_t>(n));
        ASSERT_TRUE(map.rows(n - 1, n, n, row).ok());
        double picture = 0.0;
        for (int64_t j = capture.images[0].begin; j < capture.images[0].end(); ++j)
          picture += row[static_cast<size_t>(j)];
        const double left = result->field("left_mass")->values.at({l, h}),
                     right = result->field("right_mass")->values.at({l, h});
        EXPECT_NEAR(result->field("picture")->values.at({l, h}), picture, 1e-5);
        EXPECT_NEAR(left + right, picture, 1e-5);
        const double area = std::get<double>(table_of(*result, "regions")->rows[0][1]);
        EXPECT_NEAR(result->field("left_enrichment")->values.at({l, h}), left / picture / area, 1e-4);
      }
    EXPECT_EQ(result->field("left_steps")->values.shape()[0],
              std::ssize(table_of(*result, "steps")->rows) / 2);
  }
}

TEST(ImageRegions, are_looked_at_as_their_size_says_where_attention_is_uniform) {
  const seeing::Seeing& model = llava();
  RunRequest uniform = model.request;
  uniform.edits = {parse_edit("uniform *.* by=1").value()};
  const auto run = model.lab.run(uniform);
  const auto result = model.method("image-regions", {{"regions", "a:0,0,7,9"}}, run);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  for (const float value : result->field("a_enrichment")->values.values()) EXPECT_NEAR(value, 1.0F, 1e-5F);
}

TEST(ImageRegions, work_for_models_that_read_pictures_alone) {
  const Lab vit = Lab::open(seeing::data("vision_goldens/vit").string());
  const auto picture = read_picture(seeing::data("pictures/colours.png"));
  const auto image = prepare_image(*vit.model, *picture);
  ASSERT_TRUE(image.ok()) << image.error().to_string();
  const auto run = vit.run(vit.runner->request(place_images(*vit.model, {}, {*image}).value()));
  const auto method = find_method("image-regions").value();
  const auto result = run_method(*method, {{"regions", "a:0,0,5,5"}, {"query", "0"}}, run,
                                 {vit.model, vit.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_GT(result->field("a_mass")->values.at({0, 0}), 0.0F);
}

TEST(ImageRegions, refuse_what_they_cannot_do) {
  EXPECT_THAT(seeing::refusal_on_text("image-regions", {{"regions", "a:0,0,5,5"}}),
              HasSubstr("reads text only"));
  EXPECT_THAT(llava().method("image-regions", {}).error().message, HasSubstr("needs regions"));
  EXPECT_THAT(llava().method("image-regions", {{"regions", "a:0,0,5,5"}, {"query", "99"}}).error().message,
              HasSubstr("found '99'"));
  EXPECT_THAT(llava().method("image-regions", {{"regions", "a:0,0,5,5"}, {"picture", 2}}).error().message,
              HasSubstr("picture 2: the prompt has 1"));
  EXPECT_THAT(llava().method("image-regions", {{"regions", "a:9000,0,9001,5"}}).error().message,
              HasSubstr("covers nothing"));
}

TEST(Damro, gives_a_position_of_merged_patches_what_they_weigh_together) {
  ImageRegion patches, positions;
  patches.grid_height = 2;
  patches.grid_width = 4;
  positions.grid_height = 1;
  positions.grid_width = 2;
  const auto sums = damro::weights_of_positions({1, 2, 10, 20, 4, 8, 40, 80}, patches, positions);
  ASSERT_TRUE(sums.ok());
  EXPECT_THAT(*sums, testing::ElementsAre(15.0, 150.0));
  EXPECT_THAT(*damro::weights_of_positions({3, 4}, positions, positions), testing::ElementsAre(3.0, 4.0));
  positions.grid_width = 3;
  EXPECT_THAT(damro::weights_of_positions({1, 2, 10, 20, 4, 8, 40, 80}, patches, positions).error().message,
              HasSubstr("2 x 4 patches and the decoder 1 x 3"));
}

TEST(Damro, weighs_patches_as_one_product_over_all_heads) {
  for (const seeing::Seeing* model : {&llava(), &seeing::llava_siglip()}) {
    const auto tower =
        model->lab.runner->run_tower(model->request.tokens.images[0].image, damro::tower_plan(), {});
    ASSERT_TRUE(tower.ok()) << tower.error().to_string();
    const auto& capture = (*tower)->capture;
    const int64_t n = capture->n_token(), first = capture->images[0].first_patch();
    const auto got = damro::encoder_weights(capture, false, model->lab.runner->kernels());
    ASSERT_TRUE(got.ok()) << got.error().to_string();
    const HostTensor &q = capture->layers.back()->q, &k = capture->layers.back()->k;
    const int64_t width = q.size() / n, rows = first > 0 ? 1 : n;
    std::vector<double> wanted(static_cast<size_t>(n), 0.0);
    for (int64_t i = 0; i < rows; ++i) {
      std::vector<double> e(static_cast<size_t>(n));
      double sum = 0.0;
      for (int64_t j = 0; j < n; ++j) {
        double s = 0.0;
        for (int64_t c = 0; c < width; ++c) s += double{q.data()[i * width + c]} * k.data()[j * width + c];
        sum += e[static_cast<size_t>(j)] = std::exp(s / std::sqrt(double(width)));
      }
      for (int64_t j = 0; j < n; ++j)
        wanted[static_cast<size_t>(j)] += e[static_cast<size_t>(j)] / sum / double(rows);
    }
    ASSERT_EQ(std::ssize(*got), n - first);
    for (int64_t p = 0; p < n - first; ++p)
      EXPECT_NEAR((*got)[static_cast<size_t>(p)], wanted[static_cast<size_t>(first + p)], 1e-6);
    // by heads: rows of maps sum to one with the prefix
    const auto heads = damro::encoder_weights(capture, true, model->lab.runner->kernels());
    ASSERT_TRUE(heads.ok());
    double sum = 0.0;
    for (const double weight : *heads) sum += weight;
    EXPECT_LE(sum, 1.0 + 1e-5);
    if (first == 0) {
      EXPECT_NEAR(sum, 1.0, 1e-5);
    }
  }
}

TEST(Damro, takes_the_strongest_patches_and_measures_their_overlap) {
  const std::vector<double> weights{0.1, 0.4, 0.2, 0.4, 0.05};
  EXPECT_THAT(damro::outliers(weights, 3), testing::ElementsAre(1, 3, 2));
  EXPECT_EQ(damro::outliers(weights, 99).size(), 5U);
  EXPECT_EQ(damro::overlap({1, 3, 2}, {2, 3, 4}), 0.5);
  EXPECT_EQ(damro::overlap({1}, {1}), 1.0);
}

TEST(DamroMethod, answers_as_the_contrast_of_its_two_prompts) {
  const seeing::Seeing& model = llava();
  const auto result = model.method("damro", {{"outliers", 3}, {"contrast", 1.5}, {"generate", 5}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto found = damro::outliers_in(*model.lab.runner, model.request, {.k = 3}, {});
  ASSERT_TRUE(found.ok());
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(std::get<int64_t>(table_of(*result, "outliers")->rows[i][2]), 3 + found->at(0)[i]);
  SamplingOptions sampling;
  sampling.max_tokens = 5;
  sampling.contrast = damro::contrast(model.request, *found, {.k = 3, .alpha = 1.5}).value();
  EXPECT_EQ(sampling.contrast.negative->tokens.size(), model.request.tokens.size() - 9 + 3);
  const auto answer = model.lab.runner->generate(model.request, sampling, {}, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(std::get<std::string>(table_of(*result, "answers")->rows[1][1]), answer->text);
}

TEST(DamroMethod, refuses_what_it_cannot_do) {
  EXPECT_THAT(seeing::refusal_on_text("damro", {}), HasSubstr("reads text only"));
  EXPECT_THAT(llava().method("damro", {{"outliers", 9}}).error().message,
              HasSubstr("the picture has 9 tokens"));
}

}  // namespace
}  // namespace saccade
