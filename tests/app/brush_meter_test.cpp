#include "app/views/head_map/brush_meter.h"

#include <gtest/gtest.h>

#include <chrono>

namespace saccade {
namespace {

// q = k = 0: every row spreads itself evenly over the keys it sees.
AttentionMap even_map(int64_t n) {
  auto capture = std::make_shared<Capture>();
  capture->tokens.resize(static_cast<size_t>(n));
  capture->spec.n_layer = capture->spec.n_head = capture->spec.n_kv_head = 1;
  capture->spec.d_head = capture->spec.d_model = 8;
  capture->spec.attention_scale = 1.0;
  auto layer = std::make_shared<LayerCapture>();
  layer->q = layer->k = HostTensor({n, 1, 8});
  layer->lse = HostTensor({1, n});
  for (int64_t i = 0; i < n; ++i)
    layer->lse.mutable_values()[static_cast<size_t>(i)] = std::log(static_cast<float>(i + 1));
  capture->layers.push_back(std::move(layer));
  return *AttentionMap::of(capture, {LayerIndex{0}, HeadIndex{0}}, kernel_sets().front());
}

bool finishes(const BrushMeter& meter) {
  for (int i = 0; i < 2000; ++i) {
    if (const auto now = meter.statistics(); now && now->done >= 1.0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

TEST(BrushMeter, a_brush_over_the_whole_map_holds_one_of_every_row) {
  BrushMeter meter([] {});
  meter.measure(even_map(2500), {0, 2500, 0, 2500});
  ASSERT_TRUE(finishes(meter));
  const auto statistics = meter.statistics();
  EXPECT_NEAR(statistics->sum, 2500.0, 2500 * 1e-5);  // float32 sums of a block
  EXPECT_NEAR(statistics->mean, 1.0 / 2500, 1e-7);
  EXPECT_NEAR(statistics->highest, 1.0f, 1e-6);  // row 0 sees itself alone
}

TEST(BrushMeter, a_newer_rectangle_takes_the_place_of_an_older_one_and_stop_forgets) {
  BrushMeter meter([] {});
  const AttentionMap map = even_map(4096);
  meter.measure(map, {0, 4096, 0, 4096});
  meter.measure(map, {9, 10, 0, 5});  // half of the ten keys of row 9
  ASSERT_TRUE(finishes(meter));
  EXPECT_NEAR(meter.statistics()->sum, 0.5, 1e-6);
  meter.stop();
  EXPECT_FALSE(meter.statistics().has_value());
}

}  // namespace
}  // namespace saccade
