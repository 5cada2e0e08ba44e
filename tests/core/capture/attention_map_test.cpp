#include "core/capture/attention_map.h"

#include <gmock/gmock.h>

#include "kernels/reference/attention_reference.h"
#include "tests/core/capture/capture_fixture.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// Float32 scores of size ~10 carry an error of about 1e-6, and p = exp(s - lse) the same relative one.
constexpr double tolerance = 5e-6;

HeadId head(int32_t l, int32_t h) { return {LayerIndex{l}, HeadIndex{h}}; }

AttentionMap map_of(const std::shared_ptr<const Capture>& capture, HeadId id) {
  auto map = AttentionMap::of(capture, id, fixtures::kernels());
  EXPECT_TRUE(map.ok()) << map.error().to_string();
  return *map;
}

// The double-precision maps of one layer, [head, query, key].
std::vector<double> oracle(const Capture& capture, int32_t l) {
  const LayerCapture& layer = *capture.layers[static_cast<size_t>(l)];
  const ModelSpec& spec = capture.spec;
  const int64_t n = capture.n_token(), d = spec.d_head;
  AttentionInput input;
  input.shape = {n, n, spec.n_head, spec.n_kv_head, d, 0};
  input.mask.knockouts = layer.knockouts;
  input.scores.scale = static_cast<float>(spec.attention_scale);
  input.q = {layer.q.data(), spec.n_head * d, d};
  input.k = {layer.k.data(), spec.n_kv_head * d, d};
  input.v = input.k;
  return reference::attention(input, 1, 8).pattern;
}

TEST(AttentionMap, RegeneratesEveryHeadOfEveryLayerAsTheOracleHasIt) {
  const auto capture = fixtures::random_capture();
  const int64_t n = capture->n_token();
  for (int32_t l = 0; l < capture->spec.n_layer; ++l) {
    const std::vector<double> expected = oracle(*capture, l);
    for (int32_t h = 0; h < capture->spec.n_head; ++h) {
      const AttentionMap map = map_of(capture, head(l, h));
      const auto tile = map.tile(0, n, 0, n, 1);
      ASSERT_TRUE(tile.ok()) << tile.error().to_string();
      for (int64_t i = 0; i < n * n; ++i)
        ASSERT_NEAR(tile->block_max.data()[i], expected[static_cast<size_t>(h * n * n + i)], tolerance)
            << "head " << l << "." << h << " at " << i / n << ", " << i % n;
    }
  }
}

TEST(AttentionMap, KnockedOutEdgesAreZeroAndARowWithoutKeysIsZero) {
  const auto capture = fixtures::random_capture();
  const AttentionMap map = map_of(capture, head(1, 3));
  EXPECT_EQ(*map.weight(6, 3), 0.0F);
  EXPECT_GT(*map.weight(6, 4), 0.0F);
  for (int64_t key = 0; key < map.size(); ++key) EXPECT_EQ(*map.weight(map.size() / 2, key), 0.0F);
  EXPECT_GT(*map_of(capture, head(1, 2)).weight(6, 3), 0.0F) << "another head must keep the edge";
}

TEST(AttentionMap, ATileOfPartOfTheMapIsThatPart) {
  const auto capture = fixtures::random_capture();
  const int64_t n = capture->n_token();
  const AttentionMap map = map_of(capture, head(2, 1));
  const auto whole = map.tile(0, n, 0, n, 1), part = map.tile(13, 29, 5, 22, 1);
  ASSERT_TRUE(whole.ok() && part.ok());
  std::vector<float> rows(16 * 30);
  ASSERT_TRUE(map.rows(13, 29, 30, rows).ok());
  std::vector<int32_t> queries, keys;
  for (int64_t i = 13; i < 29; ++i)
    for (int64_t j = 5; j < 22; ++j) {
      EXPECT_NEAR(part->block_max.at({i - 13, j - 5}), whole->block_max.at({i, j}), tolerance);
      EXPECT_NEAR(rows[static_cast<size_t>((i - 13) * 30 + j)], whole->block_max.at({i, j}), tolerance);
      queries.push_back(static_cast<int32_t>(i));
      keys.push_back(static_cast<int32_t>(j));
    }
  const auto weights = map.weights_at(queries, keys);
  ASSERT_TRUE(weights.ok());
  for (size_t i = 0; i < weights->size(); ++i)
    EXPECT_NEAR((*weights)[i], whole->block_max.at({queries[i], keys[i]}), tolerance);
}

TEST(AttentionMap, CoarseTilesHoldTheLargestWeightAndTheMassOfEachBlock) {
  const auto capture = fixtures::random_capture();
  const int64_t n = capture->n_token(), lod = 8;
  const AttentionMap map = map_of(capture, head(0, 0));
  const auto fine = map.tile(0, n, 0, n, 1), coarse = map.tile(0, n, 0, n, lod);
  ASSERT_TRUE(fine.ok() && coarse.ok());
  EXPECT_EQ(coarse->rows, (n + lod - 1) / lod);
  for (int64_t r = 0; r < coarse->rows; ++r)
    for (int64_t c = 0; c < coarse->columns; ++c) {
      float largest = 0.0F;
      double mass = 0.0;
      for (int64_t i = r * lod; i < std::min(n, (r + 1) * lod); ++i)
        for (int64_t j = c * lod; j < std::min(n, (c + 1) * lod); ++j) {
          largest = std::max(largest, fine->block_max.at({i, j}));
          mass += fine->block_max.at({i, j});
        }
      EXPECT_NEAR(coarse->block_max.at({r, c}), largest, tolerance);
      EXPECT_NEAR(coarse->block_mass.at({r, c}), mass, 64 * tolerance);
    }
}

