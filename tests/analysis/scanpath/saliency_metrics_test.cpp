#include "analysis/scanpath/saliency_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// The recorded case: two pictures of 40 x 40, one closed-form map, three scanpaths.
class RecordedSaliency : public testing::Test {
 protected:
  void SetUp() override {
    SACCADE_NEEDS_GAZE("pysaliency");
    expected_ = gaze::read_json(gaze::data_folder() / "pysaliency" / "expected.json");
    const PictureSize size{expected_["input"]["image"][1], expected_["input"]["image"][0]};
    map_ = SaliencyMap(size);
    flat_ = SaliencyMap(size, 1.0);
    for (int64_t y = 0; y < size.height; ++y)
      for (int64_t x = 0; x < size.width; ++x)
        map_.at(x, y) = std::exp(-0.5 * static_cast<double>((x - 20) * (x - 20) + (y - 20) * (y - 20)) /
                                 std::sqrt(40.0 * 40.0 + 40.0 * 40.0));
    pictures_.assign(2, {size, {}, 0});
    for (const auto& path : expected_["input"]["scanpaths"])
      for (size_t i = 0; i < path["x"].size(); ++i)
        pictures_[path["image"].get<size_t>()].pixels.push_back({path["x"][i], path["y"][i]});
    for (const auto& picture : pictures_) {
      auto truth = fixation_map(picture, {10.0, true});
      ASSERT_TRUE(truth.ok());
      truth_.push_back(std::move(*truth));
    }
  }

  // One metric over both pictures, per fixation, in the order of the recording.
  template <class Metric>
  std::vector<double> over_both(const Metric& metric) {
    std::vector<double> all;
    for (const auto& picture : pictures_) {
      const Result<PerFixation> values = metric(picture);
      EXPECT_TRUE(values.ok());
      all.insert(all.end(), values->begin(), values->end());
    }
    return all;
  }

  void expect_all(const std::vector<double>& found, const char* name, double tolerance) {
    const auto& wanted = expected_[name];
    ASSERT_EQ(found.size(), wanted.size()) << name;
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], wanted[i].get<double>(), tolerance) << name;
  }

  nlohmann::json expected_;
  SaliencyMap map_, flat_;
  std::vector<FixatedPixels> pictures_;
  std::vector<SaliencyMap> truth_;
};

// Tolerances: the digits that were recorded.
TEST_F(RecordedSaliency, areas_under_the_curve_agree) {
  const auto uniform = over_both([&](const auto& f) { return auc(map_, f); });
  expect_all(uniform, "AUC_uniform_per_fixation", 1e-9);
  EXPECT_NEAR(mean_of(uniform), expected_["AUC"].get<double>(), 1e-9);
  const auto unfixated = over_both([&](const auto& f) { return auc(map_, f, Negatives::unfixated_pixels); });
  expect_all(unfixated, "AUC_unfixated_per_fixation", 1e-11);
  EXPECT_NEAR(mean_of(unfixated), expected_["AUC_unfixated"].get<double>(), 1e-12);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_NEAR(mean_of(*auc(map_, pictures_[i])), expected_["AUC_per_image"][i].get<double>(), 1e-9);
  std::vector<double> shuffled = *shuffled_auc(map_, pictures_[0], pictures_[1]);
  const std::vector<double> second = *shuffled_auc(map_, pictures_[1], pictures_[0]);
  shuffled.insert(shuffled.end(), second.begin(), second.end());
  expect_all(shuffled, "AUC_shuffled_per_fixation(=sAUC)", 1e-8);
  EXPECT_NEAR(mean_of(over_both([&](const auto& f) { return auc(flat_, f); })),
              expected_["AUC_constant"].get<double>(), 1e-12);
  for (const auto& picture : pictures_)
    EXPECT_NEAR(mean_of(*shuffled_auc(map_, picture, picture)),
                expected_["AUC_nonfixations_equal_fixations"].get<double>(), 1e-12);
}

TEST_F(RecordedSaliency, judds_area_agrees_per_picture_and_per_fixation) {
  const double first = *auc_judd(map_, pictures_[0]), second = *auc_judd(map_, pictures_[1]);
  EXPECT_NEAR(0.5 * (first + second), expected_["AUC_Judd_no_jitter"].get<double>(), 1e-12);
  EXPECT_NEAR((5 * first + 3 * second) / 8, expected_["AUC_unfixated_thresholds_fixations"].get<double>(),
              1e-12);
}

