// Runs with pictures: edits, captures, batches, decoding and dumps do what they do with text; and what is
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "core/run/similarity.h"
#include "tests/core/run/vision_fixtures.h"

namespace saccade {
namespace {

using fixtures::Numbers, fixtures::Opened;
using testing::HasSubstr;

const Opened& opened(const std::string& variant) {
  static std::map<std::string, Opened> all;
  const auto found = all.find(variant);
  if (found != all.end()) return found->second;
  return all[variant] = fixtures::open(fixtures::vision_golden(variant).string());
}

RunRequest request_of(const std::string& variant, const std::vector<std::string>& edits = {}) {
  RunRequest request = fixtures::vision_request(opened(variant), Numbers(variant));
  for (const std::string& text : edits) request.edits.push_back(parse_edit(text).value());
  return request;
}

float largest_difference(const HostTensor& a, const HostTensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  float largest = 0.0F;
  for (size_t i = 0; i < a.values().size(); ++i)
    largest = std::max(largest, std::abs(a.values()[i] - b.values()[i]));
  return largest;
}

std::vector<std::string> texts_of(const RunRequest& request) {
  std::vector<std::string> texts;
  for (const Token& token : request.tokens.tokens) texts.push_back(token.text);
  return texts;
}

TEST(PicturePositions, have_labels_that_people_can_read) {
  EXPECT_THAT(texts_of(request_of("dinov2_registers")),
              testing::ElementsAre("CLS", "reg 1", "reg 2", "reg 3", "0,0", "0,1", "0,2", "0,3", "0,4", "0,5",
                                   "0,6", "1,0", "1,1", "1,2", "1,3", "1,4", "1,5", "1,6"));
  EXPECT_THAT(texts_of(request_of("deit")), testing::Contains("DIST"));
}

TEST(PicturePositions, stand_in_the_place_of_a_decoders_placeholder) {
  const auto run = fixtures::run(opened("llava"), request_of("llava"));
  ASSERT_NE(run, nullptr);
  ASSERT_EQ(run->capture->images.size(), 1u);
  const ImageRegion& region = run->capture->images[0];
  EXPECT_EQ(region.begin, 4);
  EXPECT_EQ(region.end(), 13);
  EXPECT_EQ(region.grid_width, 3);
  const std::vector<TokenRegion> regions = regions_of(run->capture->n_token(), run->capture->images);
  EXPECT_EQ(std::count(regions.begin(), regions.end(), TokenRegion::sys), 4);
  EXPECT_EQ(std::count(regions.begin(), regions.end(), TokenRegion::img), 9);
  EXPECT_EQ(std::count(regions.begin(), regions.end(), TokenRegion::txt), 7);
}

class RunsWithPictures : public testing::TestWithParam<std::string> {};

TEST_P(RunsWithPictures, are_edited_reused_and_batched_as_runs_of_text_are) {
  const Opened& model = opened(GetParam());
  const auto base = fixtures::run(model, request_of(GetParam()));
  const RunRequest edited = request_of(GetParam(), {"zero 1.0", "knockout 1.1 query=3:8 key=0:4"});
  const auto scratch = fixtures::run(model, edited), reused = fixtures::run(model, edited, base);
  ASSERT_TRUE(base && scratch && reused);
  EXPECT_EQ(reused->reused_layers, 1);
  EXPECT_EQ(largest_difference(scratch->capture->last_logits, reused->capture->last_logits), 0.0F);
  EXPECT_GT(largest_difference(base->capture->last_logits, scratch->capture->last_logits), 1e-4F);
  const auto answers = model.runner->answers(std::vector{edited, request_of(GetParam()), edited}, {});
  ASSERT_TRUE(answers.ok()) << answers.error().to_string();
  // float32 rounding of products of other heights
  EXPECT_LT(largest_difference((*answers)[0], scratch->capture->last_logits), 2e-5F);
  EXPECT_LT(largest_difference((*answers)[1], base->capture->last_logits), 2e-5F);
  EXPECT_LT(largest_difference((*answers)[2], scratch->capture->last_logits), 2e-5F);
}

TEST_P(RunsWithPictures, keep_maps_whose_rows_sum_to_one_but_where_edges_are_cut) {
  const Opened& model = opened(GetParam());
  const auto run = fixtures::run(model, request_of(GetParam(), {"knockout 0.1 query=5 key=0:3"}));
  ASSERT_NE(run, nullptr);
  const int64_t n = run->capture->n_token();
  const auto map = AttentionMap::of(run->capture, {LayerIndex{0}, HeadIndex{1}}, model.runner->kernels());
  ASSERT_TRUE(map.ok());
  const auto tile = map->tile(0, n, 0, n, 1);
  ASSERT_TRUE(tile.ok());
  for (int64_t query = 0; query < n; ++query) {
    double sum = 0.0;
    for (int64_t key = 0; key < n; ++key) sum += tile->block_max.at({query, key});
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
  for (int64_t key = 0; key < 3; ++key) EXPECT_EQ(tile->block_max.at({5, key}), 0.0F);
}

TEST_P(RunsWithPictures, come_back_from_a_dump_with_their_grids) {
  const Opened& model = opened(GetParam());
  const auto run = fixtures::run(model, request_of(GetParam()));
  ASSERT_NE(run, nullptr);
  const auto path = std::filesystem::path(testing::TempDir()) / ("vision_" + GetParam() + ".h5");
  const auto written = write_dump(*run->capture, path, {}, model.runner->kernels(), {});
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  const auto read = read_dump(path);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ((*read)->images, run->capture->images);
  EXPECT_EQ((*read)->tokens.back().text, run->capture->tokens.back().text);
  EXPECT_EQ((*read)->spec.pooling, run->capture->spec.pooling);
  EXPECT_EQ((*read)->spec.patches.n_prefix(), run->capture->spec.patches.n_prefix());
  EXPECT_EQ(largest_difference((*read)->last_logits, run->capture->last_logits), 0.0F);
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Families, RunsWithPictures,
                         testing::Values("vit", "deit", "dinov2_registers", "siglip", "llava", "qwen2_vl",
                                         "qwen2_5_vl", "paligemma", "paligemma2", "llava_next", "smolvlm"),
                         [](const auto& info) { return info.param; });

TEST(PictureRequests, have_another_digest_with_another_picture) {
  RunRequest a = request_of("vit"), b = request_of("vit");
  EXPECT_EQ(a.digest(), b.digest());
  auto other = std::make_shared<PreparedImage>(*b.tokens.images[0].image);
  other->digest = "another";
  other->pixels = HostTensor(other->pixels.shape());
  b.tokens.images[0].image = other;
  EXPECT_NE(a.digest(), b.digest());
  EXPECT_FALSE(same_input(a.tokens, b.tokens));
  // and are never taken for each other in a batch, nor reused
  const Opened& model = opened("vit");
  const auto answers = model.runner->answers(std::vector{a, b, a}, {});
  ASSERT_TRUE(answers.ok());
  EXPECT_GT(largest_difference((*answers)[0], (*answers)[1]), 1e-3F);
  EXPECT_EQ(largest_difference((*answers)[0], (*answers)[2]), 0.0F);
  EXPECT_EQ(fixtures::run(model, b, fixtures::run(model, a))->reused_layers, 0);
}

TEST(PictureClasses, are_named_as_the_config_names_them) {
  const Opened& model = opened("vit");
  const auto run = fixtures::run(model, request_of("vit"));
  ASSERT_NE(run, nullptr);
  const auto next = top_next(run->capture->last_logits, model.model->tokenizer(), 5);
  std::vector<std::string> names;
  for (const NextToken& one : next) names.push_back(one.text);
  EXPECT_THAT(names, testing::UnorderedElementsAre("cat", "dog", "owl", "elk", "fox"));
  EXPECT_EQ(opened("dinov2_swiglu").model->tokenizer().token(3)->text, "feature 3");
}

TEST(Decoders, go_on_writing_about_a_picture_as_a_run_over_the_whole_would) {
  const Opened& model = opened("llava");
  const RunRequest request = request_of("llava");
  SamplingOptions options;
  options.max_tokens = 6;
  options.stop_at_eos = false;
  options.keep_logits = true;
  const auto generation = model.runner->generate(request, options, {}, {});
  ASSERT_TRUE(generation.ok()) << generation.error().to_string();
  RunRequest whole = request;
  for (size_t step = 0; step < generation->tokens.size(); ++step) {
    const auto run = fixtures::run(model, whole);
    ASSERT_NE(run, nullptr);
    EXPECT_LT(largest_difference(run->capture->last_logits, generation->logits[step]), 1e-4F) << step;
    whole.tokens.tokens.push_back(generation->tokens[step]);
  }
}

// The prompt is seen in both directions, what is generated is not: with a cache and without.
TEST(Decoders, with_a_prefix_go_on_causally_as_a_run_over_the_whole_would) {
  for (const std::string variant : {"paligemma", "paligemma2"}) {
    const Opened& model = opened(variant);
    RunRequest request = request_of(variant);
    request.tokens.tokens.resize(15);
    request.tokens.generated_from = -1;
    SamplingOptions options;
    options.max_tokens = 6;
    options.stop_at_eos = false;
    options.keep_logits = options.keep_heads = true;
    const auto generation = model.runner->generate(request, options, {}, {});
    ASSERT_TRUE(generation.ok()) << generation.error().to_string();
    for (size_t step = 0; step < generation->tokens.size(); ++step) {
      RunRequest whole = request;
      whole.tokens = with_generated(request.tokens, std::span(generation->tokens).first(step));
      const auto run = fixtures::run(model, whole);
      ASSERT_NE(run, nullptr);
      EXPECT_EQ(run->capture->spec.prefix, 15);
      EXPECT_TRUE(run->capture->loss.empty());
      EXPECT_FALSE(run->capture->causal_at(0));
      EXPECT_LT(largest_difference(run->capture->last_logits, generation->logits[step]), 1e-4F) << step;
    }
  }
}

TEST(Prefixes, part_runs_of_the_same_tokens_where_more_of_them_was_generated) {
  const Opened& model = opened("paligemma");
  const RunRequest written = request_of("paligemma");
  RunRequest asked = written;
  asked.tokens.generated_from = -1;
  const auto base = fixtures::run(model, asked);
  const auto reused = fixtures::run(model, written, base), scratch = fixtures::run(model, written);
  ASSERT_TRUE(base && reused && scratch);
  EXPECT_EQ(reused->reused_layers, 0);
  EXPECT_EQ(largest_difference(reused->capture->last_logits, scratch->capture->last_logits), 0.0F);
  EXPECT_GT(largest_difference(base->capture->last_logits, scratch->capture->last_logits), 1e-3F);
  const auto answers = model.runner->answers(std::vector{asked, written, asked}, {});
  ASSERT_TRUE(answers.ok()) << answers.error().to_string();
  EXPECT_LT(largest_difference((*answers)[1], scratch->capture->last_logits), 2e-5F);
  EXPECT_LT(largest_difference((*answers)[2], base->capture->last_logits), 2e-5F);
  // Nobody in the prompt sees what was generated; what was generated sees only what comes before.
  const auto map = AttentionMap::of(scratch->capture, {LayerIndex{1}, HeadIndex{2}}, model.runner->kernels());
  ASSERT_TRUE(map.ok());
  EXPECT_FALSE(map->causal());
  EXPECT_GT(map->weight(0, 14).value(), 0.0F);
  EXPECT_EQ(map->weight(0, 15).value(), 0.0F);
  EXPECT_EQ(map->weight(16, 17).value(), 0.0F);
  EXPECT_TRUE(map->masked(15, 17, 17, 20));
  EXPECT_FALSE(map->masked(0, 8, 8, 15));
}

TEST(Prefixes, are_differentiated_under_the_mask_that_they_ran_under) {
  for (const std::string variant : {"paligemma", "paligemma2"}) {
    GradientRequest request;
    request.run = request_of(variant);
    request.scalar = {{ScalarKind::logit, 1.0, -1, {7}}};
    request.sites = {{HookSite::z, 0}, {HookSite::pattern, 1}};
    const auto made = opened(variant).runner->gradients(request, nullptr, {});
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    EXPECT_LE((*made)->largest_difference, 1e-4);
    EXPECT_GT((*made)->values.at({HookSite::pattern, 1}).at({0, 3, 14}), 0.0F);
    EXPECT_EQ((*made)->values.at({HookSite::pattern, 1}).at({0, 3, 15}), 0.0F);
  }
}

TEST(Prefixes, are_pictures_bos_words_and_a_line_feed_as_the_model_was_trained) {
  const Opened& model = opened("paligemma");
  const auto typed = model.model->tokenizer().sequence(std::vector<int32_t>{2, 92, 20, 21});
  ASSERT_TRUE(typed.ok());
  const auto placed = place_images(*model.model, *typed, {Numbers("paligemma").image()});
  ASSERT_TRUE(placed.ok()) << placed.error().to_string();
  std::vector<int32_t> expected(9, 92);
  for (const int32_t id : {2, 20, 21, 5}) expected.push_back(id);
  EXPECT_EQ(placed->ids(), expected);
  const auto again = model.model->tokenizer().sequence(std::vector<int32_t>{92, 2, 20, 21, 5});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(place_images(*model.model, *again, {Numbers("paligemma").image()})->ids(), expected);
}

TEST(TiledPictures, stand_as_a_whole_and_as_one_grid_with_newlines) {
  const Opened& model = opened("llava_next");
  const RunRequest request = request_of("llava_next");
  const auto regions = request.tokens.image_regions();
  ASSERT_EQ(regions.size(), 2U);
  EXPECT_EQ(regions[0].patches(), 9);
  EXPECT_EQ(regions[0].row_extra, 0);
  EXPECT_EQ(regions[1].grid_height, 4);  // of 6: the first and the last show padding
  EXPECT_EQ(regions[1].grid_width, 6);
  EXPECT_EQ(regions[1].row_extra, 1);
  EXPECT_EQ(regions[1].begin, regions[0].end());
  EXPECT_EQ(regions[0].picture, regions[1].picture);
  EXPECT_THAT(texts_of(request), testing::Contains("newline").Times(4));
  // Both lie over the same picture of 41 x 29 pixels: what is left of the grid reaches over its border by
  // less than a patch.
  const PatchRect first = rect_of(regions[1], 0), last = rect_of(regions[1], 23);
  EXPECT_NEAR(first.x, 0.0, 1e-9);
  EXPECT_NEAR(last.x + last.width, 41.0, 1e-9);
  EXPECT_GT(first.y, -first.height);
  EXPECT_LT(last.y + last.height, 29.0 + last.height);
  const PatchRect corner = rect_of(regions[0], 8);
  EXPECT_NEAR(corner.x + corner.width, 41.0, 1e-9);
  EXPECT_NEAR(corner.y + corner.height, 29.0, 1e-9);
  // Some of its patches: the run reads their rows and no newline.
  const auto few = with_patches(request.tokens, 1, {0, 7});
  ASSERT_TRUE(few.ok()) << few.error().to_string();
  EXPECT_EQ(few->images[1].kept, (std::vector<int32_t>{0, 8}));
  EXPECT_EQ(few->size(), request.tokens.size() - 28 + 2);
  const auto run = fixtures::run(model, model.runner->request(*few)), whole = fixtures::run(model, request);
  ASSERT_TRUE(run && whole);
  const int64_t d = model.model->spec().d_model, at = regions[1].position(7);
  for (int64_t c = 0; c < d; ++c)
    EXPECT_EQ(run->capture->layers[0]->resid_pre.at({few->images[1].region.begin + 1, c}),
              whole->capture->layers[0]->resid_pre.at({at, c}));
  const auto tower = model.runner->run_tower(request.tokens.images[1].image, {}, {});
  ASSERT_FALSE(tower.ok());
  EXPECT_THAT(tower.error().message, HasSubstr("tiles"));
  EXPECT_TRUE(model.runner->run_tower(request.tokens.images[0].image, {}, {}).ok());
}

TEST(TiledPictures, stand_tile_by_tile_with_words_between) {
  const RunRequest request = request_of("smolvlm");
  const auto regions = request.tokens.image_regions();
  ASSERT_EQ(regions.size(), 5U);  // 2 x 2 and the whole
  for (const ImageRegion& region : regions) {
    EXPECT_EQ(region.patches(), 9);
    EXPECT_EQ(region.picture, 0);
  }
  // 23 x 38 pixels: the third tile is the lower left quarter, the whole is all of it.
  const PatchRect tile = rect_of(regions[2], 0), whole = rect_of(regions[4], 0);
  EXPECT_NEAR(tile.x, 0.0, 1e-9);
  EXPECT_NEAR(tile.y, 19.0, 1e-9);
  EXPECT_NEAR(tile.width, 11.5 / 3, 1e-9);
  EXPECT_NEAR(whole.y, 0.0, 1e-9);
  EXPECT_NEAR(whole.height, 38.0 / 3, 1e-9);
  EXPECT_EQ(request.tokens.images[0].said_before, 2);
  EXPECT_EQ(request.tokens.images[2].said_before, 3);  // with the line feed after the first row
  EXPECT_EQ(request.tokens.images[4].said_before, 3);  // two line feeds are one token
  EXPECT_EQ(request.tokens.images[4].said_after, 1);
}

std::string message(const Result<TokenSequence>& placed) {
  EXPECT_FALSE(placed.ok());
  return placed.ok() ? "" : placed.error().to_string();
}

TEST(PicturesAndWords, that_do_not_match_are_refused_with_what_to_do) {
  const auto image = Numbers("vit").image();
  const Model& llava = *opened("llava").model;
  const Model& vit = *opened("vit").model;
  const auto words = llava.tokenizer().sequence(std::vector<int32_t>{5, 6, 92, 7});
  ASSERT_TRUE(words.ok());
  EXPECT_THAT(message(place_images(llava, *words, {})),
              HasSubstr("has 1 place for pictures (<92>, token 92), 0 are given"));
  EXPECT_THAT(message(place_images(llava, *words, {image, image})), HasSubstr("has 1 place for pictures"));
  const auto plain = llava.tokenizer().sequence(std::vector<int32_t>{5, 6});
  EXPECT_THAT(message(place_images(llava, *plain, {image})), HasSubstr("has 0 places for pictures"));
  EXPECT_TRUE(place_images(llava, *plain, {}).ok()) << "a decoder reads text alone, too";
  EXPECT_THAT(message(place_images(vit, {}, {})), HasSubstr("give it one with --image"));
  EXPECT_THAT(message(place_images(vit, {}, {image, image})), HasSubstr("reads one picture, 2 are given"));
  EXPECT_THAT(message(place_images(vit, *plain, {image})), HasSubstr("leave the prompt out"));
  EXPECT_THAT(vit.tokenizer().encode("a cat", {}).error().message, HasSubstr("--image FILE"));
  const auto gpt2 = fixtures::open(fixtures::golden("gpt2").string());
  EXPECT_THAT(message(place_images(*gpt2.model, *plain, {image})), HasSubstr("(gpt2) reads text only"));
}

TEST(PicturesAndWords, places_are_written_as_the_models_read_them) {
  EXPECT_EQ(text_of_place(*opened("llava").model), "<92>");
  EXPECT_EQ(text_of_place(*opened("vit").model), "");
  EXPECT_EQ(text_of_place(*fixtures::open(fixtures::golden("gpt2").string()).model), "");
}

TEST(Runner, refuses_sequences_whose_pictures_are_not_where_they_say) {
  const Opened& model = opened("vit");
  const auto refused = [&](const Opened& on, RunRequest request, const std::string& why) {
    const auto run = on.runner->run(request, nullptr, {});
    ASSERT_FALSE(run.ok());
    EXPECT_THAT(run.error().message, HasSubstr(why));
  };
  RunRequest none = request_of("vit");
  none.tokens.images.clear();
  refused(model, none, "reads one picture");
  RunRequest shifted = request_of("vit");
  shifted.tokens.images[0].region.begin = 1;
  refused(model, shifted, "positions are not those of the tokens");
  RunRequest of_text = request_of("vit");
  refused(fixtures::open(fixtures::golden("gpt2").string()), of_text, "reads text only");
  const auto generation = model.runner->generate(request_of("vit"), {}, {}, {});
  ASSERT_FALSE(generation.ok());
  EXPECT_THAT(generation.error().message, HasSubstr("answers with labels of a picture"));
}

TEST(Similarity, refuses_towers_that_stand_alone) {
  const auto where = text_tower_of(*opened("vit").model);
  ASSERT_FALSE(where.ok());
  EXPECT_THAT(where.error().message, HasSubstr("no pair"));
}

TEST(Similarity, gives_probabilities_as_each_family_was_trained) {
  for (const std::string variant : {"clip", "siglip"}) {
    const Numbers numbers(variant);
    const Opened texts = fixtures::open(text_tower_of(*opened(variant).model).value());
    std::vector<TokenSequence> wanted;
    for (const std::vector<int32_t>& ids : {std::vector<int32_t>{5, 9, 91}, {7, 30, 12, 91}})
      wanted.push_back(texts.model->tokenizer().sequence(ids).value());
    const auto logits =
        text_logits(*opened(variant).model, numbers.floats("answer"), *texts.runner, wanted, {});
    ASSERT_TRUE(logits.ok()) << logits.error().to_string();
    const double sum = (*logits)[0].probability + (*logits)[1].probability;
    if (variant == "clip") {
      EXPECT_NEAR(sum, 1.0, 1e-12);
    } else {
      EXPECT_NEAR((*logits)[0].probability, 1.0 / (1.0 + std::exp(-(*logits)[0].logit)), 1e-12);
    }
    EXPECT_NE((*logits)[0].logit, (*logits)[1].logit);
  }
}

class PictureConfigs : public testing::Test {
 protected:
  // A copy of a variant with other settings; its error.
  static std::string opening(const std::string& variant, const nlohmann::json& changes) {
    const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "vision_config_test";
    std::filesystem::remove_all(folder);
    std::filesystem::copy(fixtures::vision_golden(variant), folder);
    std::ifstream file(folder / "config.json");
    nlohmann::json config = nlohmann::json::parse(file);
    config.merge_patch(changes);
    std::ofstream(folder / "config.json") << config;
    const auto model = Model::open(folder.string());
    const std::string text = model.ok() ? "" : model.error().to_string();
    std::filesystem::remove_all(folder);
    return text;
  }
};

TEST_F(PictureConfigs, that_do_not_fit_are_refused_with_key_expected_and_found) {
  EXPECT_THAT(opening("vit", {{"patch_size", 64}}), HasSubstr("'patch_size': expected a patch that fits"));
  EXPECT_THAT(opening("vit", {{"num_channels", 1}}), HasSubstr("'num_channels': expected 3"));
  EXPECT_THAT(opening("vit", {{"image_size", 40}}), HasSubstr("position embedding"));
  EXPECT_THAT(opening("llava", {{"vision_feature_layer", 9}}), HasSubstr("'vision_feature_layer'"));
  EXPECT_THAT(opening("llava", {{"image_token_index", 5000}}),
              HasSubstr("'image_token_index': expected a token id below"));
  EXPECT_THAT(opening("llava", {{"vision_feature_select_strategy", "some"}}), HasSubstr("default or full"));
  EXPECT_THAT(opening("llava", {{"text_config", {{"model_type", "mamba"}}}}),
              HasSubstr("llama, mistral or qwen2"));
  EXPECT_THAT(opening("llava", {{"vision_config", {{"num_hidden_layers", 4}}}}), HasSubstr("vision tower"));
  const nlohmann::json sections = {{"type", "mrope"}, {"mrope_section", {2, 3, 4}}};
  EXPECT_THAT(opening("qwen2_vl", {{"rope_scaling", sections}}),
              HasSubstr("'mrope_section': expected three numbers that sum to half of a head, 8"));
  const nlohmann::json dynamic = {{"type", "dynamic"}, {"factor", 2.0}, {"mrope_section", {2, 3, 3}}};
  EXPECT_THAT(opening("qwen2_vl", {{"rope_scaling", dynamic}}),
              HasSubstr("dynamic and longrope are not read"));
  EXPECT_THAT(opening("qwen2_vl", {{"vision_config", {{"hidden_size", 48}}}}),
              HasSubstr("'vision_config.hidden_size': expected the decoder's hidden_size, 32"));
  EXPECT_THAT(opening("qwen2_5_vl", {{"vision_config", {{"window_size", 4}}}}),
              HasSubstr("'vision_config.window_size': expected at least one merged patch"));
  EXPECT_THAT(opening("qwen2_5_vl", {{"vision_config", {{"temporal_patch_size", 1}}}}),
              HasSubstr("patch embedding"));
  EXPECT_THAT(opening("qwen2_5_vl", {{"image_token_id", 96}}), HasSubstr("'image_token_id'"));
}

TEST(PictureModels, say_why_they_cannot_be_given_pictures) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "vision_no_processor";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(fixtures::vision_golden("vit"), folder);
  std::filesystem::remove(folder / "preprocessor_config.json");
  const auto model = Model::open(folder.string());
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  EXPECT_THAT((*model)->notes(), testing::Contains(HasSubstr("preprocessor_config.json")));
  const auto refused = prepare_image(**model, Picture{1, 1, {0, 0, 0}, "dot"});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("preprocessor_config.json"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace saccade
