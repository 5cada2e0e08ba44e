// Every kernel set of this machine against the double-precision reference, on a table of awkward shapes.
#include "kernels/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include "kernels/reference/attention_reference.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// Tasks drawn by real threads, in whatever order they get them.
Parallel threads(int workers) {
  return {workers, [workers](int64_t n, const std::function<void(int64_t, int)>& body) {
            std::atomic<int64_t> next{0};
            std::vector<std::thread> pool;
            for (int worker = 0; worker < workers; ++worker)
              pool.emplace_back([&, worker] {
                for (int64_t task = next++; task < n; task = next++) body(task, worker);
              });
            for (std::thread& thread : pool) thread.join();
          }};
}

struct Case {
  std::string name;
  AttentionShape shape;
  bool causal = true;
  int64_t window = 0;
  float magnitude = 1.0f;
  std::vector<EdgeRect> cuts = {};  // of head 0
  float softcap = 0.0f;
  bool alibi = false;
};

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const int64_t n : {1, 2, 3, 4, 7, 17, 64, 65, 130})
    for (const int64_t d : {1, 8, 13, 24, 64, 80, 128})
      list.push_back({"causal_" + std::to_string(n) + "_tokens_of_" + std::to_string(d), {n, n, 2, 1, d, 0}});
  list.push_back({"a_thousand_tokens", {1000, 1000, 2, 2, 64, 0}});
  list.push_back({"bidirectional", {50, 70, 4, 2, 32, 0}, false});
  list.push_back({"eight_heads_share_a_kv_head", {40, 40, 8, 1, 16, 0}});
  list.push_back({"four_groups", {40, 40, 8, 4, 16, 0}});
  list.push_back({"decode", {1, 333, 4, 2, 64, 332}});
  list.push_back({"continuing", {20, 120, 2, 2, 64, 100}});
  list.push_back({"window", {90, 90, 2, 2, 32, 0}, true, 7});
  list.push_back({"window_while_decoding", {2, 90, 2, 2, 32, 88}, true, 7});
  list.push_back({"huge_scores", {60, 60, 2, 2, 32, 0}, true, 0, 60.0f});
  list.push_back({"tiny_scores", {60, 60, 2, 2, 32, 0}, true, 0, 1e-20f});
  list.push_back(
      {"knocked_out_edges", {60, 60, 2, 2, 32, 0}, true, 0, 1.0f, {{10, 50, 3, 9}, {0, 60, 20, 21}}});
  list.push_back({"rows_that_see_nothing", {60, 60, 2, 2, 32, 0}, true, 0, 1.0f, {{5, 9, 0, 60}}});
  list.push_back({"soft_cap", {60, 60, 2, 2, 32, 0}, true, 0, 3.0f, {}, 5.0f});
  list.push_back({"soft_cap_while_decoding", {1, 77, 2, 1, 32, 76}, true, 9, 3.0f, {}, 5.0f});
  list.push_back({"alibi", {130, 130, 4, 2, 32, 0}, true, 0, 1.0f, {}, 0.0f, true});
  list.push_back({"alibi_while_decoding", {1, 130, 4, 2, 32, 129}, true, 0, 1.0f, {}, 0.0f, true});
  list.push_back({"alibi_both_ways", {50, 50, 4, 4, 16, 0}, false, 0, 1.0f, {}, 0.0f, true});
  list.push_back({"alibi_cap_window_and_cuts",
                  {60, 60, 2, 2, 32, 0},
                  true,
                  20,
                  3.0f,
                  {{10, 50, 3, 9}, {0, 60, 20, 21}},
                  5.0f,
                  true});
  list.push_back({"no_queries", {0, 10, 2, 2, 16, 0}, false});
  list.push_back({"no_keys", {5, 0, 2, 2, 16, 0}, false});
  return list;
}