TEST_F(RecordedSaliency, normalised_saliency_agrees) {
  const auto found = over_both([&](const auto& f) { return nss(map_, f); });
  expect_all(found, "NSS_per_fixation", 1e-11);
  EXPECT_NEAR(mean_of(found), expected_["NSS"].get<double>(), 1e-12);
  EXPECT_EQ(mean_of(*nss(flat_, pictures_[0])), expected_["NSS_constant"].get<double>());
}

TEST_F(RecordedSaliency, map_against_map_agrees) {
  const auto mean = [&](const auto& metric) {
    return 0.5 * (*metric(map_, truth_[0]) + *metric(map_, truth_[1]));
  };
  EXPECT_NEAR(mean(correlation), expected_["CC_vs_gold"].get<double>(), 1e-7);
  EXPECT_EQ(*correlation(map_, flat_), expected_["CC_constant"].get<double>());
  EXPECT_NEAR(mean(similarity), expected_["SIM_vs_gold"].get<double>(), 1e-6);
  EXPECT_NEAR(*similarity(map_, flat_), expected_["SIM_vs_constant"].get<double>(), 1e-6);
  EXPECT_NEAR(mean(kl_divergence), expected_["KLDiv_vs_gold"].get<double>(), 1e-12);
  EXPECT_NEAR(*kl_divergence(map_, flat_), expected_["KLDiv_vs_constant"].get<double>(), 1e-12);
  EXPECT_NEAR(*kl_divergence(map_, map_), 0.0, 1e-15);
}

TEST_F(RecordedSaliency, likelihoods_and_histograms_agree) {
  expect_all(over_both([&](const auto& f) { return log_likelihood(map_, f); }), "log_likelihood_per_fixation",
             1e-6);
  EXPECT_NEAR(mean_of(*log_likelihood(flat_, pictures_[0])), -std::log(1600.0), 1e-12);
  const auto fixated = over_both([&](const auto& f) { return values_at(map_, f); });
  std::vector<double> everywhere = map_.values;
  everywhere.insert(everywhere.end(), map_.values.begin(), map_.values.end());
  const auto [low, high] = std::minmax_element(map_.values.begin(), map_.values.end());
  EXPECT_NEAR(*histogram_kl(fixated, everywhere, *low, *high),
              expected_["fixation_based_KL_uniform"].get<double>(), 1e-12);
  EXPECT_NEAR(*histogram_kl(fixated, fixated, *low, *high),
              expected_["fixation_based_KL_shuffled"].get<double>(), 1e-12);
}

TEST(SaliencyMetrics, ranks_are_those_of_counting_every_pair) {
  std::mt19937 random(3);
  SaliencyMap map({23, 17});
  for (double& value : map.values) value = static_cast<double>(random() % 12);  // many ties
  FixatedPixels fixated{map.size, {}, 0};
  for (int i = 0; i < 30; ++i)
    fixated.pixels.push_back({static_cast<int64_t>(random() % 23), static_cast<int64_t>(random() % 17)});
  const auto found = auc(map, fixated);
  ASSERT_TRUE(found.ok());
  for (size_t i = 0; i < fixated.pixels.size(); ++i) {
    const double here = map.at(fixated.pixels[i].x, fixated.pixels[i].y);
    double area = 0.0;
    for (const double value : map.values) area += value < here ? 1.0 : value == here ? 0.5 : 0.0;
    EXPECT_NEAR((*found)[i], area / static_cast<double>(map.values.size()), 1e-12);
  }
}

TEST(SaliencyMetrics, information_gain_over_the_same_map_is_nothing_and_doubling_a_density_is_one_bit) {
  SaliencyMap uniform({4, 2}, 1.0), left({4, 2});
  for (const int64_t x : {0, 1})
    for (const int64_t y : {0, 1}) left.at(x, y) = 3.0;
  const FixatedPixels fixated{{4, 2}, {{0, 0}, {1, 1}}, 0};
  EXPECT_NEAR(mean_of(*information_gain(left, uniform, fixated)), 1.0, 1e-12);
  EXPECT_NEAR(mean_of(*information_gain(left, left, fixated)), 0.0, 1e-12);
  EXPECT_LT(mean_of(*information_gain(left, uniform, {{4, 2}, {{3, 0}}, 0})),
            -60.0);  // a place said impossible
}

