#include "analysis/scanpath/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "analysis/scanpath/fixation_report.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// On each picture everybody looks at the same three places, each with a little scatter.
ScanpathSet alike(int pictures, int viewers) {
  std::mt19937 random(5);
  std::normal_distribution<double> scatter(0.0, 2.0);
  std::uniform_real_distribution<double> place(15.0, 105.0);
  ScanpathSet set;
  for (int p = 0; p < pictures; ++p) {
    std::vector<Fixation> places;
    for (int i = 0; i < 4; ++i) places.push_back({place(random), place(random), 200, {}, {}});
    for (int v = 0; v < viewers; ++v) {
      Scanpath path;
      path.stimulus = std::to_string(p);
      path.subject = std::to_string(v);
      path.size = {120, 120};
      for (const Fixation& at : places)
        path.fixations.push_back({at.x + scatter(random), at.y + scatter(random), 200, {}, {}});
      set.paths.push_back(path);
    }
  }
  return set;
}

AgreementOptions small() {
  AgreementOptions options;
  options.sigma = 5.0;
  return options;
}

TEST(Agreement, viewers_who_look_alike_agree_more_than_centre_and_strangers_do) {
  const auto found = human_agreement(alike(6, 4), small());
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_EQ(found->pictures, 6);
  EXPECT_EQ(found->viewers, 24);
  for (const char* measure :
       {"NSS", "AUC", "IG", "CC", "SIM", "MultiMatch shape", "ScanMatch", "Levenshtein", "Sequence score"}) {
    const AgreementRow* row = found->row(measure);
    ASSERT_NE(row, nullptr) << measure;
    EXPECT_GT(row->of[0].mean, row->of[1].mean) << measure;
    EXPECT_GT(row->of[0].mean, row->of[2].mean) << measure;
  }
  for (const char* measure : {"KL", "DTW", "Frechet"})
    EXPECT_LT(found->row(measure)->of[0].mean, found->row(measure)->of[2].mean) << measure;
  EXPECT_EQ(found->row("IG")->of[1].mean, 0.0);  // the centre over itself
}

TEST(Agreement, does_not_depend_on_the_number_of_threads) {
  AgreementOptions options = small();
  const auto one = human_agreement(alike(5, 3), options);
  options.threads = 3;
  const auto three = human_agreement(alike(5, 3), options);
  ASSERT_TRUE(one.ok() && three.ok());
  for (size_t i = 0; i < one->rows.size(); ++i)
    for (size_t p = 0; p < 3; ++p) EXPECT_EQ(one->rows[i].of[p].mean, three->rows[i].of[p].mean);
}

// The leave-one-out score by its definition, from the metrics themselves.
TEST(Agreement, leaving_one_out_is_what_it_says) {
  const ScanpathSet set = alike(2, 3);
  AgreementOptions options = small();
  options.paths = false;
  const auto found = human_agreement(set, options);
  ASSERT_TRUE(found.ok());
  double sum = 0.0;
  for (const char* stimulus : {"0", "1"}) {
    const auto paths = set.of_stimulus(stimulus);
    for (size_t left_out = 0; left_out < paths.size(); ++left_out) {
      std::vector<const Scanpath*> others = paths;
      others.erase(others.begin() + static_cast<ptrdiff_t>(left_out));
      const auto map = fixation_map(*fixated_pixels(others, {120, 120}), {5.0, false});
      sum += mean_of(*nss(*map, *fixated_pixels(paths[left_out]->fixations, {120, 120})));
    }
  }
  EXPECT_NEAR(found->row("NSS")->of[0].mean, sum / 6.0, 1e-9);  // adding and taking away rounds
}

TEST(Agreement, too_few_viewers_other_sizes_and_a_cancel_are_told) {
  EXPECT_THAT(human_agreement(alike(3, 1), small()).error().message,
              HasSubstr("0 pictures with at least 2 viewers"));
  ScanpathSet mixed = alike(3, 2);
  mixed.paths[3].size = {60, 60};
  EXPECT_THAT(human_agreement(mixed, small()).error().message, HasSubstr("rescale it first"));
  JobContext job;
  job.cancel.cancel();
  EXPECT_EQ(human_agreement(alike(3, 2), small(), job).error().code, ErrorCode::cancelled);
}

TEST(Agreement, real_viewers_of_photographs_agree_far_above_the_floors) {
  SACCADE_NEEDS_GAZE("osie");
  const auto set = read_scanpaths(gaze::data_folder() / "osie" / "fixations.mat");
  ASSERT_TRUE(set.ok());
  AgreementOptions options;
  options.pictures = 4;
  const auto found = human_agreement(*set, options);
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_GT(found->row("NSS")->of[0].mean, 1.5);
  EXPECT_GT(found->row("AUC")->of[0].mean, found->row("AUC")->of[1].mean + 0.05);
  EXPECT_GT(found->row("ScanMatch")->of[0].mean, found->row("ScanMatch")->of[2].mean);
}

}  // namespace
}  // namespace saccade
