// What is particular to the CUDA kernels and can be tested without a device: that results do not depend on
// the order in which the threads of a block run, that the tables say what the edits say, and that the
// emulation notices what it is there to notice. The tests of every kernel set run on the emulated kernels
// besides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/bfloat16.h"
#include "kernels/cuda/attention_cuda.h"
#include "kernels/cuda/tables.h"
#include "tests/kernels/attention_problem.h"
#include "tests/kernels/cuda_emulated.h"

namespace saccade {
namespace {

using cuda_emulation::Order;
using testing::ElementsAre;
using namespace testing_attention;

HeadPlan busy_plan() {
  HeadPlan plan;
  plan.scores.push_back({.kind = ScoreEditKind::bias, .keys = {{2, 5}}, .value = 1.0f});
  plan.weights.push_back({.kind = WeightEditKind::sharpen, .value = 1.5f});
  plan.weights.push_back(
      {.kind = WeightEditKind::redistribute, .keys = {{0, 2}}, .to = {{5, 9}}, .value = 0.25f});
  plan.outputs.push_back({.factor = 0.5f});
  return plan;
}

std::vector<Case> cases() {
  std::vector<Case> list{{"tiles", {70, 70, 2, 1, 72, 0}},       {"window", {90, 90, 2, 2, 32, 0}, true, 17},
                         {"decode", {2, 600, 2, 1, 40, 598}},    {"large_heads", {20, 40, 1, 1, 256, 20}},
                         {"huge_heads", {6, 20, 1, 1, 300, 14}}, {"edited", {30, 30, 2, 1, 24, 0}}};
  list.back().edits = {busy_plan(), {}};
  list.push_back({"prefix", {90, 90, 2, 2, 32, 0}, true, 17});
  list.back().prefix = 40;
  list.push_back({"decode_in_a_prefix", {2, 600, 2, 1, 40, 500}, true, 9});
  list.back().prefix = 550;
  const size_t n = list.size();
  for (size_t i = 0; i < n; ++i) {
    list.push_back(list[i]);
    list.back().name += "_in_bfloat16";
    list.back().bf16 = true;
  }
  return list;
}

TEST(EmulatedCuda, gives_the_same_bits_in_whatever_order_the_threads_of_a_block_run) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    std::vector<std::vector<float>> z, received, top;
    for (const Order order : {Order::forwards, Order::backwards, Order::shuffled}) {
      Problem p(c);
      p.ask_for_everything();
      ASSERT_TRUE(emulated_cuda(order).forward(p.in, p.out, serial()).ok());
      for (const float value : p.z) ASSERT_TRUE(std::isfinite(value));
      z.push_back(p.z);
      received.push_back(p.received);
      top.push_back(p.top_weight);
    }
    for (const size_t other : {1, 2}) {
      EXPECT_EQ(z[0], z[other]);
      EXPECT_EQ(received[0], received[other]);
      EXPECT_EQ(top[0], top[other]);
    }
  }
}

TEST(EmulatedCuda, takes_heads_of_any_size) {
  for (const int64_t d : {1, 7, 136, 250, 257, 300})
    for (const bool bf16 : {false, true}) {
      Case c{"heads_of_" + std::to_string(d), {9, 40, 2, 1, d, 31}};
      c.bf16 = bf16;
      expect_agrees(emulated_cuda(Order::shuffled), c, serial(), {2.0, bf16});
    }
}

TEST(EmulatedCuda, takes_what_is_not_aligned_to_16_bytes) {
  Problem p({"aligned", {70, 70, 2, 1, 64, 0}}), shifted({"aligned", {70, 70, 2, 1, 64, 0}});
  std::vector<float> moved(shifted.fused.size() + 8);
  for (const size_t offset : {1, 2, 3}) {
    std::copy(shifted.fused.begin(), shifted.fused.end(), moved.begin() + static_cast<int64_t>(offset));
    for (auto [view, from] :
         {std::pair{&shifted.in.q, p.in.q}, {&shifted.in.k, p.in.k}, {&shifted.in.v, p.in.v}})
      view->data = moved.data() + offset + (from.data - p.fused.data());
    ASSERT_TRUE(emulated_cuda(Order::forwards).forward(p.in, p.out, serial()).ok());
    ASSERT_TRUE(emulated_cuda(Order::forwards).forward(shifted.in, shifted.out, serial()).ok());
    EXPECT_EQ(p.z, shifted.z);
  }
}

// The threads of a block hand a number on to their neighbour, with and without waiting for each other.
std::vector<int> handed_on(Order order, bool wait) {
  std::vector<int> got(64);
  cuda_emulation::run_grid({1, 1, 1}, 64, 64 * sizeof(int), order, [&] {
    auto* shared = static_cast<int*>(cuda_emulation::shared_memory());
    const unsigned me = threadIdx.x;
    shared[me] = static_cast<int>(me);
    if (wait) __syncthreads();
    got[me] = shared[(me + 1) % 64];
  });
  return got;
}

TEST(Emulation, shows_a_missing_barrier_as_a_result_that_depends_on_the_order) {
  EXPECT_EQ(handed_on(Order::forwards, true), handed_on(Order::backwards, true));
  EXPECT_NE(handed_on(Order::forwards, false), handed_on(Order::backwards, false));
}

