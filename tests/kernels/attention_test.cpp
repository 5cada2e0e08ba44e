// Every kernel set of this machine against the double-precision reference, on a table of awkward shapes.
#include "kernels/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/attention_problem.h"

namespace saccade {
namespace {

using testing::HasSubstr;
using namespace testing_attention;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Case with_prefix(Case c, int64_t prefix) {
  c.prefix = prefix;
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const int64_t n : {1, 2, 3, 4, 7, 17, 64, 65, 130})
    for (const int64_t d : {1, 8, 13, 16, 24, 64, 80, 128, 256})
      list.push_back({"causal_" + std::to_string(n) + "_tokens_of_" + std::to_string(d), {n, n, 2, 1, d, 0}});
  list.push_back({"a_thousand_tokens", {1000, 1000, 2, 2, 64, 0}});
  list.push_back({"bidirectional", {50, 70, 4, 2, 32, 0}, false});
  list.push_back({"bidirectional_window", {50, 50, 2, 2, 32, 0}, false, 9});
  for (const int64_t sharing : {2, 3, 4, 5, 8})
    list.push_back({std::to_string(sharing) + "_heads_share_a_kv_head", {40, 40, 2 * sharing, 2, 16, 0}});
  list.push_back({"decode", {1, 333, 4, 2, 64, 332}});
  list.push_back({"decode_three_rows", {3, 333, 8, 1, 40, 330}});
  list.push_back({"decode_a_long_context", {1, 2500, 6, 3, 24, 2499}});
  list.push_back({"decode_bidirectional", {2, 100, 2, 2, 64, 50}, false});
  list.push_back({"continuing", {20, 120, 2, 2, 64, 100}});
  list.push_back({"window", {90, 90, 2, 2, 32, 0}, true, 7});
  list.push_back({"window_while_decoding", {2, 90, 2, 2, 32, 88}, true, 7});
  list.push_back(with_prefix({"prefix", {130, 130, 4, 2, 32, 0}}, 70));
  list.push_back(with_prefix({"prefix_of_everything", {66, 66, 2, 2, 24, 0}}, 66));
  list.push_back(with_prefix({"prefix_and_window", {130, 130, 2, 2, 32, 0}, true, 7}, 50));
  list.push_back(with_prefix({"prefix_and_window_both_ways", {60, 60, 2, 2, 32, 0}, false, 7}, 20));
  list.push_back(with_prefix({"prefix_continued", {40, 120, 2, 2, 64, 50}, true, 9}, 70));
  list.push_back(with_prefix({"decode_in_a_prefix", {1, 90, 2, 2, 32, 60}, true, 5}, 80));
  list.push_back(with_prefix({"decode_after_a_prefix", {1, 90, 2, 2, 32, 89}, true, 7}, 80));
  list.push_back({"huge_scores", {60, 60, 2, 2, 32, 0}, true, 0, 60.0f});
  list.push_back({"tiny_scores", {60, 60, 2, 2, 32, 0}, true, 0, 1e-20f});
  list.push_back({"denormal_inputs", {60, 60, 2, 2, 32, 0}, true, 0, 1e-40f});
  list.push_back(
      {"knocked_out_edges", {60, 60, 2, 2, 32, 0}, true, 0, 1.0f, {{10, 50, 3, 9}, {0, 60, 20, 21}}});
  list.push_back({"rows_that_see_nothing", {60, 60, 2, 2, 32, 0}, true, 0, 1.0f, {{5, 9, 0, 60}}});
  list.push_back(
      {"decoding_a_row_that_sees_nothing", {2, 60, 2, 2, 32, 58}, true, 0, 1.0f, {{59, 60, 0, 60}}});
  list.push_back({"soft_cap", {60, 60, 2, 2, 32, 0}, true, 0, 3.0f, {}, 5.0f});
  list.push_back({"soft_cap_while_decoding", {1, 77, 2, 1, 32, 76}, true, 9, 3.0f, {}, 5.0f});
  list.push_back({"alibi", {130, 130, 4, 2, 32, 0}, true, 0, 1.0f, {}, 0.0f, true});
  list.push_back({"alibi_while_decoding", {1, 130, 4, 2, 32, 129}, true, 0, 1.0f, {}, 0.0f, true});
  list.push_back({"alibi_both_ways", {50, 50, 4, 4, 16, 0}, false, 0, 1.0f, {}, 0.0f, true});
  const std::vector<EdgeRect> cuts{{10, 50, 3, 9}, {0, 60, 20, 21}};
  list.push_back({"alibi_cap_window_and_cuts", {60, 60, 2, 2, 32, 0}, true, 20, 3.0f, cuts, 5.0f, true});
  list.push_back({"no_queries", {0, 10, 2, 2, 16, 0}, false});
  list.push_back({"no_keys", {5, 0, 2, 2, 16, 0}, false});
  list.push_back({"decoding_without_keys", {1, 0, 2, 2, 16, 0}, false});
  return list;
}

class EveryKernelSet : public testing::TestWithParam<KernelSet> {
 protected:
  [[nodiscard]] const KernelSet& kernels() const { return GetParam(); }
  void run(Problem& p) const {
    const auto outcome = kernels().forward(p.in, p.out, serial());
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  }
};

TEST_P(EveryKernelSet, agrees_with_the_reference_on_every_case_and_statistic) {
  for (const Case& c : cases()) expect_agrees(kernels(), c, threads(2));
}

TEST_P(EveryKernelSet, agrees_with_the_reference_on_bfloat16_inputs) {
  for (Case c : cases()) {
    c.bf16 = true;
    expect_agrees(kernels(), c, threads(2), {2.0, true});
  }
}

TEST_P(EveryKernelSet, counts_blocks_of_every_size) {
  for (const int64_t block : {1, 5, 32, 64, 100, 1000})
    for (const int64_t n : {3, 70, 500}) {
      Case c{"blocks_of_" + std::to_string(block), {n, n, 2, 1, 16, 0}};
      c.block_size = block;
      expect_agrees(kernels(), c, threads(2));
    }
}

TEST_P(EveryKernelSet, without_statistics_gives_the_same_output_bit_for_bit) {
  std::vector<Case> list = cases();
  list.push_back({"bfloat16", {300, 300, 4, 2, 64, 0}});
  list.back().bf16 = true;
  for (const Case& c : list) {
    Problem plain(c), full(c);
    full.ask_for_everything();
    run(plain);
    run(full);
    EXPECT_EQ(plain.z, full.z) << c.name;
  }
}

TEST_P(EveryKernelSet, gives_the_same_bits_whatever_the_threads_do) {
  for (const Case& c : {Case{"long", {700, 700, 3, 1, 32, 0}}, Case{"decode", {1, 3000, 3, 1, 32, 2999}}}) {
    SCOPED_TRACE(c.name);
    Problem first(c), again(c), alone(c);
    for (Problem* p : {&first, &again, &alone}) p->ask_for_everything();
    ASSERT_TRUE(kernels().forward(first.in, first.out, threads(3)).ok());
    ASSERT_TRUE(kernels().forward(again.in, again.out, threads(3)).ok());
    run(alone);
    for (Problem* p : {&again, &alone}) {
      EXPECT_EQ(first.z, p->z);
      EXPECT_EQ(first.received, p->received);
      EXPECT_EQ(first.entropy, p->entropy);
      EXPECT_EQ(first.block_mass, p->block_mass);
    }
  }
}

TEST_P(EveryKernelSet, tiles_at_full_detail_are_the_pattern_and_coarser_ones_its_block_maxima_and_masses) {
  for (const Case& c : {Case{"plain", {130, 130, 4, 2, 24, 0}}, Case{"continuing", {30, 90, 2, 1, 40, 60}},
                        Case{"cut", {60, 60, 2, 2, 32, 0}, true, 0, 1.0f, {{5, 9, 0, 60}, {20, 40, 3, 9}}},
                        Case{"window", {90, 90, 2, 2, 32, 0}, true, 7},
                        with_prefix({"prefix", {130, 130, 2, 2, 24, 0}, true, 7}, 61),
                        Case{"alibi_and_cap", {60, 60, 2, 2, 32, 0}, false, 0, 3.0f, {}, 5.0f, true}}) {
    expect_tiles_agree(kernels(), c);
    Case narrow = c;
    narrow.bf16 = true;
    expect_tiles_agree(kernels(), narrow);
  }
}

TEST_P(EveryKernelSet, every_row_of_the_map_sums_to_1) {
  Problem p({"plain", {200, 200, 2, 1, 64, 0}, true, 0, 1.5f});
  p.ask_for_everything();
  run(p);
  std::vector<float> map(200 * 200);
  ASSERT_TRUE(kernels().tile(p.tile_input(), {1, 0, 200, 0, 200, 1}, {map.data(), nullptr}).ok());
  for (size_t i = 0; i < 200; ++i) {
    double sum = 0.0;
    for (size_t j = 0; j < 200; ++j) sum += map[i * 200 + j];
    ASSERT_NEAR(sum, 1.0, 2e-6);
    ASSERT_NEAR(p.mass_values[1][200 + i] + map[i * 200], 1.0, 2e-6) << "keys 1 and later, and key 0";
  }
  double blocks = 0.0;
  for (const float mass : p.block_mass) blocks += mass;
  ASSERT_NEAR(blocks, 400.0, 1e-3) << "two heads of 200 rows";
}

TEST_P(EveryKernelSet, two_halves_of_the_keys_merged_by_lse_equal_one_pass) {
  for (const int64_t rows : {1, 40}) {
    const int64_t n = 300, half = 130;
    const Case c{"whole", {rows, n, 4, 2, 32, 0}, false};
    Problem whole(c), left(c), right(c);
    for (Problem* p : {&whole, &left, &right}) p->ask_for_everything();
    left.in.shape.n_key = half;
    right.in.shape.n_key = n - half;
    right.in.k.data += half * right.in.k.token_stride;
    right.in.v.data += half * right.in.v.token_stride;
    for (Problem* p : {&whole, &left, &right}) run(*p);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t h = 0; h < 4; ++h) {
        const auto row = static_cast<size_t>(h * rows + i);
        const double a = std::exp(static_cast<double>(left.lse[row] - whole.lse[row])),
                     b = std::exp(static_cast<double>(right.lse[row] - whole.lse[row]));
        ASSERT_NEAR(a + b, 1.0, 2e-6);
        for (int64_t x = 0; x < 32; ++x) {
          const auto at = static_cast<size_t>((i * 4 + h) * 32 + x);
          ASSERT_NEAR(a * left.z[at] + b * right.z[at], whole.z[at], 2e-6);
        }
      }
  }
}

