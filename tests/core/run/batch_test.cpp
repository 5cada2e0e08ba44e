// Runner::answers(): many requests together give what each gives alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

double difference(const HostTensor& a, const HostTensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0.0;
  for (size_t i = 0; i < a.values().size() && i < b.values().size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a.values()[i]) - b.values()[i]));
  return most;
}

void expect_equal_to_single_runs(const fixtures::Opened& opened, const std::vector<RunRequest>& requests) {
  const auto answers = opened.runner->answers(requests, {});
  ASSERT_TRUE(answers.ok()) << answers.error().to_string();
  ASSERT_EQ(answers->size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE("request " + std::to_string(i));
    const auto alone = fixtures::run(opened, requests[i]);
    ASSERT_TRUE(alone);
    EXPECT_LE(difference((*answers)[i], alone->capture->last_logits), 1e-4);
  }
}

std::vector<int32_t> made_up_ids(int64_t n, int32_t n_vocab, uint32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i)
    ids.push_back(static_cast<int32_t>((static_cast<uint32_t>(i) * 2654435761U + seed * 40503U) >> 7) &
                  0x7FFFFFFF);
  for (int32_t& id : ids) id %= n_vocab;
  return ids;
}

class BatchOfFamily : public testing::TestWithParam<std::string> {};

TEST_P(BatchOfFamily, prompts_of_different_lengths_get_the_answers_each_gets_alone) {
  const auto opened = fixtures::open(fixtures::golden(GetParam()).string());
  ASSERT_TRUE(opened.runner);
  std::vector<RunRequest> requests;
  uint32_t seed = 0;
  for (const int64_t n : {7, 24, 1, 16, 7}) {
    requests.push_back(fixtures::request(opened, made_up_ids(n, opened.model->spec().n_vocab, ++seed)));
  }
  expect_equal_to_single_runs(opened, requests);
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures::golden("")))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}
INSTANTIATE_TEST_SUITE_P(Goldens, BatchOfFamily, testing::ValuesIn(families()),
                         [](const auto& name) { return name.param; });

class BatchOfEdits : public testing::TestWithParam<std::string> {};

TEST_P(BatchOfEdits, edits_of_every_kind_part_from_what_they_share) {
  const auto opened = fixtures::open(fixtures::golden(GetParam()).string());
  ASSERT_TRUE(opened.runner);
  const auto ids = made_up_ids(19, opened.model->spec().n_vocab, 5),
             others = made_up_ids(11, opened.model->spec().n_vocab, 6);
  const std::vector<std::vector<std::string>> lists = {
      {},
      {"zero 0.1"},
      {"zero 1.0"},
      {"scale 1.* by=0.5", "zero 0.0"},
      {"knockout 1.1 query=10 key=3"},
      {"knockout 0.* query=5:9 key=0:2"},
      {"mean 1.0 over=positions"},
      {"zero blocks.0.hook_resid_pre"},
      {"zero blocks.1.hook_resid_pre"},
      {"scale blocks.1.hook_mlp_out by=0.3"},
      {"scale blocks.0.hook_attn_out by=2"},
      {"mean blocks.1.hook_attn_out"},
      {"zero hook_embed"},
      {"scale 0.1 by=1"},
  };
  std::vector<RunRequest> requests;
  for (const auto& list : lists) {
    requests.push_back(fixtures::request(opened, ids, list));
    if (list.empty() || list[0].find("10") == std::string::npos)
      requests.push_back(fixtures::request(opened, others, list));
  }
  expect_equal_to_single_runs(opened, requests);
}
INSTANTIATE_TEST_SUITE_P(Goldens, BatchOfEdits,
                         testing::Values("gpt2", "llama_llama3_rope", "gpt_neox", "gemma2", "bloom",
                                         "mixtral"),
                         [](const auto& name) { return name.param; });

TEST(Batch, refuses_what_a_run_refuses_and_mixed_dtypes) {
  const auto opened = fixtures::open(fixtures::golden("gpt2").string());
  ASSERT_TRUE(opened.runner);
  std::vector<RunRequest> requests = {fixtures::request(opened, {1, 2, 3}), fixtures::request(opened, {4})};
  requests[1].dtype = "bf16";
  EXPECT_THAT(opened.runner->answers(requests, {}).error().to_string(), HasSubstr("one dtype"));
  requests[1] = fixtures::request(opened, {1, 2}, {"zero 99.0"});
  EXPECT_FALSE(opened.runner->answers(requests, {}).ok());
  EXPECT_TRUE(opened.runner->answers({}, {})->empty());
}

TEST(Batch, ends_when_it_is_cancelled) {
  const auto opened = fixtures::open(fixtures::golden("gpt2").string());
  ASSERT_TRUE(opened.runner);
  JobContext job;
  job.on_progress = [&](double share, std::string_view) {
    if (share > 0.0) job.cancel.cancel();
  };
  const std::vector<RunRequest> requests = {fixtures::request(opened, {1, 2, 3})};
  const auto answers = opened.runner->answers(requests, job);
  ASSERT_FALSE(answers.ok());
  EXPECT_EQ(answers.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
