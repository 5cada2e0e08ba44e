// Masks and maps that content decides: worked examples, and the definitions written out slowly on small
// random heads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "analysis/mechanisms/block_routing.h"
#include "analysis/mechanisms/chunk_selection.h"
#include "analysis/mechanisms/clusters.h"
#include "analysis/mechanisms/hyper_attention.h"
#include "analysis/mechanisms/landmark.h"
#include "analysis/mechanisms/sparse_prefill.h"
#include "tests/analysis/mechanisms/random_matrix.h"

namespace saccade::mechanisms {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

TEST(RegionRouting, the_worked_example_takes_the_two_best_regions) {
  EXPECT_THAT(best_blocks(std::vector<double>{0.9, 0.1, 0.5}, 2), ElementsAre(0, 2));
}

TEST(RegionRouting, queries_see_the_regions_whose_mean_keys_their_region_likes) {
  const Grid grid{4, 6};
  const Matrix q = random_matrix(24, 3, 1), k = random_matrix(24, 3, 2);
  const RegionRouting routing = route_regions(q, k, grid, 2, 2);
  ASSERT_EQ(routing.scores.rows, 4);
  // Region 1 is rows 0-1, columns 3-5.
  std::vector<double> mean(3, 0.0), other(3, 0.0);
  for (const int64_t patch : {3, 4, 5, 9, 10, 11})
    for (size_t x = 0; x < 3; ++x) {
      mean[x] += q.row(patch)[x] / 6.0;
      other[x] += k.row(patch + 12)[x] / 6.0;  // region 3
    }
  EXPECT_NEAR(routing.scores.at(1, 3), dot(mean, other) / std::sqrt(3.0), 1e-12);
  for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(routing.mask.count(i), 12) << "2 regions of 6 patches";
  EXPECT_DOUBLE_EQ(density(routing.mask, KeyMask::everything(24, 24)), 2.0 / 4.0);
}

TEST(BlockRouting, keeps_the_own_block_and_the_best_earlier_ones) {
  const Matrix q = random_matrix(20, 4, 3), k = random_matrix(20, 4, 4);
  const auto block_of = blocks_in_a_row(20, 4);
  const KeyMask mask = route_blocks(q, k, block_of, {BlockChoice::top, 2, 0.0, true});
  const Matrix means = block_means(k, block_of);
  for (int64_t i = 0; i < 20; ++i) {
    const int64_t own = i / 4;
    int64_t best = -1;
    for (int64_t b = 0; b < own; ++b)
      if (best < 0 || dot(q.row(i), means.row(b)) > dot(q.row(i), means.row(best))) best = b;
    for (int64_t j = 0; j < 20; ++j)
      EXPECT_EQ(mask.sees(i, j), j <= i && (j / 4 == own || j / 4 == best)) << i << " " << j;
  }
}

TEST(BlockRouting, global_choice_keeps_as_many_pairs_and_the_best_of_the_head) {
  const Matrix q = random_matrix(12, 4, 5), k = random_matrix(12, 4, 6);
  const auto block_of = blocks_in_a_row(12, 3);
  const KeyMask mask = route_blocks(q, k, block_of, {BlockChoice::global, 2, 0.0, false});
  const Matrix scores = products(q, block_means(k, block_of));
  int64_t besides = 0;
  double least_kept = INFINITY, most_left = -INFINITY;
  for (int64_t i = 0; i < 12; ++i)
    for (int64_t b = 0; b < 4; ++b) {
      if (b == i / 3) {
        EXPECT_TRUE(mask.sees(i, b * 3));
        continue;
      }
      if (mask.sees(i, b * 3)) {
        ++besides;
        least_kept = std::min(least_kept, scores.at(i, b));
      } else {
        most_left = std::max(most_left, scores.at(i, b));
      }
    }
  EXPECT_EQ(besides, 12);
  EXPECT_GT(least_kept, most_left);
}

TEST(BlockRouting, a_threshold_keeps_blocks_until_their_share_is_reached) {
  Matrix q(1, 1), k(4, 1);
  q.at(0, 0) = 1.0;
  for (int64_t j = 0; j < 4; ++j)
    k.at(j, 0) = std::log(std::vector<double>{1.0, 0.6, 0.3, 0.1}[static_cast<size_t>(j)]);
  const std::vector<int64_t> block_of{0, 1, 2, 3};
  const auto row = [&](double share) {
    return bits(route_blocks(q, k, block_of, {BlockChoice::threshold, 0, share, false}), 0);
  };
  EXPECT_THAT(row(0.5), ElementsAre(1, 1, 0, 0)) << "0.6 is enough";
  EXPECT_THAT(row(0.7), ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(row(1.0), ElementsAre(1, 1, 1, 1));
}

TEST(BlockRouting, blocks_of_a_grid_are_numbered_row_by_row) {
  EXPECT_THAT(blocks_of_grid({2, 4}, 1, 2), ElementsAre(0, 0, 1, 1, 2, 2, 3, 3));
  EXPECT_THAT(blocks_of_grid({3, 3}, 2, 2), ElementsAre(0, 0, 1, 0, 0, 1, 2, 2, 3));
}

TEST(Clusters, points_on_the_sphere_have_no_mean_and_length_one) {
  const Matrix sphere = on_sphere(random_matrix(5, 6, 7));
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(dot(sphere.row(i), sphere.row(i)), 1.0, 1e-12);
    EXPECT_NEAR(row_sum(sphere, i), 0.0, 1e-12);
  }
}

TEST(Clusters, queries_attend_inside_their_cluster_or_nearby) {
  // Two directions, taken in turns: even positions in one cluster, odd ones in the other.
  Matrix q(16, 4);
  for (int64_t i = 0; i < 16; ++i) {
    q.at(i, i % 2) = 1.0;
    q.at(i, 2 + i % 2) = -1.0;
  }
  ClusterRouting routing;
  routing.clusters = 2;
  routing.causal = false;
  const KeyMask mask = route_clusters(q, q, routing);
  for (int64_t i = 0; i < 16; ++i)
    for (int64_t j = 0; j < 16; ++j) EXPECT_EQ(mask.sees(i, j), i % 2 == j % 2);
  const Matrix random = random_matrix(30, 8, 8), keys = random_matrix(30, 8, 9);
  ClusterRouting causal;
  const KeyMask routed = route_clusters(random, keys, causal);
  EXPECT_TRUE(routed.within(KeyMask::causal(30)));
  EXPECT_TRUE(every_row_sees_itself(routed));
  EXPECT_EQ(routed, route_clusters(random, keys, causal)) << "the same seed, the same clusters";
}

TEST(HyperAttention, is_exact_below_its_length_and_when_everything_is_in_one_block) {
  const Matrix q = random_matrix(24, 4, 10), k = random_matrix(24, 4, 11);
  HyperAttention options;
  options.exact_below = 24;
  const Matrix exact = exact_map(q, k, 0.5, KeyMask::causal(24));
  EXPECT_THAT(hyper_attention_map(q, k, 0.5, options).values, Pointwise(DoubleNear(1e-12), exact.values));
  options.exact_below = 4;
  options.block = 24;
  EXPECT_THAT(hyper_attention_map(q, k, 0.5, options).values, Pointwise(DoubleNear(1e-12), exact.values));
}

TEST(HyperAttention, drawn_keys_stand_for_all_others) {
  const Matrix q = random_matrix(64, 4, 12), k = random_matrix(64, 4, 13);
  HyperAttention options;
  options.exact_below = 8;
  options.block = 8;
  options.samples = 16;
  const KeyMask causal = KeyMask::causal(64);
  Matrix mean(64, 64);
  const uint64_t rounds = 200;
  for (uint64_t round = 1; round <= rounds; ++round) {
    options.seed = round;
    const Matrix map = hyper_attention_map(q, k, 0.5, options);
    for (int64_t i = 0; i < 64; ++i) {
      EXPECT_NEAR(row_sum(map, i), 1.0, 1e-12);
      for (int64_t j = i + 1; j < 64; ++j) EXPECT_EQ(map.at(i, j), 0.0);
    }
    for (size_t at = 0; at < map.values.size(); ++at)
      mean.values[at] += map.values[at] / static_cast<double>(rounds);
  }
  // Averaged over seeds the approximation comes near the softmax; a single one is far from it.
  const Matrix exact = exact_map(q, k, 0.5, causal);
  double error = 0.0;
  for (int64_t i = 0; i < 64; ++i)
    for (int64_t j = 0; j < 64; ++j) error += std::abs(mean.at(i, j) - exact.at(i, j)) / 64.0;
  EXPECT_LT(error, 0.12) << "mean total variation times 2";
}

TEST(HyperAttention, buckets_of_the_gray_order_differ_in_one_sign_from_the_next) {
  Matrix axes(3, 3), corners(8, 3);
  for (int64_t p = 0; p < 3; ++p) axes.at(p, p) = 1.0;
  for (int64_t c = 0; c < 8; ++c)
    for (int64_t p = 0; p < 3; ++p) corners.at(c, p) = ((c >> p) & 1) != 0 ? 1.0 : -1.0;
  const auto buckets = hash_buckets(corners, axes);
  std::vector<int64_t> corner_at(8);
  for (int64_t c = 0; c < 8; ++c) corner_at[static_cast<size_t>(buckets[static_cast<size_t>(c)])] = c;
  for (size_t b = 0; b + 1 < 8; ++b) {
    const auto now = static_cast<uint64_t>(corner_at[b]), next = static_cast<uint64_t>(corner_at[b + 1]);
    EXPECT_EQ(std::popcount(now ^ next), 1) << b;
  }
}

TEST(ChunkSelection, the_first_and_the_last_two_chunks_are_always_there_and_the_rest_are_the_best) {
  Matrix keys(6, 1);
  for (int64_t c = 0; c < 6; ++c)
    keys.at(c, 0) = std::vector<double>{9, 1, 5, 2, 8, 0}[static_cast<size_t>(c)];
  const std::vector<double> query{1.0};
  const ChunkChoice choice = choose_chunks(query, keys, 23, 4, 4);
  EXPECT_THAT(choice.chunks, ElementsAre(0, 2, 4, 5));
  EXPECT_EQ(choice.query_position, 3 * 4 + 3);
  EXPECT_THAT(choose_chunks(query, keys, 6, 4, 4).chunks, ElementsAre(0, 1));
  EXPECT_THAT(choose_chunks(query, keys, 23, 4, 3).chunks, ElementsAre(0, 4, 5));
}

TEST(ChunkSelection, a_chunks_key_is_its_values_attention_over_its_keys) {
  const Matrix q = random_matrix(5, 2, 14), k = random_matrix(5, 2, 15), v = random_matrix(5, 2, 16);
  const Matrix keys = chunk_keys(q, k, v, 0.7, 3);
  ASSERT_EQ(keys.rows, 2);
  // The last chunk holds positions 3 and 4.
  const double a = std::exp(0.7 * dot(q.row(4), k.row(3))), b = std::exp(0.7 * dot(q.row(4), k.row(4)));
  std::vector<double> value(2), expected(2);
  for (size_t x = 0; x < 2; ++x)
    value[x] = (v.row(3)[x] + (a * v.row(3)[x] + b * v.row(4)[x]) / (a + b)) / 2.0;
  const double c = std::exp(0.7 * dot(value, k.row(3))), d = std::exp(0.7 * dot(value, k.row(4)));
  for (size_t x = 0; x < 2; ++x) expected[x] = (c * k.row(3)[x] + d * k.row(4)[x]) / (c + d);
  EXPECT_THAT(std::vector<double>(keys.row(1).begin(), keys.row(1).end()),
              Pointwise(DoubleNear(1e-12), expected));
  const KeyMask mask = chunk_mask(q, k, v, 0.7, 3, 3);
  EXPECT_EQ(mask, KeyMask::causal(5)) << "two chunks are never more than three";
}

TEST(Recycled, rows_between_full_ones_see_what_the_last_one_kept_and_what_came_after) {
  const Matrix q = random_matrix(8, 2, 17);
  Matrix weights(8, 8);
  for (int64_t i = 0; i < 8; ++i)
    for (int64_t j = 0; j <= i; ++j) weights.at(i, j) = j == 1 || j == 2 ? 0.4 : 0.01;
  const RecycledRows rows = recycle(q, weights, {4, 2, -1.0, 1});
  EXPECT_THAT(rows.full, ElementsAre(0, 4));
  EXPECT_THAT(bits(rows.mask, 4), ElementsAre(1, 1, 1, 1, 1, 0, 0, 0));
  EXPECT_THAT(bits(rows.mask, 6), ElementsAre(0, 1, 1, 0, 0, 1, 1, 0));
}

TEST(Recycled, a_query_that_turns_away_looks_at_everything) {
  Matrix q(6, 2);
  for (int64_t i = 0; i < 6; ++i) q.at(i, i < 3 ? 0 : 1) = 1.0;
  Matrix weights(6, 6);
  for (int64_t i = 0; i < 6; ++i) weights.at(i, 0) = 1.0;
  EXPECT_THAT(recycle(q, weights, {100, 1, 0.8, 1}).full, ElementsAre(0, 3));
  EXPECT_THAT(recycle(q, weights, {100, 1, -1.0, 1}).full, ElementsAre(0));
}

TEST(Landmark, weights_of_the_worked_example) {
  const LandmarkRow row =
      landmark_row(std::vector<double>{1.0, 0.0, 0.0, 2.0, 0.5}, std::vector<double>{0.5, 1.0}, 2);
  EXPECT_THAT(row.blocks, Pointwise(DoubleNear(5e-4), std::vector<double>{0.274, 0.452}));
  EXPECT_THAT(row.weights,
              Pointwise(DoubleNear(6e-4), std::vector<double>{0.200, 0.074, 0.054, 0.398, 0.274}));
  double sum = 0.0;
  for (const double weight : row.weights) sum += weight;
  EXPECT_NEAR(sum, 1.0, 1e-12);
}

TEST(Landmark, a_map_is_causal_sums_to_one_and_is_plain_attention_inside_the_first_block) {
  const Matrix q = random_matrix(11, 3, 18), k = random_matrix(11, 3, 19);
  const Matrix map = landmark_map(q, k, 0.6, 4), plain = exact_map(q, k, 0.6, KeyMask::causal(11));
  for (int64_t i = 0; i < 11; ++i) {
    EXPECT_NEAR(row_sum(map, i), 1.0, 1e-12);
    for (int64_t j = 0; j < 11; ++j) {
      if (i < 4) {
        EXPECT_NEAR(map.at(i, j), plain.at(i, j), 1e-12);
      }
      if (j > i) {
        EXPECT_EQ(map.at(i, j), 0.0);
      }
    }
  }
}

TEST(SeerGate, keeps_as_many_blocks_as_the_worked_example) {
  EXPECT_EQ(seer_blocks(0.5, 64), 18);
  EXPECT_EQ(seer_blocks(0.0, 64), 1);
  EXPECT_EQ(seer_blocks(1.0, 64), 64);
}

TEST(SeerGate, takes_the_blocks_with_the_largest_weights_and_the_diagonal) {
  Matrix weights(4, 4);
  const std::vector<double> cells{1, 0, 0, 0, .6, .4, 0, 0, .2, .7, .1, 0, .1, .6, .1, .2};
  weights.values = cells;
  EXPECT_THAT(bits(seer_block_mask(weights, 2, 1), 1), ElementsAre(1, 1));
  EXPECT_THAT(bits(seer_block_mask(weights, 1, 1), 3), ElementsAre(0, 1, 0, 1));
}

TEST(DuoGates, mix_and_objective_of_the_worked_example) {
  EXPECT_THAT(gated_output(std::vector<double>{4.0}, std::vector<double>{0.0}, 0.25), ElementsAre(1.0));
  Matrix full(1, 2), mixed(1, 2);
  full.values = {1.0, 2.0};
  EXPECT_NEAR(gate_objective(full, mixed, std::vector<double>{1.0, 0.0, 0.5, 0.5}), 2.525, 1e-12);
}

TEST(FlexMask, vertical_slash_heads_keep_their_columns_and_diagonals) {
  // Every row looks at key 2 and at itself; q and k say nothing, so nothing of it is foreseen.
  const int64_t n = 64;
  Matrix weights(n, n), zero(n, 4);
  for (int64_t i = 0; i < n; ++i) {
    weights.at(i, i) += 0.5;
    weights.at(i, std::min<int64_t>(i, 2)) += 0.5;
  }
  const FlexMask flex = flex_mask(zero, zero, weights, 1.0, {8, 4, 0.4, 0.1});
  EXPECT_FALSE(flex.query_aware);
  EXPECT_GT(flex.distance, 0.1);
  EXPECT_TRUE(every_row_sees_itself(flex.mask));
  EXPECT_TRUE(flex.mask.within(KeyMask::causal(n)));
  for (int64_t i = 2; i < n; ++i) EXPECT_TRUE(flex.mask.sees(i, 2));
  EXPECT_LT(density(flex.mask, KeyMask::causal(n)), 0.6);
}

TEST(FlexMask, a_head_that_pooled_keys_foresee_is_query_aware) {
  const int64_t n = 32;
  Matrix q(n, 2), k(n, 2);
  for (int64_t i = 0; i < n; ++i) {
    q.at(i, 0) = 4.0;
    k.at(i, 0) = i / 8 == 1 ? 1.0 : 0.0;  // block 1 is liked by all
  }
  const Matrix weights = exact_map(q, k, 1.0, KeyMask::causal(n));
  const FlexMask flex = flex_mask(q, k, weights, 1.0, {8, 1, 0.99, 0.2});
  EXPECT_TRUE(flex.query_aware) << flex.distance;
  EXPECT_TRUE(flex.mask.sees(31, 10));
  EXPECT_FALSE(flex.mask.sees(31, 17)) << "a block nobody likes";
}

}  // namespace
}  // namespace saccade::mechanisms