TEST_P(EveryKernelSet, permuting_heads_permutes_results) {
  for (const int64_t n : {2, 50}) {
    const Case c{"heads", {n, n, 3, 3, 16, 0}};
    Problem p(c), swapped(c);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t h = 0; h < 3; ++h)
        for (int64_t x = 0; x < 16; ++x) {
          swapped.q(i, h, x) = p.q(i, 2 - h, x);
          swapped.k(i, h, x) = p.k(i, 2 - h, x);
          swapped.v(i, h, x) = p.v(i, 2 - h, x);
        }
    run(p);
    run(swapped);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t h = 0; h < 3; ++h)
        for (int64_t x = 0; x < 16; ++x)
          ASSERT_EQ(p.z[static_cast<size_t>(i * 48 + h * 16 + x)],
                    swapped.z[static_cast<size_t>(i * 48 + (2 - h) * 16 + x)]);
  }
}

// What is not finite goes where mathematics takes it and nowhere else.
class Spoiled {
 public:
  Spoiled(const KernelSet& kernels, const Case& c, const std::function<void(Problem&)>& spoil)
      : p(c), clean(c), n_query(c.shape.n_query) {
    spoil(p);
    for (Problem* each : {&p, &clean}) {
      each->ask_for_everything();
      EXPECT_TRUE(kernels.forward(each->in, each->out, serial()).ok());
    }
  }
  // Expects row `row` of head 0 to be NaN in its columns `x` where `in_z` says so, and everything else as in
  // the clean run.
  void expect(const std::function<bool(int64_t row, int64_t x)>& in_z) const {
    const int64_t d = p.shape.d_head, heads = p.shape.n_head;
    for (int64_t i = 0; i < n_query; ++i)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t x = 0; x < d; ++x) {
          const auto at = static_cast<size_t>((i * heads + h) * d + x);
          if (h == 0 && in_z(i, x))
            ASSERT_FALSE(std::isfinite(p.z[at])) << i << " " << x;
          else if (h != 0 || !spoils_rows || !std::isfinite(clean.z[at]))
            ASSERT_EQ(p.z[at], clean.z[at]) << i << " " << h << " " << x;
          else
            ASSERT_NEAR(p.z[at], clean.z[at], 1e-5) << i << " " << h << " " << x;
        }
  }
  Problem p, clean;
  int64_t n_query;
  bool spoils_rows = false;  // values are then mixed in another order
};

