// The example against a direct computation from whole maps, loaded as the programs load it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/capture/attention_map.h"
#include "plugins/examples/attention_distance/distance_measure.h"
#include "tests/plugins/plugin_lab.h"

namespace saccade {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const MethodCatalogue& catalogue() {
  static const MethodCatalogue made = [] {
    const PluginFolder folder{SACCADE_BINARY_DIR "/lib/saccade/plugins", true};
    return MethodCatalogue::open({&folder, 1});
  }();
  return made;
}

struct Expected {
  double mean = 0.0;
  std::vector<double> queries;
  std::vector<double> histogram;
};

// Word for word: d(i) = sum_j p_ij dist(i, j) / sum_j p_ij over keys j >= first; the mean over queries i >=
// first.
Expected direct(HeadId head, int64_t first, int64_t width, double pitch, const std::vector<double>& starts) {
  const auto map = AttentionMap::of(demo_run()->capture, head, demo_lab().runner->kernels());
  EXPECT_TRUE(map.ok());
  const int64_t n = map->size();
  std::vector<float> p(static_cast<size_t>(n * n));
  EXPECT_TRUE(map->rows(0, n, n, p).ok());
  Expected expected;
  expected.queries.assign(static_cast<size_t>(n), NAN);
  expected.histogram.assign(starts.size(), 0.0);
  for (int64_t i = first; i < n; ++i) {
    double mass = 0.0, far = 0.0;
    for (int64_t j = first; j < n; ++j) mass += p[static_cast<size_t>(i * n + j)];
    for (int64_t j = first; j < n; ++j) {
      const double weight = p[static_cast<size_t>(i * n + j)] / mass;
      const int64_t a = i - first, b = j - first;
      const double steps = width == 0 ? std::abs(static_cast<double>(a - b))
                                      : std::sqrt(std::pow(static_cast<double>(a / width - b / width), 2.0) +
                                                  std::pow(static_cast<double>(a % width - b % width), 2.0));
      far += weight * steps * pitch;
      size_t bin = 0;
      while (bin + 1 < starts.size() && steps >= starts[bin + 1]) ++bin;
      expected.histogram[bin] += weight / static_cast<double>(n - first);
    }
    expected.queries[static_cast<size_t>(i)] = far;
    expected.mean += far / static_cast<double>(n - first);
  }
  return expected;
}

void compare(const json& parameters, int64_t first, int64_t width, double pitch,
             const std::vector<double>& starts) {
  const auto result = run_on_demo(catalogue(), "attention-distance", parameters);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Field &mean = *result->field("mean_distance"), &queries = *result->field("query_distance"),
              &histogram = *result->field("histogram");
  EXPECT_TRUE(mean.has_axes({AxisKind::layer, AxisKind::head}));
  EXPECT_TRUE(queries.has_axes({AxisKind::layer, AxisKind::head, AxisKind::query}));
  EXPECT_TRUE(histogram.has_axes({AxisKind::layer, AxisKind::head, AxisKind::other}));
  EXPECT_EQ(histogram.axes[2].name, "distance");
  const auto bins = static_cast<int64_t>(starts.size());
  ASSERT_EQ(histogram.values.shape(), (std::vector<int64_t>{3, 4, bins}));
  // float32 sums of at most 64 weights, distances below 64 steps: 64 * 64 * 2^-24 = 2.4e-4 at worst, random
  // far less.
  constexpr double tolerance = 1e-5;
  for (int32_t l = 0; l < 3; ++l)
    for (int32_t h = 0; h < 4; ++h) {
      const Expected expected = direct({LayerIndex{l}, HeadIndex{h}}, first, width, pitch, starts);
      EXPECT_NEAR(mean.values.at({l, h}), expected.mean, tolerance * pitch);
      for (int64_t i = 0; i < demo_run()->capture->n_token(); ++i) {
        const double wanted = expected.queries[static_cast<size_t>(i)];
        if (std::isnan(wanted))
          EXPECT_TRUE(std::isnan(queries.values.at({l, h, i})));
        else
          EXPECT_NEAR(queries.values.at({l, h, i}), wanted, tolerance * pitch);
      }
      double all = 0.0;
      for (int64_t bin = 0; bin < bins; ++bin) {
        EXPECT_NEAR(histogram.values.at({l, h, bin}), expected.histogram[static_cast<size_t>(bin)],
                    tolerance);
        all += histogram.values.at({l, h, bin});
      }
      EXPECT_NEAR(all, 1.0, tolerance);
    }
}

TEST(attention_distance, is_loaded_from_where_the_programs_look) {
  ASSERT_TRUE(catalogue().refused().empty()) << catalogue().refused()[0].reason;
  ASSERT_TRUE(catalogue().find("attention-distance").ok());
}

TEST(attention_distance, agrees_with_a_direct_computation_on_a_line) {
  compare({{"bins", 4}}, 0, 0, 1.0, {0.0, 1.0, 2.0, 4.0});
  compare({{"bins", 3}, {"first", 1}, {"pitch", 16.0}}, 1, 0, 16.0, {0.0, 1.0, 2.0});
}

TEST(attention_distance, agrees_with_a_direct_computation_on_a_grid) {
  // Seven tokens and a BOS in rows of three: from the first of the top row to the last, hypot(2, 2).
  const int64_t last = demo_run()->capture->n_token() - 1;
  const double largest =
      std::hypot(static_cast<double>(last / 3), static_cast<double>(std::min<int64_t>(last, 2)));
  compare({{"bins", 2}, {"width", 3}, {"spacing", "equal"}}, 0, 3, 1.0, {0.0, largest / 2.0});
}

TEST(attention_distance, agrees_with_the_distance_statistic_of_the_kernels) {
  const auto result = run_on_demo(catalogue(), "attention-distance");
  ASSERT_TRUE(result.ok());
  const Field& queries = *result->field("query_distance");
  for (int64_t l = 0; l < 3; ++l) {
    const HostTensor& kept = demo_run()->capture->layers[static_cast<size_t>(l)]->statistics.mean_distance;
    for (int64_t i = 0; i < kept.size(); ++i)
      EXPECT_NEAR(queries.values.slice(l)[static_cast<size_t>(i)], kept.data()[i], 1e-5);
  }
}

TEST(attention_distance, says_what_it_saw_and_what_does_not_fit) {
  const auto result = run_on_demo(catalogue(), "attention-distance");
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->findings.size(), 1u);
  EXPECT_THAT(result->findings[0], HasSubstr("looks farthest"));
  ASSERT_EQ(result->tables.size(), 1u);
  EXPECT_EQ(result->tables[0].rows.size(), 12u);
  const auto beyond = run_on_demo(catalogue(), "attention-distance", {{"first", 500}});
  ASSERT_FALSE(beyond.ok());
  EXPECT_THAT(beyond.error().to_string(), HasSubstr("leaves fewer than two"));
}

