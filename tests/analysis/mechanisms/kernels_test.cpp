// Other kernels in the place of exp(q . k), and what is measured on maps: worked examples, definitions
// written out slowly, invariants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/mechanisms/flow_attention.h"
#include "analysis/mechanisms/hilo.h"
#include "analysis/mechanisms/kernel_maps.h"
#include "analysis/mechanisms/modality.h"
#include "analysis/mechanisms/radial.h"
#include "analysis/mechanisms/softplus_attention.h"
#include "tests/analysis/mechanisms/random_matrix.h"

namespace saccade::mechanisms {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

void expect_rows_sum_to_one(const Matrix& map, const KeyMask& mask) {
  for (int64_t i = 0; i < map.rows; ++i) {
    EXPECT_NEAR(row_sum(map, i), 1.0, 1e-12) << i;
    for (int64_t j = 0; j < map.columns; ++j) {
      EXPECT_GE(map.at(i, j), 0.0);
      if (!mask.sees(i, j)) {
        EXPECT_EQ(map.at(i, j), 0.0);
      }
    }
  }
}

TEST(Taylor, the_worked_example_is_near_the_exponential) {
  EXPECT_DOUBLE_EQ(taylor_weight(0.5), 1.625);
  EXPECT_NEAR(std::exp(0.5), 1.649, 5e-4);
  EXPECT_DOUBLE_EQ(taylor_weight(-1.0), 0.5) << "the least there is";
}

TEST(Taylor, features_give_the_same_weights_and_the_window_is_exact) {
  const Matrix q = random_matrix(9, 3, 1), k = random_matrix(9, 3, 2);
  const KeyMask mask = KeyMask::causal(9);
  const Matrix without = taylor_map(q, k, 0.5, 0, mask);
  EXPECT_THAT(feature_map(q, k, 0.5, taylor_features, mask).values,
              Pointwise(DoubleNear(1e-12), without.values));
  EXPECT_THAT(taylor_map(q, k, 0.5, 9, mask).values,
              Pointwise(DoubleNear(1e-12), exact_map(q, k, 0.5, mask).values));
  const Matrix mixed = taylor_map(q, k, 0.5, 2, mask);
  expect_rows_sum_to_one(mixed, mask);
  const double far = 0.5 * dot(q.row(8), k.row(0)), near = 0.5 * dot(q.row(8), k.row(7));
  EXPECT_NEAR(mixed.at(8, 0) / mixed.at(8, 7), taylor_weight(far) / std::exp(near), 1e-12);
}

TEST(FeatureMaps, are_rows_of_weights_of_what_may_be_seen) {
  const Matrix q = random_matrix(8, 4, 3), k = random_matrix(8, 4, 4);
  const KeyMask mask = KeyMask::causal(8);
  for (const auto& phi : {hedgehog_features, elu_features}) {
    const Matrix map = feature_map(q, k, 0.25, phi, mask);
    expect_rows_sum_to_one(map, mask);
    std::vector<double> a, b, c;
    for (int64_t x = 0; x < 4; ++x) {
      a.push_back(q.at(5, x) / 2.0);
      b.push_back(k.at(1, x) / 2.0);
      c.push_back(k.at(3, x) / 2.0);
    }
    EXPECT_NEAR(map.at(5, 1) / map.at(5, 3), dot(phi(a), phi(b)) / dot(phi(a), phi(c)), 1e-12);
  }
  EXPECT_THAT(elu_features(std::vector<double>{2.0, -1.0}), ElementsAre(3.0, std::exp(-1.0)));
  const Matrix cosine = cosine_map(q, k, mask);
  expect_rows_sum_to_one(cosine, mask);
}

TEST(CosineMap, a_row_that_likes_nothing_looks_evenly) {
  Matrix q(1, 2), k(3, 2);
  q.at(0, 0) = 1.0;
  for (int64_t j = 0; j < 3; ++j) k.at(j, 0) = -1.0;
  EXPECT_THAT(cosine_map(q, k, KeyMask::everything(1, 3)).values,
              Pointwise(DoubleNear(1e-12), {1. / 3, 1. / 3, 1. / 3}));
}

TEST(Agents, the_map_is_two_softmaxes_and_its_rank_that_of_the_agents) {
  const Matrix q = random_matrix(12, 3, 5), k = random_matrix(12, 3, 6), v = random_matrix(12, 2, 7);
  const Matrix agents = pool_sequence(q, 1);
  EXPECT_THAT(std::vector<double>(agents.row(0).begin(), agents.row(0).end()),
              Pointwise(DoubleNear(1e-12), mean_row(q, 0, 12)));
  const Matrix map = agent_map(q, k, agents, 0.5);
  expect_rows_sum_to_one(map, KeyMask::everything(12, 12));
  for (int64_t i = 1; i < 12; ++i) EXPECT_NEAR(map.at(i, 4), map.at(0, 4), 1e-12) << "one agent: one row";
  // With agents that are the queries themselves, by the equation.
  const Matrix all = agent_map(q, k, q, 0.5);
  Matrix first = exact_map(q, k, 0.5, KeyMask::everything(12, 12)),
         second = exact_map(q, q, 0.5, KeyMask::everything(12, 12));
  EXPECT_THAT(weighted(all, v).values,
              Pointwise(DoubleNear(1e-12), weighted(second, weighted(first, v)).values));
}

TEST(Agents, a_grid_is_pooled_into_cells) {
  Matrix rows(12, 1);
  for (int64_t i = 0; i < 12; ++i) rows.at(i, 0) = static_cast<double>(i);
  EXPECT_THAT(pool_grid(rows, {3, 4}, 2).values, ElementsAre(2.5, 4.5, 6.5, 8.5))
      << "rows 0-1 and 1-2 overlap";
  EXPECT_EQ(pool_grid(rows, {3, 4}, 7).rows, 12) << "never more cells than patches";
}

// The equations of the header, each written out for single numbers.
TEST(Flow, follows_its_equations) {
  const Matrix q = random_matrix(5, 3, 8), k = random_matrix(7, 3, 9);
  const Flow flow = flow_attention(q, k, false);
  const auto phi = [](const Matrix& m, int64_t i, int64_t j, const Matrix& o) {
    double sum = 0.0;
    for (int64_t x = 0; x < 3; ++x) sum += sigmoid(m.at(i, x)) * sigmoid(o.at(j, x));
    return sum;
  };
  std::vector<double> in(5, 0.0), out(7, 0.0), kept_in(5, 0.0), kept_out(7, 0.0);
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 7; ++j) {
      in[static_cast<size_t>(i)] += phi(q, i, j, k);
      out[static_cast<size_t>(j)] += phi(q, i, j, k);
    }
  double all = 0.0;
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 7; ++j) {
      kept_in[static_cast<size_t>(i)] += phi(q, i, j, k) / out[static_cast<size_t>(j)];
      kept_out[static_cast<size_t>(j)] += phi(q, i, j, k) / in[static_cast<size_t>(i)];
    }
  for (double& value : kept_out) all += std::exp(value = std::clamp(value, -1.0, 1.0));
  for (int64_t i = 0; i < 5; ++i) {
    const double allocation = sigmoid(kept_in[static_cast<size_t>(i)] * 5.0 / 7.0);
    EXPECT_NEAR(flow.allocation[static_cast<size_t>(i)], allocation, 1e-5);
    for (int64_t j = 0; j < 7; ++j)
      EXPECT_NEAR(flow.weights.at(i, j),
                  allocation * phi(q, i, j, k) / in[static_cast<size_t>(i)] *
                      std::exp(kept_out[static_cast<size_t>(j)]) / all * 7.0,
                  1e-5)
          << "eps is 1e-6 per factor";
  }
}

