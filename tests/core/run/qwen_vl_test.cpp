// Qwen2-VL and Qwen2.5-VL: positions of three axes in everything that is more than one plain run, windows of
// the tower, merged grids, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/capture/attention_map.h"
#include "core/run/gradient.h"
#include "tests/core/run/vision_golden_runs.h"

namespace saccade {
namespace {

using fixtures::farthest, fixtures::vision_model, fixtures::vision_request_of;
using testing::HasSubstr;

class QwenVl : public testing::TestWithParam<std::string> {
 protected:
  const fixtures::Opened& model() { return vision_model(GetParam()); }
  static RunRequest request(const std::vector<std::string>& edits = {}) {
    return vision_request_of(GetParam(), edits);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, QwenVl, testing::Values("qwen2_vl", "qwen2_5_vl"),
                         [](const auto& info) { return info.param; });

TEST_P(QwenVl, places_one_position_for_four_patches) {
  const RunRequest asked = request();
  ASSERT_EQ(asked.tokens.images.size(), 2u);
  const ImageRegion &first = asked.tokens.images[0].region, &second = asked.tokens.images[1].region;
  EXPECT_EQ(first.begin, 5);
  EXPECT_EQ(first.grid_height, 3);
  EXPECT_EQ(first.grid_width, 5);
  EXPECT_EQ(first.patch_height, 8);
  EXPECT_EQ(second.begin, 25);
  EXPECT_EQ(second.end(), 27);
  EXPECT_EQ(asked.tokens.tokens[11].text, "1,1");
  const PatchRect rect = rect_of(first, 6);
  EXPECT_EQ(rect.x, 8.0);
  EXPECT_EQ(rect.y, 8.0);
  EXPECT_EQ(rect.width, 8.0);
}

TEST_P(QwenVl, read_text_alone_as_any_decoder_does) {
  const auto run = fixtures::run(model(), fixtures::request(model(), {5, 6, 7, 8}));
  ASSERT_NE(run, nullptr);
  // The same distances everywhere: a text that begins later says the same with what is before it cut off.
  const auto later = fixtures::run(
      model(), fixtures::request(model(), {9, 9, 5, 6, 7, 8}, {"knockout *.* query=2:6 key=0:2"}));
  ASSERT_NE(later, nullptr);
  EXPECT_LT(farthest(run->capture->last_logits, later->capture->last_logits), 1e-5F);
}

// Dropping no patch changes nothing; dropping one leaves the others and the words where they were.
TEST_P(QwenVl, patches_that_are_kept_of_a_picture_keep_their_places) {
  const auto whole = fixtures::run(model(), request());
  std::vector<int32_t> all;
  for (int32_t patch = 0; patch < 15; ++patch) all.push_back(patch);
  RunRequest same = request(), fewer = request();
  same.tokens = with_patches(same.tokens, 0, all).value();
  const auto kept = fixtures::run(model(), same);
  ASSERT_TRUE(whole && kept);
  EXPECT_LT(farthest(whole->capture->last_logits, kept->capture->last_logits), 1e-6F);
  all.erase(all.begin() + 7);
  fewer.tokens = with_patches(fewer.tokens, 0, all).value();
  const auto without = fixtures::run(model(), fewer);
  const auto cut = fixtures::run(model(), request({"knockout *.* query=13:31 key=12"}));
  ASSERT_TRUE(without && cut);
  EXPECT_LT(farthest(without->capture->last_logits, cut->capture->last_logits), 1e-5F);
  EXPECT_GT(farthest(without->capture->last_logits, whole->capture->last_logits), 1e-4F);
}

TEST_P(QwenVl, z_of_such_a_run_is_made_again_at_the_same_places) {
  const auto other = fixtures::run(model(), request({"zero 0.0 at=v"}));
  RunRequest patched = request({"replace 0.* from=other"});
  ASSERT_NE(other, nullptr);
  patched.references["other"] = other->capture;
  const auto run = fixtures::run(model(), patched);
  ASSERT_NE(run, nullptr);
  EXPECT_LT(farthest(run->capture->last_logits, other->capture->last_logits), 2e-5F);
}

TEST_P(QwenVl, gradients_are_of_the_layers_as_they_ran) {
  GradientRequest question;
  question.run = request({"scale 1.1 by=0.5"});
  question.scalar = {{ScalarKind::logit, 1.0, -1, {3}}};
  question.sites = {{HookSite::resid_pre, 0}, {HookSite::q, 1}};
  const auto gradients = model().runner->gradients(question, nullptr, {});
  ASSERT_TRUE(gradients.ok()) << gradients.error().to_string();
  EXPECT_LT((*gradients)->largest_difference, 1e-5);
  // A step along the gradient of what enters the first layer moves the logit by step |gradient|^2.
  const HostTensor& gradient = (*gradients)->gradients.at({HookSite::resid_pre, 0});
  double squares = 0.0;
  for (const float g : gradient.values()) squares += double{g} * g;
  ASSERT_GT(squares, 0.0);
  const float step = static_cast<float>(1e-2 / std::sqrt(squares));
  std::array<double, 2> logits{};
  for (const int sign : {-1, 1}) {
    auto moved = std::make_shared<Capture>(*fixtures::run(model(), request())->capture);
    auto layer = std::make_shared<LayerCapture>(*moved->layers[0]);
    HostTensor entering(gradient.shape(), false);
    for (int64_t i = 0; i < gradient.size(); ++i)
      entering.mutable_values()[static_cast<size_t>(i)] =
          layer->resid_pre.data()[i] + static_cast<float>(sign) * step * gradient.data()[i];
    layer->resid_pre = std::move(entering);
    moved->layers[0] = std::move(layer);
    RunRequest from_there = request({"replace blocks.0.hook_resid_pre from=moved", "scale 1.1 by=0.5"});
    from_there.references["moved"] = moved;
    const auto run = fixtures::run(model(), from_there);
    ASSERT_NE(run, nullptr);
    logits[sign > 0 ? 1 : 0] = double{run->capture->last_logits.at({3})};
  }
  EXPECT_NEAR((logits[1] - logits[0]) / (2.0 * step), squares, 0.01 * squares);
}

TEST_P(QwenVl, films_and_orders_that_do_not_count_are_refused_with_the_reason) {
  auto tokens = model().model->tokenizer().sequence(std::vector<int32_t>{5, 93, 7});
  ASSERT_TRUE(tokens.ok());
  const auto placed = place_images(*model().model, *tokens, {});
  ASSERT_FALSE(placed.ok());
  EXPECT_THAT(placed.error().message, HasSubstr("films are not read"));
  const auto order = model().runner->run(request({"order-free *.* segments=5,10,20"}), nullptr, {});
  ASSERT_FALSE(order.ok());
  EXPECT_THAT(order.error().message, HasSubstr("by row and column"));
  const RunRequest words = fixtures::request(model(), {5, 6, 7, 8, 9, 10}, {"order-free *.* segments=1,3,5"});
  EXPECT_TRUE(model().runner->run(words, nullptr, {}).ok());
  auto odd = std::make_shared<PreparedImage>(*request().tokens.images[0].image);
  odd->geometry.height = 20;
  tokens = model().model->tokenizer().sequence(std::vector<int32_t>{5, 92, 7});
  const auto refused = place_images(*model().model, *tokens, {odd});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("no multiple of 8 x 8"));
}

// A matrix as stored [out, in] and its bias, on rows [n, in]: the slow, obvious way.
HostTensor linear(const Model& model, Slot weight, Slot bias, const HostTensor& x) {
  const TensorView& w = *model.weights().get(weight).tensor;
  const auto* matrix = reinterpret_cast<const float*>(w.data);
  const auto* added = reinterpret_cast<const float*>(model.weights().get(bias).tensor->data);
  const int64_t n = x.shape()[0], out = w.shape[0], in = w.shape[1];
  HostTensor made({n, out});
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < out; ++o) {
      double sum = added[o];
      for (int64_t k = 0; k < in; ++k) sum += double{matrix[o * in + k]} * x.data()[i * in + k];
      made.mutable_values()[static_cast<size_t>(i * out + o)] = static_cast<float>(sum);
    }
  return made;
}

// Layer norm or RMS norm of rows [n, width], then 2 x 2 of them side by side.
HostTensor normed_and_merged(const Model& tower, const HostTensor& x, int64_t grid_width) {
  const Slot slot = Slot::final_norm_weight;
  const bool rms = tower.spec().norm == NormKind::rms_norm;
  const auto* weight = reinterpret_cast<const float*>(tower.weights().get(slot).tensor->data);
  const TensorView* bias = tower.weights().get(Slot::final_norm_bias).tensor;
  const int64_t n = x.shape()[0], width = x.shape()[1];
  HostTensor made({n / 4, 4 * width});
  for (int64_t i = 0; i < n; ++i) {
    const float* row = x.data() + i * width;
    double mean = 0.0, squares = 0.0;
    for (int64_t c = 0; c < width && !rms; ++c) mean += row[c] / static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c)
      squares += (row[c] - mean) * (row[c] - mean) / static_cast<double>(width);
    const int64_t y = i / grid_width, column = i % grid_width;
    const int64_t to = y / 2 * (grid_width / 2) + column / 2, part = y % 2 * 2 + column % 2;
    for (int64_t c = 0; c < width; ++c)
      made.mutable_values()[static_cast<size_t>((to * 4 + part) * width + c)] =
          static_cast<float>((row[c] - mean) / std::sqrt(squares + 1e-6) * weight[c] +
                             (bias ? double{reinterpret_cast<const float*>(bias->data)[c]} : 0.0));
  }
  return made;
}

