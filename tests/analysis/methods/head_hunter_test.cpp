// head-hunter on the demo, against the same greedy search made with plain runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/methods/metric.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

double mean_with(const PromptSet& prompts, const std::vector<std::string>& heads, const std::string& verb) {
  double sum = 0.0;
  for (const PromptPair& pair : prompts.pairs) {
    RunRequest request = demo().runner->request(pair.clean);
    for (const std::string& head : heads)
      request.edits.push_back(parse_edit(verb + " " + head + " by=1").value());
    sum += value_of(Metric::logit_difference, demo().run(request)->capture->last_logits, pair, nullptr);
  }
  return sum / static_cast<double>(prompts.pairs.size());
}

TEST(HeadHunter, it_chooses_as_a_search_with_plain_runs_does) {
  const auto result = demo().method("head-hunter", {{"count", 1}, {"most", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const PromptSet prompts = preset("repeat", *demo().model, 1, 1).value();
  std::vector<std::string> kept;
  for (size_t round = 0; round < 2; ++round) {
    double lowest = INFINITY;
    std::string best;
    for (int l = 0; l < 3; ++l)
      for (int h = 0; h < 4; ++h) {
        const std::string head = std::to_string(l) + "." + std::to_string(h);
        if (std::find(kept.begin(), kept.end(), head) != kept.end()) continue;
        std::vector<std::string> together = kept;
        together.push_back(head);
        if (const double metric = mean_with(prompts, together, "identity"); metric < lowest) {
          lowest = metric;
          best = head;
        }
      }
    kept.push_back(best);
    const auto& row = result->tables[0].rows.at(round);
    EXPECT_EQ(std::get<std::string>(row[1]), best);
    EXPECT_NEAR(std::get<double>(row[2]), lowest, 1e-3);
    const double base = mean_with(prompts, {}, "identity");
    EXPECT_NEAR(std::get<double>(row[4]), base + (base - lowest), 2e-3) << "M + w (M - M perturbed), w = 1";
  }
}

TEST(HeadHunter, raising_ends_where_no_head_gains_anything) {
  const auto result =
      demo().method("head-hunter", {{"count", 2}, {"most", 12}, {"goal", "raise"}, {"perturbation", "zero"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  double last = -INFINITY;
  for (const auto& row : result->tables[0].rows) {
    EXPECT_GT(std::get<double>(row[3]), 0.0) << "every chosen head gains";
    EXPECT_GT(std::get<double>(row[2]), last);
    last = std::get<double>(row[2]);
  }
  EXPECT_LT(result->tables[0].rows.size(), 12U) << "not every head is worth removing";
  EXPECT_THAT(result->findings.at(0),
              testing::AnyOf(HasSubstr("no further head"), HasSubstr("no head alone")));
}

TEST(HeadHunter, a_cancel_keeps_the_rounds_that_are_done) {
  JobContext job;
  job.cancel.cancel();
  const auto nothing = demo().method("head-hunter", {{"count", 1}}, {}, job);
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