TEST_P(EveryKernelSet, a_nan_in_one_query_stays_in_its_row) {
  for (const int64_t n : {2, 90})
    for (const float bad : {nan, infinity}) {
      const int64_t row = n - 1;
      const Spoiled s(kernels(), {"q", {n, n, 2, 2, 24, 0}}, [&](Problem& p) { p.q(row, 0, 3) = bad; });
      s.expect([&](int64_t i, int64_t) { return i == row; });
      EXPECT_TRUE(std::isnan(s.p.lse[static_cast<size_t>(row)]));
      EXPECT_EQ(s.p.max_key[static_cast<size_t>(row)], -1);
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_EQ(s.p.top_key[3 * static_cast<size_t>(row) + k], -1);
        EXPECT_EQ(s.p.top_weight[3 * static_cast<size_t>(row) + k], 0.0f);
      }
    }
}

TEST_P(EveryKernelSet, a_nan_in_one_key_spoils_the_rows_that_see_it) {
  for (const int64_t n : {3, 90}) {
    const int64_t key = n - 2;
    const Spoiled s(kernels(), {"k", {n, n, 2, 2, 24, 0}}, [&](Problem& p) { p.k(key, 0, 3) = nan; });
    s.expect([&](int64_t i, int64_t) { return i >= key; });
    const std::vector<EdgeRect> cut{{0, n, key, key + 1}};
    const Spoiled unseen(kernels(), {"k", {n, n, 2, 2, 24, 0}, true, 0, 1.0f, cut},
                         [&](Problem& p) { p.k(key, 0, 3) = nan; });
    unseen.expect([](int64_t, int64_t) { return false; });
  }
}

