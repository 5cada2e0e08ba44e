// Edits that move rotary positions: the worked example of concentric positions, maps against the definition,
// and everything else a run is used for.
#include "core/run/position_layout.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "core/run/gradient.h"
#include "core/run/rotary.h"
#include "tests/core/run/vision_golden_runs.h"

namespace saccade {
namespace {

using fixtures::farthest, fixtures::vision_model, fixtures::vision_request_of;
using testing::ElementsAre;
using testing::HasSubstr;

// The golden prompt: 4 tokens, 3 x 3 patches (4:13), 7 tokens.
constexpr int64_t n_golden = 20;

TokenPlaces with_picture(int64_t n, int64_t begin, int32_t height, int32_t width) {
  ImageRegion picture;
  picture.begin = begin;
  picture.grid_height = height;
  picture.grid_width = width;
  return {n, {picture}};
}

TokenPositions under(const std::vector<std::string>& texts, const TokenPlaces& places) {
  std::vector<Edit> edits;
  for (const std::string& text : texts) edits.push_back(*parse_edit(text));
  const auto positions = positions_under(edits, 0, places);
  EXPECT_TRUE(positions.ok()) << positions.error().to_string();
  return positions.ok() ? *positions : TokenPositions();
}

TEST(Concentric, rings_and_positions_of_the_worked_example) {
  std::vector<int64_t> rings;
  for (int64_t patch = 0; patch < 16; ++patch) rings.push_back(ring_of(4, 4, patch));
  EXPECT_THAT(rings, ElementsAre(0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0));
  const TokenPositions positions = under({"reposition *.* layout=concentric"}, with_picture(23, 5, 4, 4));
  EXPECT_EQ(positions.at(4), 4);
  for (int64_t at = 5; at < 21; ++at) EXPECT_EQ(positions.at(at), 5 + rings[static_cast<size_t>(at - 5)]);
  EXPECT_EQ(positions.at(21), 7) << "the first token of the text";
  EXPECT_EQ(positions.at(22), 8);
  EXPECT_EQ(positions.at(23), 9) << "decoded";
}

// 576 patches take 12 positions; in decoding position = length - 576 + 12.
TEST(Concentric, a_picture_of_576_patches_takes_12_positions) {
  const TokenPositions positions =
      under({"reposition *.* layout=concentric tokens=img"}, with_picture(600, 5, 24, 24));
  EXPECT_EQ(*std::max_element(positions.of_token.begin() + 5, positions.of_token.begin() + 581), 5 + 11);
  EXPECT_EQ(positions.at(581), 17);
  for (const int64_t length : {600, 700}) EXPECT_EQ(positions.at(length), length - 576 + 12);
}

TEST(PositionLayouts, are_permutations_of_the_patches) {
  using enum PositionLayout;
  EXPECT_THAT(patch_order(2, 3, reversed), ElementsAre(5, 4, 3, 2, 1, 0));
  EXPECT_THAT(patch_order(2, 3, columns), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(patch_order(2, 3, shuffled, 3), testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_NE(patch_order(4, 4, shuffled, 3), patch_order(4, 4, shuffled, 4));
  const TokenPlaces places = with_picture(9, 2, 2, 3);
  EXPECT_THAT(under({"reposition *.* layout=columns"}, places).of_token,
              ElementsAre(0, 1, 2, 4, 6, 3, 5, 7, 8));
  EXPECT_FALSE(under({"reposition 1.* layout=columns"}, places).moved()) << "of another layer";
}

TEST(PositionLayouts, act_in_list_order_and_on_text_too) {
  const TokenPlaces places = with_picture(9, 2, 2, 2);
  EXPECT_THAT(under({"reposition *.* layout=reversed tokens=img,6:9"}, places).of_token,
              ElementsAre(0, 1, 5, 4, 3, 2, 8, 7, 6));
  const TokenPositions moved =
      under({"shift *.* by=10 tokens=img", "shift *.* by=-2 tokens=6:", "reposition *.* layout=concentric"},
            places);
  EXPECT_THAT(moved.of_token, ElementsAre(0, 1, 12, 12, 12, 12, 1, 2, 3));
  EXPECT_EQ(moved.at(9), 4);
}

// softmax over keys up to the query of q k^T, both rotated anew to where they are to stand.
std::vector<double> row_of(const Capture& plain, int32_t layer, int32_t head, int64_t query,
                           const TokenPositions& positions) {
  const ModelSpec& spec = plain.spec;
  const LayerCapture& captured = *plain.layers[static_cast<size_t>(layer)];
  const std::vector<double> frequencies = rotary_frequencies(*spec.rotary_of(layer));
  const auto at = [&](const HostTensor& heads, int64_t head_index, int64_t token) {
    const float* from = heads.data() + (token * heads.shape()[1] + head_index) * spec.d_head;
    std::vector<double> x(from, from + spec.d_head);
    const auto turn = static_cast<double>(positions.at(token) - token);
    for (size_t i = 0; i < frequencies.size(); ++i) {
      const size_t second = i + frequencies.size();
      const double c = std::cos(turn * frequencies[i]), s = std::sin(turn * frequencies[i]), a = x[i];
      x[i] = a * c - x[second] * s;
      x[second] = a * s + x[second] * c;
    }
    return x;
  };
  const std::vector<double> q = at(captured.q, head, query);
  std::vector<double> p;
  for (int64_t key = 0; key <= query; ++key) {
    const std::vector<double> k = at(captured.k, spec.kv_head_of(head), key);
    p.push_back(
        std::exp(spec.attention_scale_of(layer) * std::inner_product(q.begin(), q.end(), k.begin(), 0.0)));
  }
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& weight : p) weight /= sum;
  return p;
}

const std::vector<std::string> moves{"reposition *.* layout=concentric", "reposition *.* layout=reversed",
                                     "reposition *.* layout=shuffled seed=7",
                                     "shift *.* by=-3 tokens=gen,13:", "shift *.* by=9 tokens=6:11"};

TEST(MovedPositions, give_the_maps_of_the_definition) {
  const auto& model = vision_model("llava");
  const auto base = fixtures::run(model, vision_request_of("llava"));
  for (const std::string& text : moves) {
    const auto run = fixtures::run(model, vision_request_of("llava", {text}), base);
    ASSERT_TRUE(run);
    const TokenPositions positions = under({text}, run->capture->places());
    EXPECT_EQ(run->capture->layers[0]->positions, positions.of_token);
    double moved = 0.0;
    for (int32_t h = 0; h < model.model->spec().n_head; ++h) {
      const HeadId head{LayerIndex{0}, HeadIndex{h}};
      std::vector<float> rows(n_golden * n_golden), before = rows;
      ASSERT_TRUE(AttentionMap::of(run->capture, head, model.runner->kernels())
                      ->rows(0, n_golden, n_golden, rows)
                      .ok());
      ASSERT_TRUE(AttentionMap::of(base->capture, head, model.runner->kernels())
                      ->rows(0, n_golden, n_golden, before)
                      .ok());
      for (int64_t query = 0; query < n_golden; ++query) {
        const std::vector<double> expected = row_of(*base->capture, 0, h, query, positions);
        for (int64_t key = 0; key <= query; ++key) {
          const auto cell = static_cast<size_t>(query * n_golden + key);
          EXPECT_NEAR(rows[cell], expected[static_cast<size_t>(key)], 5e-6) << text << " " << query;
          moved += std::fabs(rows[cell] - before[cell]);
        }
      }
    }
    EXPECT_GT(moved, 1e-3) << text << " moves the map";
  }
}

TEST(MovedPositions, that_are_moved_back_or_all_alike_change_nothing) {
  const auto& model = vision_model("llava");
  const auto base = fixtures::run(model, vision_request_of("llava"));
  const auto there_and_back = fixtures::run(
      model,
      vision_request_of("llava", {"reposition *.* layout=reversed", "reposition *.* layout=reversed"}));
  EXPECT_EQ(farthest(base->capture->last_logits, there_and_back->capture->last_logits), 0.0F);
  const auto alike = fixtures::run(model, vision_request_of("llava", {"shift *.* by=5"}));
  EXPECT_LT(farthest(base->capture->last_logits, alike->capture->last_logits), 2e-5F)
      << "only distances count; float32 rounding of other angles";
  EXPECT_FALSE(has_effect(*parse_edit("shift *.* by=0 tokens=img")));
}

TEST(MovedPositions, decoding_with_a_cache_is_running_the_longer_text) {
  const auto& model = vision_model("llava");
  for (const std::string& text : moves)
    for (const bool keep_heads : {false, true}) {
      const RunRequest request = vision_request_of("llava", {text});
      SamplingOptions options;
      options.max_tokens = 4;
      options.stop_at_eos = false;
      options.keep_logits = true;
      options.keep_heads = keep_heads;
      const auto generation = model.runner->generate(request, options, {}, {});
      ASSERT_TRUE(generation.ok()) << generation.error().to_string();
      for (size_t step = 0; step < generation->tokens.size(); ++step) {
        RunRequest whole = request;
        whole.tokens = with_generated(request.tokens, std::span(generation->tokens).first(step));
        const auto run = fixtures::run(model, whole);
        ASSERT_TRUE(run) << text;
        EXPECT_LT(farthest(run->capture->last_logits, generation->logits[step]), 1e-4F) << text << step;
      }
    }
}

TEST(MovedPositions, resumed_runs_batches_and_files_agree) {
  const auto& model = vision_model("llava");
  const auto base = fixtures::run(model, vision_request_of("llava"));
  const RunRequest request = vision_request_of("llava", {"reposition 1.* layout=concentric"});
  const auto whole = fixtures::run(model, request), resumed = fixtures::run(model, request, base);
  ASSERT_TRUE(whole && resumed);
  EXPECT_EQ(resumed->reused_layers, 1);
  EXPECT_EQ(farthest(whole->capture->last_logits, resumed->capture->last_logits), 0.0F);
  const auto answers = model.runner->answers(std::vector{base->request, request}, {});
  ASSERT_TRUE(answers.ok()) << answers.error().to_string();
  EXPECT_LT(farthest((*answers)[1], whole->capture->last_logits), 2e-5F);
  EXPECT_GT(farthest((*answers)[1], (*answers)[0]), 1e-6F);

  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("saccade_positions_{}.h5", ::getpid());
  ASSERT_TRUE(write_dump(*whole->capture, path, {}, model.runner->kernels(), {}).ok());
  const auto read = read_dump(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_TRUE((*read)->layers[0]->positions.empty());
  EXPECT_EQ((*read)->layers[1]->positions, whole->capture->layers[1]->positions);

  // z of the layer, made again from the file, is z as it was.
  RunRequest recorded = request;
  recorded.capture.sites = {{HookSite::z, 1}};
  RunRequest replaced = vision_request_of("llava", {"replace 1.* from=other"});
  replaced.references["other"] = *read;
  const auto made_again = fixtures::run(model, replaced);
  ASSERT_TRUE(made_again);
  EXPECT_LT(farthest(made_again->capture->last_logits, whole->capture->last_logits), 2e-5F);
}

// Along one direction of z in layer 0, which reaches the answer through the rotations of layer 1.
TEST(MovedPositions, gradients_go_through_them) {
  const auto& model = vision_model("llava");
  const auto d = static_cast<size_t>(model.model->spec().d_head);
  const std::string move = "reposition *.* layout=reversed tokens=img,13:20";
  GradientRequest gradients;
  gradients.scalar = {{ScalarKind::logit, 1.0, -1, {3}}};
  gradients.run = vision_request_of("llava", {move});
  gradients.sites = {{HookSite::z, 0}};
  const auto made = model.runner->gradients(gradients, nullptr, {});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  const HostTensor& z = (*made)->gradients.at({HookSite::z, 0});
  const auto logit = [&](double step) {
    std::vector<double> add;
    for (size_t c = 0; c < d; ++c) add.push_back(c % 2 == 0 ? step : -step);
    const auto run = fixtures::run(
        model, vision_request_of("llava", {move, fmt::format("offset 0.1 add={}", fmt::join(add, ","))}));
    return run->capture->last_logits.values()[3];
  };
  double expected = 0.0;
  for (int64_t token = 0; token < n_golden; ++token)
    for (size_t c = 0; c < d; ++c)
      expected += (c % 2 == 0 ? 1.0 : -1.0) *
                  z.data()[(static_cast<size_t>(token * model.model->spec().n_head) + 1) * d + c];
  const double measured = (logit(0.01) - logit(-0.01)) / 0.02;
  // float32 differences of logits of order 1 over 0.02, and the curvature along the step.
  EXPECT_NEAR(measured, expected, 2e-3 + 0.01 * std::fabs(expected));
}

std::string refusal(const fixtures::Opened& opened, RunRequest request) {
  const auto run = opened.runner->run(request, nullptr, {});
  EXPECT_FALSE(run.ok());
  return run.ok() ? "" : run.error().to_string();
}

TEST(MovedPositions, what_cannot_be_is_refused_with_its_reason) {
  const auto& model = vision_model("llava");
  const auto of = [&](const std::vector<std::string>& edits) {
    return refusal(model, vision_request_of("llava", edits));
  };
  EXPECT_THAT(of({"reposition *.* layout=concentric tokens=4:8"}), HasSubstr("none; leave tokens= out"));
  EXPECT_THAT(of({"reposition *.* layout=reversed tokens=gen"}), HasSubstr("still to be written"));
  EXPECT_THAT(of({"shift *.* by=-6 tokens=5"}), HasSubstr("would stand at -1"));
  EXPECT_THAT(of({"shift 1.* by=100000 tokens=5"}), HasSubstr("edited positions of layer 1 reach 100005"));
  EXPECT_THAT(of({"shift *.* by=1 tokens=21:"}), HasSubstr("outside the 20 tokens"));
  EXPECT_THAT(of({"shift *.* by=1 tokens=5", "replace 0.0 at=q_input from=A"}),
              HasSubstr("only one of the two can"));
  const fixtures::Opened gpt2 = fixtures::open(fixtures::golden("gpt2").string());
  EXPECT_THAT(refusal(gpt2, fixtures::request(gpt2, {5, 6, 7}, {"shift *.* by=1 tokens=1:"})),
              HasSubstr("needs a model with rotary positions"));
  const fixtures::Opened llama = fixtures::open(fixtures::golden("llama_llama3_rope").string());
  EXPECT_THAT(refusal(llama, fixtures::request(llama, {5, 6, 7}, {"reposition *.* layout=reversed"})),
              HasSubstr("the prompt has no picture"));
  EXPECT_THAT(parse_edit("shift *.* by=0.5 tokens=3").error().to_string(), HasSubstr("a whole number"));
  EXPECT_THAT(parse_edit("shift 1.0 by=2 tokens=3").error().to_string(), HasSubstr("give whole layers"));
  EXPECT_THAT(parse_edit("reposition *.* layout=spiral").error().to_string(),
              HasSubstr("concentric, reversed, columns or shuffled"));
  for (const std::string text :
       {"reposition 1-2.* layout=shuffled tokens=img2,gen seed=4", "shift *.* by=-3 tokens=20:"})
    EXPECT_EQ(to_text(*parse_edit(text)), text);
}

}  // namespace
}  // namespace saccade