TEST(AttentionMap, AThumbnailIsTheLargestThatFits) {
  const auto capture = fixtures::random_capture();  // 70 tokens
  const AttentionMap map = map_of(capture, head(0, 2));
  for (const auto& [side, lod] :
       {std::pair<int64_t, int64_t>{100, 1}, {70, 1}, {69, 2}, {35, 2}, {34, 4}, {1, 128}}) {
    const auto tile = map.thumbnail(side);
    ASSERT_TRUE(tile.ok());
    EXPECT_EQ(tile->request.lod, lod) << "for " << side;
    EXPECT_LE(tile->rows, side);
  }
  const auto pixel = map.thumbnail(1);
  EXPECT_NEAR(pixel->block_mass.at({0, 0}), 70.0, 1e-3) << "every row sums to 1";
  EXPECT_FALSE(map.thumbnail(0).ok());
}

TEST(AttentionMap, RefusesHeadsThatDoNotExistAndSaysWhichDo) {
  const auto capture = fixtures::random_capture();
  for (const HeadId id : {head(3, 0), head(0, 4), head(-1, 0), head(0, -1)}) {
    const auto map = AttentionMap::of(capture, id, fixtures::kernels());
    ASSERT_FALSE(map.ok());
    EXPECT_THAT(map.error().message, HasSubstr("layers 0-2 and heads 0-3"));
  }
  EXPECT_FALSE(AttentionMap::of(nullptr, head(0, 0), fixtures::kernels()).ok());
}

TEST(AttentionMap, RefusesACaptureWithoutAttentionOrWithShapesThatDoNotFit) {
  auto capture = fixtures::random_capture();
  auto bare = std::make_shared<LayerCapture>(*capture->layers[0]);
  bare->q = HostTensor();
  capture->layers[0] = bare;
  const auto without = AttentionMap::of(capture, head(0, 0), fixtures::kernels());
  ASSERT_FALSE(without.ok());
  EXPECT_THAT(without.error().message, HasSubstr("kept no q, k and lse"));
  capture->tokens.pop_back();
  const auto shapes = AttentionMap::of(capture, head(1, 0), fixtures::kernels());
  ASSERT_FALSE(shapes.ok());
  EXPECT_THAT(shapes.error().message, HasSubstr("do not fit 69 tokens"));
}

TEST(AttentionMap, RefusesRangesOutsideTheMapAndOddLevelsOfDetail) {
  const auto capture = fixtures::random_capture();
  const AttentionMap map = map_of(capture, head(0, 0));
  EXPECT_FALSE(map.tile(-1, 5, 0, 5, 1).ok());
  EXPECT_FALSE(map.tile(0, 71, 0, 5, 1).ok());
  EXPECT_FALSE(map.tile(0, 5, 6, 5, 1).ok());
  EXPECT_FALSE(map.tile(0, 5, 0, 5, 3).ok());
  EXPECT_FALSE(map.tile(0, 5, 0, 5, 0).ok());
  EXPECT_FALSE(map.weight(0, 70).ok());
  EXPECT_FALSE(map.weight(-1, 0).ok());
  const std::vector<int32_t> one{1}, two{1, 2}, outside{70};
  EXPECT_FALSE(map.weights_at(one, two).ok());
  EXPECT_FALSE(map.weights_at(outside, one).ok());
  std::vector<float> wrong_size(3);
  EXPECT_FALSE(map.rows(0, 2, 2, wrong_size).ok());
  const auto empty = map.tile(5, 5, 0, 5, 1);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->rows, 0);
}

TEST(Capture, CountsTheBytesOfEverythingItKeeps) {
  const auto capture = fixtures::random_capture(10, 2, 4, 2);
  int64_t expected = 0;
  for (int l = 0; l < 2; ++l)
    expected += 4 * (10 * 24 + 10 * 4 * 8 + 10 * 2 * 8 + 4 * 10 /* lse */ + 8 * 4 * 10 /* statistics */);
  expected += 2 * static_cast<int64_t>(sizeof(EdgeRect));
  expected += 4 * (10 * 24 /* final */ + 300 + 9 /* loss */);
  expected += 4 * (10 * 4 * 8 + 10 * 24 + 10 * 24);  // z, embed, resid_mid
  EXPECT_EQ(capture->bytes(), expected);
}

TEST(Capture, MeanLossIsTheMeanAndNaNWithoutLosses) {
  Capture capture;
  EXPECT_TRUE(std::isnan(capture.mean_loss()));
  capture.loss = {1.0F, 2.0F, 6.0F};
  EXPECT_DOUBLE_EQ(capture.mean_loss(), 3.0);
}

}  // namespace
}  // namespace saccade