TEST(Flow, causal_weights_do_not_depend_on_what_comes_later) {
  Matrix q = random_matrix(6, 3, 10), k = random_matrix(6, 3, 11);
  const Flow before = flow_attention(q, k, true);
  for (int64_t i = 4; i < 6; ++i)
    for (int64_t x = 0; x < 3; ++x) q.at(i, x) = k.at(i, x) = 3.0;
  const Flow after = flow_attention(q, k, true);
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 6; ++j) {
      EXPECT_EQ(before.weights.at(i, j), after.weights.at(i, j));
      if (j > i) {
        EXPECT_EQ(before.weights.at(i, j), 0.0);
      }
    }
  EXPECT_NEAR(before.weights.at(0, 0), before.allocation[0], 1e-5) << "one key: all of what the sink takes";
}

TEST(Softplus, the_worked_example) {
  EXPECT_NEAR(softplus_scale(64, 4), 5.765, 5e-4);
  std::vector<double> row = softplus_row(std::vector<double>{0.9, 0.1, -0.3, 0.2}, 64);
  EXPECT_THAT(row, Pointwise(DoubleNear(6e-4), {0.665, 0.131, 0.021, 0.183}));
  reweigh(row, 3.0, 1.0);
  EXPECT_THAT(row, ElementsAre(1.0, 0.0, 0.0, 0.0));
}