TEST(attention_distance, hands_over_the_heads_it_reached_when_it_is_cancelled) {
  JobContext job;
  job.on_progress = [&job](double fraction, std::string_view) {
    if (fraction > 0.4) job.cancel.cancel();
  };
  const auto result = run_on_demo(catalogue(), "attention-distance", json::object(), job);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_TRUE(result->partial);
  EXPECT_EQ(result->tables[0].rows.size(), 5u);  // 5 of 12 heads: the first fraction above 0.4 is 5/12
  EXPECT_FALSE(std::isnan(result->field("mean_distance")->values.at({1, 0})));
  EXPECT_TRUE(std::isnan(result->field("mean_distance")->values.at({1, 1})));
}

// Hand-made rows: a head of one query that looks at itself and four back.
TEST(attention_distance, of_hand_made_rows) {
  using namespace attention_distance;
  const Layout line{5, 0, 0, 2.0};
  const Distances distances(line, Bins::doubling(4));
  HeadDistance sums(line, distances);
  const float first[5] = {1.0f, 0, 0, 0, 0}, last[5] = {0.25f, 0, 0, 0, 0.75f};
  sums.add_row(0, first, 5);
  sums.add_row(4, last, 5);
  EXPECT_FLOAT_EQ(sums.queries()[0], 0.0f);
  EXPECT_FLOAT_EQ(sums.queries()[4], 2.0f);  // 0.25 * 4 steps * pitch 2
  EXPECT_DOUBLE_EQ(sums.summary().mean, 1.0);
  EXPECT_DOUBLE_EQ(sums.summary().standard_error, 1.0);  // values 0 and 2: sd sqrt 2, over sqrt 2
  EXPECT_EQ(sums.histogram(), (std::vector<float>{0.875f, 0.0f, 0.0f, 0.125f}));
  EXPECT_EQ(Bins::doubling(4).labels(2.0),
            (std::vector<std::string>{"0 to 2", "2 to 4", "4 to 8", "8 and more"}));
  const Layout grid{9, 0, 3, 1.0};
  EXPECT_DOUBLE_EQ(grid.steps(0, 8), std::sqrt(8.0));
  EXPECT_DOUBLE_EQ(grid.largest_steps(), std::sqrt(8.0));
  EXPECT_DOUBLE_EQ(Distances(grid, Bins::equal(3, grid.largest_steps())).between(8, 0).steps, std::sqrt(8.0));
}

}  // namespace
}  // namespace saccade
