// ph3 on the demo, with conflicts in its own vocabulary, against plain runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/prompts/conflicts.h"
#include "core/base/files.h"
#include "core/model/weight_reader.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

class Conflicts : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_text_file(file_, R"([
      {"context": "The old sailor found a silver key.", "question": "The old sailor found a silver", "memory": " ring", "answer": " key"},
      {"context": "Mary and Tom walked to the market.", "question": "Mary and Tom walked to the", "memory": " garden", "answer": " market"},
      {"context": "The hungry fox slept behind the door.", "question": "The hungry fox slept behind the", "memory": " window", "answer": " door"}])")
                    .ok());
  }
  void TearDown() override { std::filesystem::remove(file_); }
  std::filesystem::path file_ = std::filesystem::temp_directory_path() / "saccade_conflicts.json";
};

double probability(const Run& run, int32_t id) {
  const KeptAnswer answer = keep_answer(run.capture->last_logits, {id}, nullptr);
  return std::exp(answer.logits[0] - answer.log_sum_exp);
}

// With MLPs frozen the direct path of one head is its write through the final norm: a plain edit of the last
// residual.
TEST_F(Conflicts, scores_are_relative_changes_of_both_answers_under_the_corrupted_path) {
  const auto result =
      demo().method("ph3", {{"prompts", file_.string()}, {"mlps", "frozen"}, {"share", 10.0}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto conflicts = conflict_set(file_.string(), *demo().model, 8, 1);
  ASSERT_TRUE(conflicts.ok()) << conflicts.error().to_string();
  const WeightReader weights(demo().model);
  const HeadId head = parse_head("1.2").value();
  const HostTensor output = weights.output(head);
  const auto width = static_cast<size_t>(output.shape()[0]);
  double memory = 0.0, context = 0.0;
  int usable = 0;
  for (const PromptPair& pair : conflicts->prompts.pairs) {
    const auto recorded = [&](const TokenSequence& tokens) {
      RunRequest request = demo().runner->request(tokens);
      request.capture.sites = {{HookSite::z, 1}, {HookSite::resid_post, 2}};
      return demo().run(request);
    };
    const auto clean = recorded(pair.clean), corrupt = recorded(pair.corrupt);
    const auto z = [&](const saccade::Run& run) {
      const HostTensor& all = run.capture->sites.at({HookSite::z, 1});
      return all.slice(all.shape()[0] - 1).subspan(2 * width, width);
    };
    auto other = std::make_shared<Capture>(*clean->capture);
    const HostTensor& own = clean->capture->sites.at({HookSite::resid_post, 2});
    HostTensor changed(own.shape());
    std::copy_n(own.data(), own.size(), changed.mutable_values().data());
    float* last = changed.mutable_values().data() + (own.shape()[0] - 1) * own.shape()[1];
    for (int64_t e = 0; e < output.shape()[0]; ++e)
      for (int64_t x = 0; x < own.shape()[1]; ++x)
        last[x] +=
            (z(*corrupt)[static_cast<size_t>(e)] - z(*clean)[static_cast<size_t>(e)]) * output.at({e, x});
    other->sites[{HookSite::resid_post, 2}] = changed;
    RunRequest request = demo().runner->request(pair.clean);
    request.edits = {parse_edit("replace blocks.2.hook_resid_post from=other").value()};
    request.references["other"] = other;
    const auto patched = demo().run(request);
    const double own_memory = probability(*clean, pair.right[0]),
                 own_context = probability(*clean, pair.wrong[0]);
    if (own_memory < 1e-6 || own_context < 1e-6)
      continue;  // nothing to divide by: such conflicts are left out
    memory += (probability(*patched, pair.right[0]) - own_memory) / own_memory;
    context += (probability(*patched, pair.wrong[0]) - own_context) / own_context;
    ++usable;
  }
  ASSERT_GT(usable, 0);
  memory /= usable;
  context /= usable;
  EXPECT_NEAR(result->field("memory_effect")->values.at({1, 2}), memory, 1e-4 * (1 + std::abs(memory)));
  EXPECT_NEAR(result->field("context_effect")->values.at({1, 2}), context, 1e-4 * (1 + std::abs(context)));
  EXPECT_NEAR(result->field("memory_score")->values.at({1, 2}), context - memory,
              1e-4 * (1 + std::abs(context - memory)));
}

TEST_F(Conflicts, without_its_context_heads_a_model_that_copies_follows_the_context_less) {
  const auto result =
      demo().method("ph3", {{"prompts", file_.string()}, {"share", 25.0}, {"unrelated", "repeat"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table& answers = result->tables.back();
  ASSERT_EQ(answers.name, "answers");
  ASSERT_EQ(answers.rows.size(), 3U);
  EXPECT_GT(std::get<double>(answers.rows[0][2]), 0.6) << "the demo copies from its context";
  EXPECT_LT(std::get<double>(answers.rows[2][2]), std::get<double>(answers.rows[0][2]));
  for (const auto& row : answers.rows)
    EXPECT_NEAR(std::get<double>(row[1]) + std::get<double>(row[2]) + std::get<double>(row[3]), 1.0, 1e-12);
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("little memory")));
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("Damage: 8 unrelated prompts")));
}

TEST_F(Conflicts, what_cannot_be_used_is_refused_with_what_to_do) {
  const auto refusal = [&](const nlohmann::json& parameters) {
    const auto result = demo().method("ph3", parameters);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(refusal({}), HasSubstr("give conflicts of your own as a JSON file"));
  EXPECT_THAT(refusal({{"prompts", "nonsense"}}), HasSubstr("there is capitals"));
  ASSERT_TRUE(write_text_file(file_, R"([{"context": "a", "question": "b", "memory": " c"}, {}])").ok());
  EXPECT_THAT(refusal({{"prompts", file_.string()}}), HasSubstr("conflict 1: 'answer' must be a text"));
}

}  // namespace
}  // namespace saccade