TEST_P(EveryKernelSet, a_nan_with_a_payload_is_still_one) {
  for (const int64_t n : {3, 90}) {
    const Spoiled s(kernels(), {"k", {n, n, 2, 2, 24, 0}},
                    [&](Problem& p) { p.k(1, 0, 3) = std::bit_cast<float>(0x7fc00001U); });
    s.expect([&](int64_t i, int64_t) { return i >= 1; });
  }
}

TEST_P(EveryKernelSet, a_nan_in_one_value_spoils_one_number_of_the_rows_that_see_it) {
  for (const int64_t n : {3, 90})
    for (const float bad : {nan, infinity}) {
      const int64_t key = n - 2;
      Spoiled s(kernels(), {"v", {n, n, 2, 2, 24, 0}}, [&](Problem& p) { p.v(key, 0, 3) = bad; });
      s.spoils_rows = true;
      s.expect([&](int64_t i, int64_t x) { return i >= key && x == 3; });
    }
}

INSTANTIATE_TEST_SUITE_P(Sets, EveryKernelSet, testing::ValuesIn(kernel_sets().begin(), kernel_sets().end()),
                         [](const auto& set) { return set.param.name; });

TEST(ChooseKernels, takes_the_best_by_default_and_lists_the_choices_for_a_bad_name) {
  EXPECT_EQ(*choose_kernels("auto"), &kernel_sets()[0]);
  for (const KernelSet& set : kernel_sets()) EXPECT_EQ((*choose_kernels(set.name))->name, set.name);
  const auto bad = choose_kernels("abacus");
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().message, HasSubstr("abacus"));
  for (const KernelSet& set : kernel_sets()) EXPECT_THAT(bad.error().message, HasSubstr(set.name));
}

}  // namespace
}  // namespace saccade