TEST(Softplus, a_row_that_would_vanish_stays_and_the_first_rows_have_no_offset) {
  std::vector<double> even{0.25, 0.25, 0.25, 0.25};
  reweigh(even, 15.0, 1.0);
  EXPECT_THAT(even, ElementsAre(0.25, 0.25, 0.25, 0.25));
  const Matrix q = random_matrix(6, 8, 12), k = random_matrix(6, 8, 13);
  const KeyMask mask = KeyMask::causal(6);
  const Matrix map = softplus_map(q, k, 2.0, mask);
  expect_rows_sum_to_one(map, mask);
  EXPECT_GT(map.at(1, 0), 0.0);
  EXPECT_GT(map.at(1, 1), 0.0) << "without an offset nothing is cut";
  int64_t cut = 0;
  for (int64_t j = 0; j < 6; ++j) cut += map.at(5, j) == 0.0 ? 1 : 0;
  EXPECT_GT(cut, 0);
}

TEST(HiLo, low_frequency_heads_see_windows_through_their_mean) {
  EXPECT_EQ(low_frequency_heads(5, 0.5), 2);
  const Grid grid{4, 4};
  const Matrix q = random_matrix(16, 3, 14), k = random_matrix(16, 3, 15);
  const Matrix map = low_frequency_map(q, k, grid, 2, 0.5);
  expect_rows_sum_to_one(map, KeyMask::everything(16, 16));
  EXPECT_EQ(map.at(3, 0), map.at(3, 5)) << "patches of one window";
  std::vector<double> first(3), second(3);
  for (size_t x = 0; x < 3; ++x) {
    for (const int64_t patch : {0, 1, 4, 5}) first[x] += k.row(patch)[x] / 4.0;
    for (const int64_t patch : {2, 3, 6, 7}) second[x] += k.row(patch)[x] / 4.0;
  }
  EXPECT_NEAR(map.at(3, 0) / map.at(3, 2), std::exp(0.5 * (dot(q.row(3), first) - dot(q.row(3), second))),
              1e-12);
  EXPECT_THAT(low_frequency_map(q, k, grid, 1, 0.5).values,
              Pointwise(DoubleNear(1e-12), exact_map(q, k, 0.5, KeyMask::everything(16, 16)).values));
}

TEST(HiLo, energy_is_high_in_a_chequerboard_and_low_in_a_wave) {
  const Grid grid{8, 8};
  Matrix board(64, 1), wave(64, 1), flat(64, 1), both(64, 1);
  for (int64_t i = 0; i < 64; ++i) {
    board.at(i, 0) = (i / 8 + i % 8) % 2 == 0 ? 1.0 : -1.0;
    const int64_t row = i / 8;
    wave.at(i, 0) = std::cos(2.0 * M_PI * static_cast<double>(row) / 8.0);
    flat.at(i, 0) = 3.0;
    both.at(i, 0) = board.at(i, 0) + wave.at(i, 0);
  }
  EXPECT_NEAR(high_frequency_share(board, grid), 1.0, 1e-12);
  EXPECT_NEAR(high_frequency_share(wave, grid), 0.0, 1e-12);
  EXPECT_EQ(high_frequency_share(flat, grid), 0.0);
  EXPECT_NEAR(high_frequency_share(both, grid), 64.0 / (64.0 + 32.0), 1e-12) << "mean squares 1 and 1/2";
}

TEST(Radial, widths_halve_with_each_doubling_of_the_distance) {
  // 12 tokens: bit length 4, so 16 / 2^group.
  RadialRule rule{9, 12, 1.0, 1, false};
  std::vector<double> widths;
  for (int64_t apart = 0; apart < 9; ++apart) widths.push_back(radial_width(rule, apart));
  EXPECT_THAT(widths, ElementsAre(12.0, 8.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0, 1.0));
  rule.near_full = true;
  EXPECT_EQ(radial_width(rule, 1), 12.0);
  rule.decay = 0.5;
  EXPECT_EQ(radial_width(rule, 2), 2.0);
}

