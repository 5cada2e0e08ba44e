// Published methods' small examples, worked by hand, through the edits and statistics that carry them out.
// A map with given weights is made by choosing q . k = ln p: head size n, q_i the i-th row of ln p, k_j the
// j-th unit vector.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/attention.h"

namespace saccade {
namespace {

using Map = std::vector<std::vector<float>>;

class GivenMap {
 public:
  // `causal`: row i has i + 1 weights; otherwise rows have as many as there are keys.
  GivenMap(const Map& map, bool causal, HeadPlan plan = {}, int64_t first_query = 0)
      : n_query_(static_cast<int64_t>(map.size())), n_key_(static_cast<int64_t>(map.back().size())) {
    const int64_t n = n_key_;
    q_.assign(static_cast<size_t>(n_query_ * n), 0.0f);
    k_.assign(static_cast<size_t>(n * n), 0.0f);
    for (int64_t j = 0; j < n; ++j) k_[static_cast<size_t>(j * n + j)] = 1.0f;
    for (size_t i = 0; i < map.size(); ++i)
      for (size_t j = 0; j < map[i].size(); ++j)
        q_[i * static_cast<size_t>(n) + j] = map[i][j] > 0.0f ? std::log(map[i][j]) : -200.0f;
    plans_ = {std::move(plan)};
    in_.shape = {n_query_, n, 1, 1, n, first_query};
    in_.mask.causal = causal;
    in_.q = {q_.data(), n, n};
    in_.k = in_.v = {k_.data(), n, n};  // v_j the j-th unit vector: z is the map
    in_.edits = plans_;
    factors_.assign(static_cast<size_t>(row_factor_count(plans_[0]) * n_query_), 0.0f);
  }
  // z, which is the edited map, [query, key].
  Map run(AttentionOutput out = {}) {
    std::vector<float> z(static_cast<size_t>(n_query_ * n_key_));
    float* factors = factors_.data();
    out.z = {z.data(), n_key_, n_key_};
    out.row_factors = {&factors, 1};
    EXPECT_TRUE(kernel_sets()[0].forward(in_, out, serial()).ok());
    Map map;
    for (int64_t i = 0; i < n_query_; ++i)
      map.emplace_back(z.begin() + i * n_key_, z.begin() + (i + 1) * n_key_);
    return map;
  }

