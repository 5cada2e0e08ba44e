// ablation-sweep and activation-patching on the demo, against plain runs made one by one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "analysis/answer_journal.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

double logit_difference(const Lab& lab, const TokenSequence& tokens, const std::vector<std::string>& edits,
                        const PromptPair& pair, const std::shared_ptr<const Capture>& other = nullptr) {
  RunRequest request = lab.runner->request(tokens);
  for (const std::string& text : edits) request.edits.push_back(parse_edit(text).value());
  if (other) request.references["other"] = other;
  return value_of(Metric::logit_difference, lab.run(request)->capture->last_logits, pair, nullptr);
}

TEST(Metric, accuracy_is_among_the_answers_and_an_exact_match_among_all_tokens) {
  HostTensor logits({3});
  std::copy_n(std::array{5.0F, 2.0F, 1.0F}.data(), 3, logits.mutable_values().data());
  PromptPair pair;
  pair.right = {1};
  pair.wrong = {2};
  EXPECT_EQ(value_of(Metric::accuracy, logits, pair, nullptr), 1.0);
  EXPECT_EQ(value_of(Metric::exact_match, logits, pair, nullptr), 0.0);
  pair.wrong = {0};
  EXPECT_EQ(value_of(Metric::accuracy, logits, pair, nullptr), 0.0);
  pair.wrong.clear();
  EXPECT_EQ(value_of(Metric::accuracy, logits, pair, nullptr), 0.0);
  pair.right = {2, 0};
  EXPECT_EQ(value_of(Metric::exact_match, logits, pair, nullptr), 1.0);
}