// Inputs, outputs and their buffers. q, k, v sit in one fused buffer, as they come from a fused projection.
struct Problem {
  explicit Problem(const Case& c, uint32_t seed = 1) : shape(c.shape) {
    const int64_t stride = (shape.n_head + 2 * shape.n_kv_head) * shape.d_head + 5;
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, c.magnitude);
    fused.resize(static_cast<size_t>(std::max<int64_t>({shape.n_query, shape.n_key, 1}) * stride));
    for (float& value : fused) value = normal(random);
    in.shape = shape;
    in.mask.causal = c.causal;
    in.mask.window = c.window;
    in.scores.scale = 1.0f / std::sqrt(static_cast<float>(shape.d_head));
    in.scores.softcap = c.softcap;
    for (int64_t h = 0; c.alibi && h < shape.n_head; ++h)
      slopes.push_back(std::exp2(-0.7f * static_cast<float>(h + 1)));
    in.scores.slopes = slopes;
    in.q = {fused.data(), stride, shape.d_head};
    in.k = {fused.data() + shape.n_head * shape.d_head, stride, shape.d_head};
    in.v = {fused.data() + (shape.n_head + shape.n_kv_head) * shape.d_head, stride, shape.d_head};
    if (!c.cuts.empty()) {
      cuts.resize(static_cast<size_t>(shape.n_head));
      cuts[0] = c.cuts;
      in.mask.knockouts = cuts;
    }
    const auto rows = static_cast<size_t>(shape.n_head * shape.n_query),
               columns = static_cast<size_t>(shape.n_head * shape.n_key);
    z.assign(static_cast<size_t>(shape.n_query * shape.n_head * shape.d_head), -7.0f);
    for (auto* row : {&lse, &entropy, &max_weight, &sink_mass, &local_mass, &mean_distance})
      row->assign(rows, -7.0f);
    max_key.assign(rows, -7);
    received.assign(columns, -7.0f);
    received_max.assign(columns, -7.0f);
    top_weight.assign(rows * 3, -7.0f);
    top_key.assign(rows * 3, -7);
    out.z = {z.data(), shape.n_head * shape.d_head, shape.d_head};
    out.sink_keys = 2;
    out.local_width = 4;
  }
  void ask_for_everything() {
    out.lse = lse.data();
    out.entropy = entropy.data();
    out.max_weight = max_weight.data();
    out.max_key = max_key.data();
    out.sink_mass = sink_mass.data();
    out.local_mass = local_mass.data();
    out.mean_distance = mean_distance.data();
    out.received = received.data();
    out.received_max = received_max.data();
    out.top_k = 3;
    out.top_weight = top_weight.data();
    out.top_key = top_key.data();
  }
  [[nodiscard]] TileInput tile_input() const {
    return {shape, in.mask, in.scores, in.q, in.k, lse.data(), {}, {}};
  }

  AttentionShape shape;
  std::vector<float> fused, z, lse, entropy, max_weight, sink_mass, local_mass, mean_distance, received,
      received_max, top_weight, slopes;
  std::vector<int32_t> max_key, top_key;
  std::vector<std::vector<EdgeRect>> cuts;
  AttentionInput in;
  AttentionOutput out;
};

// float32 products and sums of d terms of size `magnitude`^2, exponentiated: what a straightforward float32
// implementation would be off by, doubled.
double bound(const Case& c) {
  const double score = std::max(
      1.0, static_cast<double>(c.magnitude) * c.magnitude * std::sqrt(static_cast<double>(c.shape.d_head)));
  return 2.0 * 6e-7 * score * (4.0 + std::log2(1.0 + static_cast<double>(c.shape.n_key)));
}

void expect_near(const std::vector<float>& ours, const std::vector<double>& theirs, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (std::isinf(theirs[i])) {
      ASSERT_EQ(ours[i], theirs[i]) << what << " " << i;
      continue;
    }
    ASSERT_NEAR(ours[i], theirs[i], tolerance * std::max(1.0, std::abs(theirs[i]))) << what << " " << i;
  }
}

class EveryKernelSet : public testing::TestWithParam<KernelSet> {
 protected:
  [[nodiscard]] const KernelSet& kernels() const { return GetParam(); }
};