 private:
  int64_t n_query_, n_key_;
  std::vector<float> q_, k_, factors_;
  std::vector<HeadPlan> plans_;
  AttentionInput in_;
};

void expect_row(const std::vector<float>& row, const std::vector<float>& wanted) {
  for (size_t j = 0; j < row.size(); ++j)
    EXPECT_NEAR(row[j], j < wanted.size() ? wanted[j] : 0.0f, 1e-6) << "key " << j;
}

// Yu et al., ICML 2024 (arXiv 2406.15765).
const Map act_map{{1.0f}, {0.6f, 0.4f}, {0.2f, 0.7f, 0.1f}, {0.1f, 0.6f, 0.1f, 0.2f}};

HeadPlan act(const KeySet& sinks, const KeySet& others) {
  WeightEdit edit;
  edit.kind = WeightEditKind::redistribute;
  edit.keys = sinks;
  edit.to = others;
  edit.value = 0.4f;
  return {{}, {edit}, {}};
}

TEST(WorkedExamples, act_calibrates_one_sink) {
  const Map map = GivenMap(act_map, true, act({{1, 2}}, {{0, 1}, {2, 4}})).run();
  expect_row(map[0], {1.0f});
  expect_row(map[1], {0.84f, 0.16f});
  expect_row(map[2], {0.48f, 0.28f, 0.24f});
  expect_row(map[3], {0.19f, 0.24f, 0.19f, 0.38f});
}

TEST(WorkedExamples, act_calibrates_two_sinks) {
  const Map map = GivenMap(act_map, true, act({{1, 2}, {3, 4}}, {{0, 1}, {2, 3}})).run();
  expect_row(map[3], {0.34f, 0.24f, 0.34f, 0.08f});
}

// Kang et al., ICLR 2025 (arXiv 2503.03321): BOS and the first image token are sinks.
TEST(WorkedExamples, var_moves_what_sinks_hold_to_the_image) {
  WeightEdit edit;
  edit.kind = WeightEditKind::redistribute;
  edit.keys = {{0, 2}};
  edit.to = {{2, 4}};
  edit.value = 0.4f;  // p = 0.6 is moved
  const Map row{{0.4f, 0.2f, 0.1f, 0.1f, 0.2f}};
  expect_row(GivenMap(row, true, {{}, {edit}, {}}, 4).run()[0], {0.16f, 0.08f, 0.28f, 0.28f, 0.2f});
  edit.value = 0.6f;  // as the authors' program has it
  expect_row(GivenMap(row, true, {{}, {edit}, {}}, 4).run()[0], {0.24f, 0.12f, 0.22f, 0.22f, 0.2f});
}

// B = 0.4 on the picture and r = 0.5 of it on no sink: the row test counts image tokens alone, BOS not.
TEST(WorkedExamples, var_takes_rows_by_what_they_spend_on_the_image) {
  constexpr float rounding = 1e-4f;  // of weights made from their logarithms
  WeightEdit edit;
  edit.kind = WeightEditKind::redistribute;
  edit.keys = {{0, 2}};
  edit.to = {{2, 4}};
  edit.among = {{1, 4}};
  edit.value = 0.4f;
  const std::vector<float> row{0.4f, 0.2f, 0.1f, 0.1f, 0.2f}, moved{0.16f, 0.08f, 0.28f, 0.28f, 0.2f};
  const auto with = [&](float least_mass, float least_share) {
    edit.least_mass = least_mass;
    edit.least_share = least_share;
    return GivenMap({row}, true, {{}, {edit}, {}}, 4).run()[0];
  };
  expect_row(with(0.4f - rounding, 0.5f - rounding), moved);
  expect_row(with(0.4f + rounding, 0.5f - rounding), row);
  expect_row(with(0.4f - rounding, 0.5f + rounding), row);
  edit.among = {};  // keys and to: 0.8, of which the image's other tokens have a quarter
  expect_row(with(0.8f - rounding, 0.25f - rounding), moved);
  expect_row(with(0.8f - rounding, 0.25f + rounding), row);
}

TEST(WorkedExamples, softpag_mixes_in_the_identity) {
  WeightEdit edit;
  edit.kind = WeightEditKind::identity;
  edit.value = 0.4f;
  expect_row(GivenMap({{0.5f, 0.3f, 0.2f}}, false, {{}, {edit}, {}}).run()[0], {0.7f, 0.18f, 0.12f});
}

TEST(WorkedExamples, lssar_keeps_what_is_above_the_uniform_level) {
  WeightEdit edit;
  edit.kind = WeightEditKind::sharpen;
  edit.value = 3.0f;
  const HeadPlan plan{{}, {edit}, {}};
  expect_row(GivenMap({{0.665f, 0.131f, 0.021f, 0.183f}}, false, plan).run()[0], {1.0f});
  // Two above 1/4: (0.8^3, 0.4^3) normalised. Uniform rows have none above it and stay.
  expect_row(GivenMap({{0.45f, 0.35f, 0.1f, 0.1f}}, false, plan).run()[0],
             {0.512f / 0.576f, 0.064f / 0.576f});
  expect_row(GivenMap({{0.25f, 0.25f, 0.25f, 0.25f}}, false, plan).run()[0], {0.25f, 0.25f, 0.25f, 0.25f});
}

TEST(WorkedExamples, lofit_scales_and_shifts_the_output) {
  HeadPlan plan;
  plan.outputs = {{{}, 1.0f, {1.5f, 1.0f}, {0.0f, -1.0f}}};
  expect_row(GivenMap({{0.25f, 0.75f}}, false, plan).run()[0], {0.375f, -0.25f});
}

// Xiao et al. (arXiv 2410.10819): sink 1, recent 2, row 4 of 5 sees keys 0, 3 and 4.
TEST(WorkedExamples, duoattention_streams) {
  HeadPlan plan;
  plan.scores = {{ScoreEditKind::stream, {}, {}, 0.0f, 1, 2}};
  Map map;
  for (size_t i = 1; i <= 5; ++i) map.emplace_back(i, 1.0f / static_cast<float>(i));
  const Map streamed = GivenMap(map, true, plan).run();
  expect_row(streamed[4], {1.0f / 3, 0.0f, 0.0f, 1.0f / 3, 1.0f / 3});
  expect_row(streamed[1], {0.5f, 0.5f});
}

// Gao et al. (arXiv 2410.13276): block maxima of the true probabilities.
TEST(WorkedExamples, seerattention_pools_the_map) {
  std::vector<float> block_max(4), block_mass(4), received(8);
  AttentionOutput out;
  out.block_size = 2;
  out.block_max = block_max.data();
  out.block_mass = block_mass.data();
  out.received_blocks = received.data();
  (void)GivenMap(act_map, true).run(out);
  expect_row(block_max, {1.0f, 0.0f, 0.7f, 0.2f});
  expect_row(block_mass, {2.0f, 0.0f, 1.6f, 0.4f});
  expect_row(received, {1.6f, 0.4f, 0.0f, 0.0f, 0.3f, 1.3f, 0.2f, 0.2f});
}

}  // namespace
}  // namespace saccade