TEST(Emulation, lets_asynchronous_copies_arrive_only_when_they_are_waited_for) {
  alignas(16) float from[4] = {1.0f, 2.0f, 3.0f, 4.0f};
  alignas(16) float to[4] = {};
  float early = -1.0f, pending = -1.0f;
  cuda_emulation::run_grid({1, 1, 1}, 32, 0, Order::forwards, [&] {
    if (threadIdx.x != 0) return;
    cuda::copy_async(to, from);
    cuda::copy_commit();
    early = to[0];
    cuda::copy_commit();
    cuda::copy_wait<1>();
    pending = to[0];
  });
  EXPECT_EQ(early, 0.0f);
  EXPECT_EQ(pending, 1.0f);
}

// Through shared memory, ldmatrix and mma, as the kernels do it: A [16, 16] by rows, B given as [8, 16] (its
// columns by rows: load_matrices) or as [16, 8] (load_matrices_transposed).
std::vector<float> product_of_fragments(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b,
                                        bool transposed) {
  std::vector<float> d(16 * 8);
  cuda_emulation::run_grid({1, 1, 1}, 32, 0, Order::shuffled, [&] {
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t fa[4], fb[4];
    float fd[4] = {};
    cuda::load_matrices(fa, a.data() + lane % 16 * 16 + lane / 16 * 8);
    if (transposed)
      cuda::load_matrices_transposed(fb, b.data() + lane % 16 * 8);
    else
      cuda::load_matrices(fb, b.data() + lane % 8 * 16 + lane / 8 % 2 * 8);
    cuda::multiply_accumulate(fd, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; ++i)
      d[static_cast<size_t>((lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2)] = fd[i];
  });
  return d;
}

TEST(Fragments, make_a_matrix_product_both_ways) {
  std::vector<uint16_t> a(16 * 16), by_column(8 * 16), by_row(16 * 8);
  std::vector<float> expected(16 * 8, 0.0f);
  // Small whole numbers: every order of summation is exact.
  const auto left = [](size_t i, size_t k) { return static_cast<float>((3 * i + 5 * k) % 17) - 8.0f; };
  const auto right = [](size_t k, size_t j) { return static_cast<float>((7 * k + 11 * j) % 13) - 6.0f; };
  for (size_t k = 0; k < 16; ++k) {
    for (size_t i = 0; i < 16; ++i) a[i * 16 + k] = narrow_to_bfloat16(left(i, k));
    for (size_t j = 0; j < 8; ++j)
      by_column[j * 16 + k] = by_row[k * 8 + j] = narrow_to_bfloat16(right(k, j));
    for (size_t i = 0; i < 16; ++i)
      for (size_t j = 0; j < 8; ++j) expected[i * 8 + j] += left(i, k) * right(k, j);
  }
  EXPECT_EQ(product_of_fragments(a, by_column, false), expected);
  EXPECT_EQ(product_of_fragments(a, by_row, true), expected);
}

TEST(TableBlock, keeps_plain_and_edited_heads_apart_and_their_edits_in_order) {
  const std::vector<HeadPlan> plans{{}, busy_plan(), {}};
  AttentionInput in;
  in.shape = {4, 8, 3, 1, 16, 4};
  in.edits = plans;
  std::vector<float> mass(12);
  const std::vector<KeyMass> masses{{{{1, 2}}, nullptr}, {{{3, 5}, {6, 7}}, mass.data()}};
  AttentionOutput out;
  out.key_masses = masses;
  const auto block = cuda::TableBlock::of(in, out, std::vector<float*>(3, nullptr));
  const cuda::Tables t = block.bind(block.bytes().data());
  EXPECT_EQ(block.n_plain(), 2);
  EXPECT_THAT(std::vector<int32_t>(t.plain_heads, t.plain_heads + 2), ElementsAre(0, 2));
  ASSERT_EQ(block.n_edited(), 1);
  EXPECT_EQ(t.edited_heads[0], 1);
  const cuda::PlanRecord& plan = t.plans[1];
  ASSERT_EQ(plan.weights.end - plan.weights.begin, 2);
  const cuda::EditRecord& moved = t.edits[plan.weights.begin + 1];
  EXPECT_EQ(moved.kind, static_cast<int32_t>(WeightEditKind::redistribute));
  EXPECT_EQ(moved.value, 0.25f);
  EXPECT_EQ(t.ranges[moved.to.begin].begin, 5);
  // Nobody asks for the first set.
  const cuda::Span set = t.mass_sets[0];
  ASSERT_EQ(set.end - set.begin, 2);
  EXPECT_EQ(t.ranges[set.begin + 1].before, 2) << "keys 3 and 4 stand before key 6";
  EXPECT_EQ(t.masses[0], mass.data());
}

TEST(Tables, refuse_no_more_tokens_than_32_bits_count) {
  AttentionShape shape{1000, 1000, 8, 8, 64, 0};
  EXPECT_TRUE(cuda::fits_32_bits(shape));
  shape.n_key = int64_t{1} << 31;
  EXPECT_FALSE(cuda::fits_32_bits(shape));
}

TEST(Tables, take_a_block_larger_than_the_rectangle_for_the_rectangle) {
  const cuda::TileParameters t =
      cuda::tile_parameters_of({100, 100, 1, 1, 8, 0}, {0, 10, 40, 5, 25, int64_t{1} << 40}, {});
  EXPECT_EQ(t.lod, 30);
  EXPECT_EQ(t.row_begin, 10);
  EXPECT_EQ(t.key_end, 25);
}

}  // namespace
}  // namespace saccade
