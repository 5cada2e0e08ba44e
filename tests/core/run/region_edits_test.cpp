// Edits that name regions: in runs, resumed runs, batches, decoding and references they do what the same
// edits with numbers do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/run/edit_regions.h"
#include "tests/core/run/vision_golden_runs.h"

namespace saccade {
namespace {

using fixtures::farthest, fixtures::vision_model, fixtures::vision_request_of;
using testing::HasSubstr;

// The golden prompt: 4 tokens, 9 patches (4:13), 7 tokens.
struct Same {
  std::string names, numbers;
};
const std::vector<Same> same{
    {"knockout 1.* query=txt key=img", "knockout 1.* query=13:20 key=4:13"},
    {"boost 0.* by=0.5 key=sys,img1", "boost 0.* by=0.5 key=0:13"},
    {"scale 0.2 by=3 query=img", "scale 0.2 by=3 query=4:13"},
    {"redistribute *.* by=0.3 query=txt,gen key=0,5 to=6:13 within=img least-mass=0.1 least-share=0.5",
     "redistribute *.* by=0.3 query=13: key=0,5 to=6:13 within=4:13 least-mass=0.1 least-share=0.5"},
    {"zero blocks.1.hook_resid_pre query=sys", "zero blocks.1.hook_resid_pre query=0:4"}};

TEST(RegionEdits, do_what_the_same_edits_with_numbers_do) {
  const auto& model = vision_model("llava");
  const auto base = fixtures::run(model, vision_request_of("llava"));
  for (const auto& [names, numbers] : same) {
    const auto named = fixtures::run(model, vision_request_of("llava", {names}));
    const auto numbered = fixtures::run(model, vision_request_of("llava", {numbers}));
    const auto resumed = fixtures::run(model, vision_request_of("llava", {names}), base);
    ASSERT_TRUE(named && numbered && resumed) << names;
    EXPECT_EQ(farthest(named->capture->last_logits, numbered->capture->last_logits), 0.0F) << names;
    EXPECT_EQ(farthest(named->capture->last_logits, resumed->capture->last_logits), 0.0F) << names;
    EXPECT_GT(farthest(named->capture->last_logits, base->capture->last_logits), 1e-6F) << names;
    EXPECT_EQ(named->capture->provenance.edits, std::vector<std::string>{names}) << "names stay names";
    const auto answers = model.runner->answers(
        std::vector{vision_request_of("llava"), vision_request_of("llava", {names})}, {});
    ASSERT_TRUE(answers.ok());
    // float32 rounding of products of other heights
    EXPECT_LT(farthest((*answers)[1], named->capture->last_logits), 2e-5F) << names;
  }
}

TEST(RegionEdits, of_a_picture_are_refused_where_there_is_none) {
  const auto& model = vision_model("llava");
  RunRequest text = fixtures::request(model, {5, 6, 7}, {"knockout 1.* key=img"});
  const auto run = model.runner->run(text, nullptr, {});
  ASSERT_FALSE(run.ok());
  EXPECT_THAT(run.error().to_string(), HasSubstr("the prompt has no picture"));
  const auto generation = model.runner->generate(text, {}, {}, {});
  ASSERT_FALSE(generation.ok());
  EXPECT_THAT(generation.error().to_string(), HasSubstr("the prompt has no picture"));
}

// gen grows while tokens are decoded, and starts where they do in a run over the whole text.
TEST(RegionEdits, of_what_is_generated_act_in_decoding_as_in_a_run_over_the_whole) {
  const auto& model = vision_model("llava");
  for (const std::string edit :
       {"knockout *.* query=gen key=img", "scale 1.* by=4 query=gen", "boost *.* by=2 query=txt,gen key=gen",
        "bias 0.* by=-3 query=gen key=txt"}) {
    const RunRequest request = vision_request_of("llava", {edit});
    SamplingOptions options;
    options.max_tokens = 5;
    options.stop_at_eos = false;
    options.keep_logits = true;
    const auto generation = model.runner->generate(request, options, {}, {});
    ASSERT_TRUE(generation.ok()) << generation.error().to_string();
    float apart = 0.0F;
    for (size_t step = 0; step < generation->tokens.size(); ++step) {
      RunRequest whole = request;
      whole.tokens = with_generated(request.tokens, std::span(generation->tokens).first(step));
      const auto run = fixtures::run(model, whole);
      ASSERT_NE(run, nullptr);
      EXPECT_LT(farthest(run->capture->last_logits, generation->logits[step]), 1e-4F) << edit << ", " << step;
      EXPECT_EQ(run->capture->generated_from, 20);
      whole.edits.clear();
      if (step > 0)
        apart = std::max(
            apart, farthest(fixtures::run(model, whole)->capture->last_logits, run->capture->last_logits));
    }
    EXPECT_GT(apart, 1e-5F) << edit << " did something";
  }
}

TEST(RegionEdits, of_a_reference_run_are_repeated_when_its_z_is_made_again) {
  const auto& model = vision_model("llava");
  const auto reference = fixtures::run(model, vision_request_of("llava", {"scale 1.* by=3 query=img,gen"}));
  RunRequest recorded = vision_request_of("llava", {"scale 1.* by=3 query=img,gen"});
  recorded.capture.sites = {{HookSite::z, 1}};
  const auto with_z = fixtures::run(model, recorded);
  RunRequest replaced = vision_request_of("llava", {"replace 1.* from=other"});
  replaced.references["other"] = reference->capture;
  const auto made_again = fixtures::run(model, replaced);
  replaced.references["other"] = with_z->capture;
  const auto as_recorded = fixtures::run(model, replaced);
  ASSERT_TRUE(made_again && as_recorded);
  EXPECT_LT(farthest(made_again->capture->last_logits, as_recorded->capture->last_logits), 1e-5F);
}

TEST(Resuming, goes_back_to_the_layer_whose_sites_the_base_did_not_keep) {
  const auto& model = vision_model("llava");
  const auto base = fixtures::run(model, vision_request_of("llava"));
  RunRequest wanted = vision_request_of("llava");
  wanted.capture.sites = {{HookSite::z, 1}};
  const auto scratch = fixtures::run(model, wanted), resumed = fixtures::run(model, wanted, base);
  ASSERT_TRUE(scratch && resumed);
  EXPECT_EQ(resumed->reused_layers, 1);
  EXPECT_EQ(
      farthest(scratch->capture->sites.at({HookSite::z, 1}), resumed->capture->sites.at({HookSite::z, 1})),
      0.0F);
  EXPECT_EQ(farthest(scratch->capture->last_logits, resumed->capture->last_logits), 0.0F);
}

TEST(PartsOfPictures, keep_their_rows_and_move_what_follows) {
  const auto& model = vision_model("llava");
  const TokenSequence whole = vision_request_of("llava").tokens;
  const auto part = with_patches(whole, 0, {2, 7});
  ASSERT_TRUE(part.ok()) << part.error().to_string();
  EXPECT_EQ(part->size(), 13);
  EXPECT_EQ(part->tokens[4].text, "0,2");
  EXPECT_EQ(part->tokens[5].text, "2,1");
  EXPECT_EQ(part->images[0].region.end(), 6);
  EXPECT_FALSE(same_input(*part, with_patches(whole, 0, {2, 6}).value()));
  // all patches in order are the picture itself
  const auto all = with_patches(whole, 0, {0, 1, 2, 3, 4, 5, 6, 7, 8});
  ASSERT_TRUE(all.ok());
  RunRequest request = vision_request_of("llava"), other = request;
  other.tokens = *all;
  EXPECT_EQ(farthest(fixtures::run(model, request)->capture->last_logits,
                     fixtures::run(model, other)->capture->last_logits),
            0.0F);
  // rows of resid_pre at layer 0 are those of the same patches
  other.tokens = *part;
  const auto run = fixtures::run(model, other), full = fixtures::run(model, request);
  ASSERT_TRUE(run && full);
  for (const auto& [row, of_full] : {std::pair<int64_t, int64_t>{4, 6}, {5, 11}, {6, 13}, {12, 19}})
    EXPECT_THAT(run->capture->layers[0]->resid_pre.slice(row),
                testing::ElementsAreArray(full->capture->layers[0]->resid_pre.slice(of_full)));
  const auto none = without_images(whole);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->size(), 11);
  EXPECT_TRUE(none->images.empty());
  EXPECT_THAT(with_patches(whole, 0, {9}).error().message, HasSubstr("patches 0-8, found 9"));
  EXPECT_THAT(with_patches(whole, 1, {}).error().message, HasSubstr("1 picture, number 2 is asked for"));
}

TEST(VisionTowers, run_alone_up_to_what_the_decoder_reads) {
  for (const std::string variant : {"llava", "llava_siglip"}) {
    const auto& model = vision_model(variant);
    const RunRequest request = vision_request_of(variant);
    const auto tower = model.runner->run_tower(request.tokens.images[0].image, {}, {});
    ASSERT_TRUE(tower.ok()) << tower.error().to_string();
    const Capture& capture = *(*tower)->capture;
    const int32_t last = model.model->spec().tower.layers.back();
    EXPECT_EQ(std::ssize(capture.layers), last);
    EXPECT_TRUE(capture.layers.back()->keeps_attention());
    EXPECT_EQ(capture.images[0].end(), capture.n_token());
    const int32_t all = model.model->tower()->spec().n_layer;
    const auto whole = model.runner->run_tower(request.tokens.images[0].image, {}, {}, all);
    ASSERT_TRUE(whole.ok()) << whole.error().to_string();
    EXPECT_EQ(std::ssize((*whole)->capture->layers), all) << "as far as somebody wants to look";
    EXPECT_EQ((*whole)->digest == (*tower)->digest, all == last);
    EXPECT_EQ(farthest((*whole)->capture->layers[0]->q, capture.layers[0]->q), 0.0F);
    // its residuals are what the projector reads: the decoder's rows follow from them
    EXPECT_EQ(capture.final_resid.shape()[0], capture.n_token());
  }
  const auto gpt2 = fixtures::open(fixtures::golden("gpt2").string());
  const auto refused = gpt2.runner->run_tower(fixtures::Numbers("llava").image(), {}, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("no vision tower"));
}

}  // namespace
}  // namespace saccade