TEST_P(EveryKernelSet, agrees_with_the_reference_on_every_case_and_statistic) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Problem p(c);
    p.ask_for_everything();
    ASSERT_TRUE(kernels().forward(p.in, p.out, threads(2)).ok());
    const reference::AttentionResult r = reference::attention(p.in, p.out.sink_keys, p.out.local_width);
    const double tolerance = bound(c);
    expect_near(p.z, r.z, tolerance * c.magnitude, "z");
    expect_near(p.lse, r.lse, tolerance, "lse");
    expect_near(p.entropy, r.entropy, 4 * tolerance, "entropy");
    expect_near(p.max_weight, r.max_weight, tolerance, "max_weight");
    expect_near(p.sink_mass, r.sink_mass, tolerance, "sink_mass");
    expect_near(p.local_mass, r.local_mass, tolerance, "local_mass");
    expect_near(p.mean_distance, r.mean_distance, 2 * tolerance, "mean_distance");
    expect_near(p.received, r.received, 4 * tolerance, "received");
    expect_near(p.received_max, r.received_max, tolerance, "received_max");
    for (size_t row = 0; row < p.max_key.size(); ++row) {
      if (r.max_key[row] < 0) {
        EXPECT_EQ(p.max_key[row], -1);
        EXPECT_EQ(p.top_key[3 * row], -1);
        continue;
      }
      const auto weight_of = [&](int32_t key) {
        return r.pattern[row * static_cast<size_t>(p.shape.n_key) + static_cast<size_t>(key)];
      };
      // Keys whose weights differ by less than the bound may trade places.
      ASSERT_GE(p.max_key[row], 0);
      EXPECT_NEAR(weight_of(p.max_key[row]), r.max_weight[row], tolerance);
      EXPECT_NEAR(weight_of(p.top_key[3 * row]), r.max_weight[row], tolerance);
      for (size_t k = 1; k < 3; ++k) EXPECT_LE(p.top_weight[3 * row + k], p.top_weight[3 * row + k - 1]);
    }
  }
}

TEST_P(EveryKernelSet, without_statistics_gives_the_same_output_bit_for_bit) {
  for (const Case& c : cases()) {
    Problem plain(c), full(c);
    full.ask_for_everything();
    ASSERT_TRUE(kernels().forward(plain.in, plain.out, serial()).ok());
    ASSERT_TRUE(kernels().forward(full.in, full.out, serial()).ok());
    EXPECT_EQ(plain.z, full.z) << c.name;
  }
}

TEST_P(EveryKernelSet, gives_the_same_bits_whatever_the_threads_do) {
  const Case c{"long", {700, 700, 3, 1, 32, 0}};
  Problem first(c), again(c), alone(c);
  for (Problem* p : {&first, &again, &alone}) p->ask_for_everything();
  ASSERT_TRUE(kernels().forward(first.in, first.out, threads(3)).ok());
  ASSERT_TRUE(kernels().forward(again.in, again.out, threads(3)).ok());
  ASSERT_TRUE(kernels().forward(alone.in, alone.out, serial()).ok());
  for (Problem* p : {&again, &alone}) {
    EXPECT_EQ(first.z, p->z);
    EXPECT_EQ(first.received, p->received);
    EXPECT_EQ(first.entropy, p->entropy);
  }
}