TEST(AblationSweep, every_effect_is_that_of_a_plain_run_without_the_head) {
  const Lab& lab = demo();
  const auto result = lab.method("ablation-sweep", {{"prompts", "repeat"}, {"count", 2}, {"strongest", 0}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto prompts = preset("repeat", *lab.model, 2, 1);
  ASSERT_TRUE(prompts.ok());
  for (int32_t l = 0; l < 3; ++l)
    for (int32_t h = 0; h < 4; ++h) {
      double mean = 0.0;
      for (const PromptPair& pair : prompts->pairs)
        mean += (logit_difference(lab, pair.clean, {"zero " + to_string(HeadId{LayerIndex{l}, HeadIndex{h}})},
                                  pair) -
                 logit_difference(lab, pair.clean, {}, pair)) /
                2;
      EXPECT_NEAR(result->field("effect")->values.at({l, h}), mean, 1e-3) << l << '.' << h;
    }
}

TEST(AblationSweep, the_random_control_never_draws_a_head_under_test) {
  const auto result = demo().method("ablation-sweep", {{"count", 1}, {"strongest", 4}, {"controls", 20}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table& table = result->tables.at(1);
  ASSERT_EQ(table.rows.size(), 21U);
  const std::string strongest = " " + std::get<std::string>(table.rows[0][1]) + " ";
  for (size_t r = 1; r < table.rows.size(); ++r) {
    std::istringstream heads(std::get<std::string>(table.rows[r][1]));
    int count = 0;
    for (std::string head; heads >> head; ++count)
      EXPECT_EQ(strongest.find(" " + head + " "), std::string::npos);
    EXPECT_EQ(count, 4);
  }
}

TEST(AblationSweep, removing_the_induction_heads_costs_more_than_removing_others) {
  const auto result = demo().method("ablation-sweep", {{"unit", "layer"}, {"strongest", 0}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const HostTensor& effect = result->field("effect")->values;
  EXPECT_LT(effect.at({1, 0}), -5.0F) << "layer 1 holds every induction head";
  EXPECT_LT(effect.at({1, 0}), 2 * effect.at({2, 0}));
}

TEST(AblationSweep, ablation_kinds_are_what_their_names_say) {
  const Lab& lab = demo();
  const auto prompts = preset("repeat", *lab.model, 1, 1);
  const PromptPair& pair = prompts->pairs[0];
  RunRequest request = lab.runner->request(pair.corrupt);
  request.capture.sites = {{HookSite::z, 1}};
  const auto other = lab.run(request)->capture;
  const double base = logit_difference(lab, pair.clean, {}, pair);
  const std::map<std::string, std::string> kinds{{"resample", "replace 1.2 from=other"},
                                                 {"mean", "mean 1.2 over=positions"},
                                                 {"uniform", "uniform 1.2"},
                                                 {"identity", "identity 1.2 by=1"}};
  for (const auto& [kind, edit] : kinds) {
    const auto result =
        lab.method("ablation-sweep", {{"count", 1}, {"kind", kind}, {"strongest", 0}, {"prompts", "repeat"}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    EXPECT_NEAR(result->field("effect")->values.at({1, 2}),
                logit_difference(lab, pair.clean, {edit}, pair, other) - base, 1e-3)
        << kind;
  }
}

TEST(AblationSweep, a_sweep_that_was_stopped_goes_on_from_its_file_and_gives_the_same) {
  const fs::path file = fs::temp_directory_path() / "saccade_sweep_journal.jsonl";
  fs::remove(file);
  const nlohmann::json parameters = {{"count", 2}};
  const auto whole = demo().method("ablation-sweep", parameters);
  JobContext job;
  job.on_progress = [&](double fraction, std::string_view) {
    if (fraction > 0.5) job.cancel.cancel();
  };
  const auto part = demo().method("ablation-sweep", parameters, file, job);
  ASSERT_TRUE(part.ok()) << part.error().to_string();
  EXPECT_TRUE(part->partial);
  const auto resumed = demo().method("ablation-sweep", parameters, file);
  ASSERT_TRUE(resumed.ok()) << resumed.error().to_string();
  EXPECT_FALSE(resumed->partial);
  EXPECT_GT(AnswerJournal::open(file)->size(), 24U);
  for (int64_t at = 0; at < 12; ++at)
    EXPECT_FLOAT_EQ(resumed->fields[0].values.data()[at], whole->fields[0].values.data()[at]);
  fs::remove(file);
}

TEST(ActivationPatching, effects_are_those_of_plain_runs_in_both_directions) {
  const Lab& lab = demo();
  const auto prompts = preset("repeat", *lab.model, 1, 1);
  const PromptPair& pair = prompts->pairs[0];
  for (const bool noising : {true, false}) {
    const auto result =
        lab.method("activation-patching", {{"count", 1}, {"direction", noising ? "noising" : "denoising"}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const TokenSequence& into = noising ? pair.clean : pair.corrupt;
    RunRequest request = lab.runner->request(noising ? pair.corrupt : pair.clean);
    request.capture.sites = {{HookSite::z, 0}, {HookSite::z, 1}, {HookSite::z, 2}};
    const auto other = lab.run(request);
    const double from = logit_difference(lab, into, {}, pair),
                 to = value_of(Metric::logit_difference, other->capture->last_logits, pair, nullptr);
    for (const char* head : {"0.1", "1.2", "2.3"}) {
      const double patched =
          logit_difference(lab, into, {std::string("replace ") + head + " from=other"}, pair, other->capture);
      const HeadId id = parse_head(head).value();
      EXPECT_NEAR(result->field("effect")->values.at({id.layer.value, id.head.value}),
                  normalised_effect(patched, from, to), 1e-4)
          << head;
    }
  }
}

TEST(ActivationPatching, the_whole_residual_at_the_last_layer_and_position_carries_everything) {
  const auto result = demo().method("activation-patching", {{"count", 2}, {"at", "resid_pre"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Field& effect = *result->field("effect");
  ASSERT_EQ(effect.axes[1].kind, AxisKind::token);
  const int64_t last = effect.values.shape()[1] - 1;
  EXPECT_LT(std::abs(effect.values.at({2, 0})), 0.05F) << "the first position carries nothing";
  EXPECT_GT(effect.values.at({2, last}), 0.5F);
}

TEST(ActivationPatching, the_worked_example_of_the_normalised_effect) {
  EXPECT_DOUBLE_EQ(normalised_effect(1.0, 3.0, -1.0), 0.5);
  EXPECT_TRUE(std::isnan(normalised_effect(1.0, 3.0, 3.05)))
      << "prompts that do not discriminate have no effect";
}

TEST(Sweeps, what_cannot_be_used_is_refused_with_what_to_do) {
  const auto refusal = [&](const char* id, const nlohmann::json& parameters) {
    const auto result = demo().method(id, parameters);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(refusal("ablation-sweep", {{"prompts", "nonsense"}}), HasSubstr("there are repeat, ioi"));
  EXPECT_THAT(refusal("ablation-sweep", {{"metric", "speed"}}), HasSubstr("logit-difference, probability"));
  EXPECT_THAT(refusal("ablation-sweep", {{"kind", "burn"}}), HasSubstr("mean-by-position"));
  EXPECT_THAT(refusal("activation-patching", {{"metric", "kl"}}),
              HasSubstr("is one of logit-difference, probability, loss"));
  EXPECT_THAT(refusal("ablation-sweep", {{"prompts", "/nowhere/pairs.json"}}), HasSubstr("pairs.json"));
}

TEST(HeadFields, the_interval_is_students) {
  const std::vector<double> values{1.0, 2.0, 3.0, std::nan("")};
  const MeanInterval mean = mean_interval(values);
  EXPECT_EQ(mean.count, 3);
  EXPECT_DOUBLE_EQ(mean.mean, 2.0);
  EXPECT_NEAR(mean.half_width, 4.303 / std::sqrt(3.0), 1e-6);
  EXPECT_TRUE(std::isnan(mean_interval(std::vector<double>{1.0}).half_width));
}

}  // namespace
}  // namespace saccade