TEST(Radial, bands_narrower_than_the_least_are_kept_for_every_so_manyth_pair) {
  const RadialRule rule{9, 12, 1.0, 4, false};
  std::vector<double> widths;
  for (int64_t apart = 1; apart < 9; ++apart) widths.push_back(radial_width(rule, apart));
  EXPECT_THAT(widths, ElementsAre(8.0, 4.0, 4.0, 4.0, -1.0, 4.0, -1.0, 4.0))
      << "every 2nd of those 4 to 7 apart";
}

TEST(Radial, masks_hold_their_frame_and_the_first_one) {
  const RadialRule rule{6, 5, 1.0, 1, false};
  const KeyMask mask = radial_mask(rule);
  EXPECT_TRUE(every_row_sees_itself(mask));
  for (int64_t i = 0; i < 30; ++i)
    for (int64_t j = 0; j < 30; ++j) {
      const double width = radial_width(rule, std::abs(i / 5 - j / 5));
      EXPECT_EQ(mask.sees(i, j), j < 5 || std::abs(i % 5 - j % 5) <= width);
    }
  KeyMask cells(4, 4);
  cells.show(0, {0, 2});
  cells.show(2, 0);
  const KeyMask blocks = radial_blocks(cells, 2);
  EXPECT_TRUE(blocks.sees(0, 0)) << "both of its columns are half full";
  EXPECT_TRUE(blocks.sees(1, 0)) << "its only column that holds anything is half full";
  EXPECT_FALSE(blocks.sees(0, 1));
}

TEST(Decay, the_rate_of_an_exponential_is_found) {
  Matrix weights(12, 12);
  for (int64_t i = 0; i < 12; ++i)
    for (int64_t j = 0; j < 12; ++j)
      weights.at(i, j) = 0.5 * std::exp(-0.3 * static_cast<double>(std::abs(i / 3 - j / 3)));
  const Decay decay = decay_over_frames(weights, KeyMask::everything(12, 12), 3);
  EXPECT_NEAR(decay.rate, 0.3, 1e-12);
  EXPECT_NEAR(decay.intercept, std::log(0.5), 1e-12);
  EXPECT_EQ(decay.means.size(), 4U);
  EXPECT_NEAR(decay_inside_frames(weights, KeyMask::everything(12, 12), 3).rate, 0.0, 1e-12);
  EXPECT_TRUE(std::isnan(decay_over_frames(weights, KeyMask::everything(12, 12), 12).rate)) << "one frame";
}

TEST(Concentric, patches_see_their_ring_and_those_further_out) {
  const PlacedGrid picture{2, {4, 4}};
  const KeyMask mask = concentric_mask(20, picture);
  EXPECT_TRUE(every_row_sees_itself(mask));
  EXPECT_EQ(mask.count(2), 2 + 12) << "an outer patch: the text before and the 12 of its ring";
  EXPECT_EQ(mask.count(7), 2 + 16) << "an inner patch sees all";
  EXPECT_THAT(mask.ranges(19), ElementsAre(KeyRange{0, 20}));
}

TEST(ModalityMasks, change_picture_rows_only) {
  const PlacedGrid picture{1, {1, 3}};
  const KeyMask mutual = mutual_mask(6, picture, false), two_way = mutual_mask(6, picture, true),
                apart = no_patch_to_patch_mask(6, picture);
  EXPECT_THAT(bits(mutual, 1), ElementsAre(1, 1, 0, 0, 1, 1));
  EXPECT_THAT(bits(two_way, 1), ElementsAre(1, 1, 1, 1, 1, 1));
  EXPECT_THAT(bits(apart, 3), ElementsAre(1, 0, 0, 1, 0, 0));
  for (const KeyMask* mask : {&mutual, &two_way, &apart}) {
    EXPECT_THAT(bits(*mask, 4), ElementsAre(1, 1, 1, 1, 1, 0)) << "text stays causal";
    EXPECT_THAT(bits(*mask, 0), ElementsAre(1, 0, 0, 0, 0, 0));
  }
}

}  // namespace
}  // namespace saccade::mechanisms