TEST_P(EveryKernelSet, tiles_at_full_detail_are_the_pattern_and_coarser_ones_its_block_maxima_and_masses) {
  for (const Case& c : {Case{"plain", {130, 130, 4, 2, 24, 0}}, Case{"continuing", {30, 90, 2, 1, 40, 60}},
                        Case{"cut", {60, 60, 2, 2, 32, 0}, true, 0, 1.0f, {{5, 9, 0, 60}, {20, 40, 3, 9}}},
                        Case{"window", {90, 90, 2, 2, 32, 0}, true, 7}}) {
    SCOPED_TRACE(c.name);
    Problem p(c);
    p.ask_for_everything();
    ASSERT_TRUE(kernels().forward(p.in, p.out, serial()).ok());
    const reference::AttentionResult r = reference::attention(p.in, 1, 1);
    const int64_t rows = p.shape.n_query, keys = p.shape.n_key, first = p.shape.first_query;
    for (int64_t head = 0; head < p.shape.n_head; ++head) {
      std::vector<float> exact(static_cast<size_t>(rows * keys));
      ASSERT_TRUE(kernels()
                      .tile(p.tile_input(), {head, first, first + rows, 0, keys, 1}, {exact.data(), nullptr})
                      .ok());
      for (int64_t i = 0; i < rows; ++i) {
        double sum = 0.0;
        for (int64_t j = 0; j < keys; ++j) {
          const double wanted = r.pattern[static_cast<size_t>((head * rows + i) * keys + j)];
          ASSERT_NEAR(exact[static_cast<size_t>(i * keys + j)], wanted, 1e-6);
          sum += exact[static_cast<size_t>(i * keys + j)];
        }
        if (p.lse[static_cast<size_t>(head * rows + i)] > -std::numeric_limits<float>::infinity()) {
          ASSERT_NEAR(sum, 1.0, 1e-6);
        }
      }
      constexpr int64_t lod = 4;
      const int64_t r0 = 3, r1 = rows - 2, c0 = 5, c1 = keys - 1, out_rows = (r1 - r0 + lod - 1) / lod,
                    out_columns = (c1 - c0 + lod - 1) / lod;
      std::vector<float> high(static_cast<size_t>(out_rows * out_columns)), mass(high.size());
      ASSERT_TRUE(
          kernels()
              .tile(p.tile_input(), {head, first + r0, first + r1, c0, c1, lod}, {high.data(), mass.data()})
              .ok());
      for (int64_t a = 0; a < out_rows; ++a)
        for (int64_t b = 0; b < out_columns; ++b) {
          float highest = 0.0f;
          double sum = 0.0;
          for (int64_t i = r0 + a * lod; i < std::min(r1, r0 + (a + 1) * lod); ++i)
            for (int64_t j = c0 + b * lod; j < std::min(c1, c0 + (b + 1) * lod); ++j) {
              highest = std::max(highest, exact[static_cast<size_t>(i * keys + j)]);
              sum += exact[static_cast<size_t>(i * keys + j)];
            }
          ASSERT_NEAR(high[static_cast<size_t>(a * out_columns + b)], highest, 1e-6);
          ASSERT_NEAR(mass[static_cast<size_t>(a * out_columns + b)], sum, 1e-5);
        }
    }
  }
}

TEST_P(EveryKernelSet, single_weights_are_those_of_the_tile) {
  Problem p({"plain", {70, 70, 2, 1, 24, 0}, true, 0, 1.0f, {{30, 40, 2, 6}}});
  p.ask_for_everything();
  ASSERT_TRUE(kernels().forward(p.in, p.out, serial()).ok());
  const reference::AttentionResult r = reference::attention(p.in, 1, 1);
  const std::vector<int32_t> query{0, 5, 35, 35, 69, 10}, key{0, 5, 3, 7, 1, 60};
  std::vector<float> weight(query.size());
  ASSERT_TRUE(kernels().weights_at(p.tile_input(), 0, query, key, weight.data()).ok());
  for (size_t i = 0; i < query.size(); ++i)
    EXPECT_NEAR(weight[i], r.pattern[static_cast<size_t>(query[i] * 70 + key[i])], 1e-6);
  EXPECT_EQ(weight[2], 0.0f) << "a knocked-out edge";
  EXPECT_EQ(weight[5], 0.0f) << "a later key";
}

TEST_P(EveryKernelSet, a_nan_in_one_query_stays_in_its_row) {
  for (const int64_t n : {2, 90}) {
    Problem p({"nan", {n, n, 2, 2, 24, 0}});
    Problem clean({"nan", {n, n, 2, 2, 24, 0}});
    const int64_t row = n - 1;
    p.fused[static_cast<size_t>(row * p.in.q.token_stride + 3)] = std::numeric_limits<float>::quiet_NaN();
    p.ask_for_everything();
    ASSERT_TRUE(kernels().forward(p.in, p.out, serial()).ok());
    ASSERT_TRUE(kernels().forward(clean.in, clean.out, serial()).ok());
    for (int64_t i = 0; i < n; ++i)
      for (int64_t x = 0; x < 48; ++x) {
        const auto at = static_cast<size_t>(i * 48 + x);
        if (i == row && x < 24)
          EXPECT_TRUE(std::isnan(p.z[at]));
        else
          ASSERT_EQ(p.z[at], clean.z[at]) << i << " " << x;
      }
  }
}

