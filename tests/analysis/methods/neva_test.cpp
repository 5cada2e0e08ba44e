// neva, and what it is made of.
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "analysis/images/patch_field.h"
#include "analysis/methods/neva_search.h"
#include "analysis/scanpath/foveation.h"
#include "core/run/similarity.h"
#include "tests/analysis/vision_lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

double number(const Cell& cell) {
  return std::holds_alternative<double>(cell) ? std::get<double>(cell)
                                              : static_cast<double>(std::get<int64_t>(cell));
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

// The tiny CLIP with a tokenizer of single letters beside it: loss 1 - cos is what its own two towers say.
TEST(NevaMethod, looks_for_what_a_caption_says) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "neva_clip";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(fixtures::vision_golden("clip"), folder);
  nlohmann::json vocabulary{{"<|startoftext|>", 90}, {"<|endoftext|>", 91}};
  for (int i = 0; i < 26; ++i) {
    const std::string letter(1, static_cast<char>('a' + i));
    vocabulary[letter] = i;
    vocabulary[letter + "</w>"] = 26 + i;
  }
  std::ofstream(folder / "vocab.json") << vocabulary;
  std::ofstream(folder / "merges.txt") << "#version: 0.2\n";
  std::ofstream(folder / "tokenizer_config.json")
      << R"({"tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"})";
  const Lab lab = Lab::open(folder.string());
  auto placed = place_images(*lab.model, TokenSequence(), {fixtures::Numbers("clip").image()});
  ASSERT_TRUE(placed.ok());
  const auto run = lab.run(lab.runner->request(*placed));
  const auto found = find_method("neva");
  const auto result = run_method(**found, {{"caption", "a cat"}, {"fixations", 1}, {"memory", 0.0}}, run,
                                 {lab.model, lab.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(result->findings[0], HasSubstr("caption 'a cat'"));
  // The place it found, through both towers.
  const ImageRegion& region = run->capture->images[0];
  const Table& steps = *table_of(*result, "steps");
  const FoveaPoint point{2.0 * number(steps.rows[0][4]) / region.geometry.width - 1.0,
                         2.0 * number(steps.rows[0][5]) / region.geometry.height - 1.0};
  RunRequest request = run->request;
  auto image = std::make_shared<PreparedImage>(*request.tokens.images[0].image);
  image->pixels = Foveation(image->pixels, {0.2, 0.0, 41, 10.0}).seen({}, &point);
  image->digest = "seen";
  request.tokens.images[0].image = image;
  const Lab texts = Lab::open(*text_tower_of(*lab.model));
  const auto logits = text_logits(*lab.model, lab.run(request)->capture->last_logits.values(), *texts.runner,
                                  std::vector<std::string>{"a cat"}, {});
  ASSERT_TRUE(logits.ok()) << logits.error().to_string();
  EXPECT_NEAR(number(steps.rows[0][6]), 1.0 - logits->front().cosine, 1e-5);
  std::filesystem::remove_all(folder);
}

TEST(NevaMethod, says_what_it_needs_and_keeps_what_it_has_when_cancelled) {
  EXPECT_THAT(demo().method("neva", {}).error().to_string(), HasSubstr("--image"));
  EXPECT_THAT(vit_lab().method("neva", {{"class", 50}}).error().to_string(), HasSubstr("class=50"));
  EXPECT_THAT(vit_lab().method("neva", {{"caption", "a cat"}}).error().to_string(), HasSubstr("no pair"));
  // What was answered until a cancel: the blurred picture, one fixation's 144 and 9, and nothing of the next.
  const AnalysisMethod& method = **find_method("neva");
  MethodInput input;
  input.parameters = *complete_parameters(method.info(), {{"fixations", 3}});
  input.model = vit_lab().lab.model;
  input.capture = vit_lab().run->capture;
  input.base = vit_lab().run->request;
  input.kernels = &vit_lab().lab.runner->kernels();
  while (input.outcomes.size() < 154) {
    const auto wanted = method.plan(input);
    ASSERT_TRUE(wanted.ok() && !wanted->empty());
    std::vector<RunRequest> requests;
    for (const Wanted& one : *wanted) requests.push_back(std::get<AnswerWanted>(one).request);
    const auto logits = vit_lab().lab.runner->answers(requests, {});
    ASSERT_TRUE(logits.ok());
    for (size_t i = 0; i < logits->size(); ++i)
      input.outcomes.emplace_back(
          keep_answer((*logits)[i], std::get<AnswerWanted>((*wanted)[i]).ids, nullptr));
  }
  input.outcomes.resize(160);  // asked for, not done
  const auto stopped = method.compute(input, {});
  ASSERT_TRUE(stopped.ok()) << stopped.error().to_string();
  EXPECT_TRUE(stopped->partial);
  EXPECT_EQ(table_of(*stopped, "steps")->rows.size(), 1U);
  input.outcomes.resize(100);
  EXPECT_EQ(method.compute(input, {}).error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