// The tower as a run with masks, and its merger by hand, against what the decoder was given, which went
// through the tower window by window.
TEST_P(QwenVl, a_towers_run_ends_in_what_the_decoder_reads) {
  const RunRequest asked = request();
  const auto whole = fixtures::run(model(), asked);
  ASSERT_NE(whole, nullptr);
  for (const PlacedImage& placed : asked.tokens.images) {
    const auto tower = model().runner->run_tower(placed.image, {}, {});
    ASSERT_TRUE(tower.ok()) << tower.error().to_string();
    const Capture& capture = *(*tower)->capture;
    EXPECT_EQ(capture.images[0].grid_width, 2 * placed.region.grid_width);
    HostTensor hidden =
        linear(*model().model, Slot::projector_in_weight, Slot::projector_in_bias,
               normed_and_merged(*model().model->tower(), capture.final_resid, capture.images[0].grid_width));
    for (float& x : hidden.mutable_values()) x = 0.5F * x * (1.0F + std::erf(x / std::sqrt(2.0F)));
    const HostTensor rows =
        linear(*model().model, Slot::projector_out_weight, Slot::projector_out_bias, hidden);
    const HostTensor& entered = whole->capture->layers[0]->resid_pre;
    ASSERT_EQ(rows.shape()[0], placed.region.end() - placed.region.begin);
    for (int64_t i = 0; i < rows.size(); ++i)
      ASSERT_NEAR(rows.data()[i], entered.data()[placed.region.begin * entered.shape()[1] + i], 2e-5) << i;
  }
}