TEST_P(EveryKernelSet, permuting_heads_permutes_results) {
  const Case c{"heads", {50, 50, 3, 3, 16, 0}};
  Problem p(c), swapped(c);
  swapped.in.q = {p.in.q.data + 2 * p.in.q.head_stride, p.in.q.token_stride, -p.in.q.head_stride};
  // A negative stride is refused; copy instead.
  std::vector<float> q(static_cast<size_t>(50 * 48)), k(q.size()), v(q.size());
  for (int64_t i = 0; i < 50; ++i)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t x = 0; x < 16; ++x) {
        const auto to = static_cast<size_t>(i * 48 + (2 - h) * 16 + x);
        q[to] = p.in.q.data[i * p.in.q.token_stride + h * 16 + x];
        k[to] = p.in.k.data[i * p.in.k.token_stride + h * 16 + x];
        v[to] = p.in.v.data[i * p.in.v.token_stride + h * 16 + x];
      }
  EXPECT_FALSE(kernels().forward(swapped.in, swapped.out, serial()).ok());
  swapped.in.q = {q.data(), 48, 16};
  swapped.in.k = {k.data(), 48, 16};
  swapped.in.v = {v.data(), 48, 16};
  ASSERT_TRUE(kernels().forward(p.in, p.out, serial()).ok());
  ASSERT_TRUE(kernels().forward(swapped.in, swapped.out, serial()).ok());
  for (int64_t i = 0; i < 50; ++i)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t x = 0; x < 16; ++x)
        ASSERT_EQ(p.z[static_cast<size_t>(i * 48 + h * 16 + x)],
                  swapped.z[static_cast<size_t>(i * 48 + (2 - h) * 16 + x)]);
}

TEST_P(EveryKernelSet, shapes_that_do_not_fit_are_refused_with_the_numbers) {
  const auto refusal = [&](const std::function<void(Problem&)>& spoil) {
    Problem p({"plain", {8, 8, 4, 2, 16, 0}});
    spoil(p);
    const Result<void> outcome = kernels().forward(p.in, p.out, serial());
    return outcome.ok() ? std::string("accepted") : outcome.error().message;
  };
  EXPECT_THAT(refusal([](Problem& p) { p.in.shape.n_kv_head = 3; }), HasSubstr("4 heads cannot share 3"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.shape.d_head = 0; }), HasSubstr("head size 0"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.q.data = nullptr; }), HasSubstr("q is null"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.v.token_stride = 3; }), HasSubstr("v: strides 3"));
  EXPECT_THAT(refusal([](Problem& p) { p.out.z.data = nullptr; }), HasSubstr("z is null"));
  EXPECT_THAT(refusal([](Problem& p) { p.out.top_k = 99; }), HasSubstr("99"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.scores.scale = NAN; }), HasSubstr("scale"));
  EXPECT_THAT(refusal([](Problem& p) { p.in.scores.softcap = -1.0f; }), HasSubstr("soft cap"));
  EXPECT_THAT(refusal([](Problem& p) {
                static const float one = 1.0f;
                p.in.scores.slopes = {&one, 1};
              }),
              HasSubstr("1 ALiBi slopes for 4 heads"));
  Problem p({"plain", {8, 8, 4, 2, 16, 0}});
  p.ask_for_everything();
  ASSERT_TRUE(kernels().forward(p.in, p.out, serial()).ok());
  float out[64];
  EXPECT_FALSE(kernels().tile(p.tile_input(), {0, 0, 9, 0, 8, 1}, {out, nullptr}).ok());
  EXPECT_FALSE(kernels().tile(p.tile_input(), {4, 0, 8, 0, 8, 1}, {out, nullptr}).ok());
  const std::vector<int32_t> query{8}, key{0};
  EXPECT_FALSE(kernels().weights_at(p.tile_input(), 0, query, key, out).ok());
}

INSTANTIATE_TEST_SUITE_P(Sets, EveryKernelSet, testing::ValuesIn(kernel_sets().begin(), kernel_sets().end()),
                         [](const auto& info) { return info.param.name; });

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