TEST(SaliencyMap, a_fixation_keeps_its_mass_and_reflects_at_the_border) {
  const auto map = fixation_map({{50, 40}, {{0, 0}, {25, 20}, {25, 20}}, 0}, {6.0, false});
  ASSERT_TRUE(map.ok());
  EXPECT_NEAR(std::accumulate(map->values.begin(), map->values.end(), 0.0), 3.0, 1e-12);
  // Kernel radius 24 reaches the mirror image of (0, 0) at (-1, 0): twice, by each axis.
  const auto once = fixation_map({{50, 40}, {{25, 20}, {25, 20}}, 0}, {6.0, true});
  EXPECT_NEAR(std::accumulate(once->values.begin(), once->values.end(), 0.0), 1.0, 1e-12);
  // A kernel many times wider than the picture wraps again and again.
  const auto wide = fixation_map({{3, 2}, {{1, 1}}, 0}, {50.0, false});
  EXPECT_NEAR(std::accumulate(wide->values.begin(), wide->values.end(), 0.0), 1.0, 1e-12);
  EXPECT_NEAR(wide->at(0, 0), 1.0 / 6.0, 1e-3);
}

TEST(SaliencyMap, stretching_keeps_corners_apart_and_the_centre_bias_is_symmetric) {
  SaliencyMap grid({2, 2});
  grid.values = {0.0, 1.0, 2.0, 3.0};
  const auto large = stretched(grid, {40, 40});
  ASSERT_TRUE(large.ok());
  EXPECT_NEAR(large->at(0, 0), 0.0, 1e-12);
  EXPECT_NEAR(large->at(39, 39), 3.0, 1e-12);
  const auto centre = centre_map({41, 31});
  EXPECT_NEAR(centre->at(20, 15), 1.0, 1e-12);
  EXPECT_NEAR(centre->at(3, 4), centre->at(37, 26), 1e-12);
  EXPECT_FALSE(centre_map({41, 31}, 0.0).ok());
}

TEST(SaliencyMetrics, maps_and_fixations_that_do_not_fit_are_refused) {
  SaliencyMap map({4, 3}, 1.0);
  const FixatedPixels fixated{{4, 3}, {{0, 0}}, 0};
  EXPECT_THAT(nss(map, {{8, 6}, {{0, 0}}, 0}).error().message,
              HasSubstr("a map of 4 x 3 for a picture of 8 x 6"));
  EXPECT_THAT(nss(map, {{4, 3}, {}, 0}).error().message, HasSubstr("there is no fixation"));
  EXPECT_THAT(nss(map, {{4, 3}, {}, 7}).error().message, HasSubstr("all 7 fixations lie outside"));
  map.values[5] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(auc(map, fixated).error().message, HasSubstr("nan at x 1, y 1"));
  EXPECT_FALSE(fixation_map(fixated, {0.0, false}).ok());
  const SaliencyMap one({1, 1}, 2.0);
  EXPECT_THAT(auc_judd(one, {{1, 1}, {{0, 0}}, 0}).error().message, HasSubstr("every pixel was fixated"));
}

std::string npy(const std::string& type, const std::string& shape, const std::string& body) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + body;
}

TEST(SaliencyMap, numpy_arrays_are_read_and_lies_in_them_refused) {
  const float values[6] = {0, 1, 2, 3, 4, 5};
  const std::string body(reinterpret_cast<const char*>(values), sizeof(values));
  const auto parse = [](const std::string& file) { return parse_npy_map(std::as_bytes(std::span(file))); };
  const auto map = parse(npy("<f4", "(2, 3)", body));
  ASSERT_TRUE(map.ok()) << map.error().to_string();
  EXPECT_EQ(map->size, (PictureSize{3, 2}));
  EXPECT_EQ(map->at(2, 1), 5.0);
  EXPECT_FALSE(parse(npy("<f4", "(2, 4)", body)).ok());
  EXPECT_FALSE(parse(npy("<f4", "(6,)", body)).ok());
  EXPECT_FALSE(parse(npy("<f4", "(1, 2, 3)", body)).ok());
  EXPECT_FALSE(parse(npy("<f4", "(4294967296, 4294967296)", body)).ok());
  EXPECT_THAT(parse(npy("<c8", "(2, 3)", body)).error().message, HasSubstr("save it as float32"));
}

}  // namespace
}  // namespace saccade