TEST(QwenVlTower, maps_of_layers_with_windows_are_zero_outside_them) {
  const auto& model = vision_model("qwen2_5_vl");
  const auto image = vision_request_of("qwen2_5_vl").tokens.images[0].image;
  const auto tower = model.runner->run_tower(image, {}, {});
  ASSERT_TRUE(tower.ok()) << tower.error().to_string();
  // The same as a run of the tower alone, which methods over pictures make, also from a batch.
  const auto runner = Runner::create(model.model->tower(), {nullptr, 2});
  ASSERT_TRUE(runner.ok());
  const RunRequest alone = (*runner)->request(place_images(*model.model->tower(), {}, {image}).value());
  const auto run = (*runner)->run(alone, nullptr, {});
  ASSERT_TRUE(run.ok()) << run.error().to_string();
  EXPECT_LT(farthest((*run)->capture->final_resid, (*tower)->capture->final_resid), 1e-6F);
  const auto batched = (*runner)->answers(std::vector{alone, alone}, {});
  ASSERT_TRUE(batched.ok()) << batched.error().to_string();
  EXPECT_LT(farthest((*batched)[1], (*run)->capture->last_logits), 1e-5F);
  const ImageRegion& region = (*run)->capture->images[0];
  const int64_t n = (*run)->capture->n_token();
  ASSERT_EQ(n, 60);
  const auto window_of = [&](int64_t patch) {
    return patch / region.grid_width / 4 * 100 + patch % region.grid_width / 4;
  };
  for (int32_t l = 0; l < 3; ++l) {
    const auto map =
        AttentionMap::of((*run)->capture, {LayerIndex{l}, HeadIndex{1}}, model.runner->kernels());
    ASSERT_TRUE(map.ok()) << map.error().to_string();
    const Tile tile = map->tile(0, n, 0, n, 1).value();
    double outside = 0.0;
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (int64_t j = 0; j < n; ++j) {
        sum += tile.block_max.at({i, j});
        if (window_of(i) != window_of(j)) outside += tile.block_max.at({i, j});
      }
      EXPECT_NEAR(sum, 1.0, 1e-5);
    }
    if (l == 1)
      EXPECT_GT(outside, 1.0);
    else
      EXPECT_EQ(outside, 0.0);
  }
}

}  // namespace
}  // namespace saccade
