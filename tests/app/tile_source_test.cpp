#include "app/views/head_map/tile_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace saccade {
namespace {

constexpr int64_t d_head = 16;

// One layer of one head over n tokens, random q and k, lse by the forward pass.
std::shared_ptr<const Capture> random_capture(int64_t n, uint32_t seed, int32_t window = 0) {
  auto capture = std::make_shared<Capture>();
  capture->tokens.resize(static_cast<size_t>(n));
  capture->spec.n_layer = capture->spec.n_head = capture->spec.n_kv_head = 1;
  capture->spec.d_head = capture->spec.d_model = d_head;
  capture->spec.attention_scale = 0.25;
  if (window > 0) capture->spec.windows = {window};
  auto layer = std::make_shared<LayerCapture>();
  layer->q = HostTensor({n, 1, d_head});
  layer->k = HostTensor({n, 1, d_head});
  layer->lse = HostTensor({1, n});
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, 1.5f);
  for (float& x : layer->q.mutable_values()) x = normal(generator);
  for (float& x : layer->k.mutable_values()) x = normal(generator);
  AttentionInput input;
  input.shape = {n, n, 1, 1, d_head, 0};
  input.mask.window = window;
  input.scores.scale = 0.25f;
  input.q = {layer->q.data(), d_head, d_head};
  input.k = input.v = {layer->k.data(), d_head, d_head};
  HostTensor z({n, 1, d_head});
  AttentionOutput output;
  output.z = {z.mutable_values().data(), d_head, d_head};
  output.lse = layer->lse.mutable_values().data();
  EXPECT_TRUE(kernel_sets().front().forward(input, output, serial()).ok());
  capture->layers.push_back(std::move(layer));
  return capture;
}

AttentionMap map_of(const std::shared_ptr<const Capture>& capture) {
  return *AttentionMap::of(capture, {LayerIndex{0}, HeadIndex{0}}, kernel_sets().front());
}

MapTile reduced(const MapTileSource& source, const TileKey& key) {
  TileChildren children;
  for (int index = 0; index < 4; ++index)
    if (const TileKey child = key.child(index); !source.masked(child))
      children[static_cast<size_t>(index)] = std::make_shared<const MapTile>(
          child.level <= leaf_level ? source.compute(child) : reduced(source, child));
  return source.reduce(key, children);
}

// 1e-6: two ways of taking the same exponentials. n is no multiple of anything: the last tiles are cut.
TEST(MapTileSource, a_coarse_tile_is_the_reduction_of_its_fine_ones) {
  const auto a = random_capture(1301, 1), b = random_capture(1301, 2);
  const MapTileSource maxima(map_of(a)), difference(map_of(b), map_of(a));
  for (const MapTileSource* source : {&maxima, &difference})
    for (const TileKey& key : std::vector<TileKey>{{1, 0, 0}, {1, 2, 1}, {2, 1, 0}, {2, 1, 1}, {3, 0, 0}}) {
      const MapTile once = source->compute(key), from_parts = reduced(*source, key);
      ASSERT_EQ(once.rows, tile_rows(key, 1301));
      ASSERT_EQ(once.rows, from_parts.rows);
      ASSERT_EQ(once.columns, from_parts.columns);
      float largest = 0.0f;
      for (size_t i = 0; i < once.values.size(); ++i) {
        ASSERT_NEAR(once.values[i], from_parts.values[i], 1e-6) << key.level << " element " << i;
        largest = std::max(largest, std::abs(once.values[i]));
      }
      EXPECT_GT(largest, 1e-3f);
    }
}

TEST(MapTileSource, tiles_that_causality_or_the_window_empties_are_known_without_looking) {
  const MapTileSource all(map_of(random_capture(2048, 3))), near(map_of(random_capture(2048, 3, 300)));
  for (int64_t row = 0; row < 8; ++row)
    for (int64_t column = 0; column < 8; ++column)
      for (const MapTileSource* source : {&all, &near}) {
        const TileKey key{0, row, column};
        const MapTile tile = source->compute(key);
        const bool empty =
            std::all_of(tile.values.begin(), tile.values.end(), [](float p) { return p == 0.0f; });
        EXPECT_EQ(source->masked(key), empty) << row << ", " << column;
      }
  EXPECT_TRUE(near.masked({0, 7, 0}));
  EXPECT_FALSE(all.masked({0, 7, 0}));
}

TEST(MapTileSource, a_sampled_row_is_the_middle_row_of_its_blocks_and_never_above_their_maxima) {
  const MapTileSource source(map_of(random_capture(1301, 4)));
  const TileKey root = root_tile(1301);
  ASSERT_EQ(root.level, 3);
  const MapTile exact = source.compute(root);
  const std::vector<float> sampled = source.sample(root, 0, exact.rows);
  ASSERT_EQ(sampled.size(), exact.values.size());
  int equal = 0;
  for (size_t i = 0; i < sampled.size(); ++i) {
    EXPECT_LE(sampled[i], exact.values[i] + 1e-6f);
    equal += sampled[i] > 0.0f && std::abs(sampled[i] - exact.values[i]) < 1e-6f;
  }
  // One row in eight: it holds the block's largest weight about every eighth time.
  EXPECT_NEAR(equal, static_cast<double>(sampled.size()) / 16, static_cast<double>(sampled.size()) / 32);
  const auto one = map_of(random_capture(1301, 4)).tile(100 * 8 + 4, 100 * 8 + 5, 0, 1301, 8);
  for (int64_t x = 0; x < exact.columns; ++x)
    EXPECT_NEAR(sampled[static_cast<size_t>(100 * exact.columns + x)], one->block_max.at({0, x}), 1e-6);
}

}  // namespace
}  // namespace saccade
