// The way to a device and back, tried in a second part of the CPU's memory: whatever is not carried over, or
// fetched when it is read, gives other numbers.
#include "core/run/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/capture/attention_map.h"
#include "core/run/device_bench.h"
#include "core/run/tensor_ops.h"
#include "kernels/cuda/attention_cuda.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

TEST(DeviceNames, are_cpu_cuda_and_a_number_behind_it) {
  EXPECT_EQ(*parse_device("cpu"), Device{});
  EXPECT_EQ(*parse_device("cuda"), (Device{DeviceKind::cuda, 0}));
  EXPECT_EQ(*parse_device("cuda:3"), (Device{DeviceKind::cuda, 3}));
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "CPU"}) {
    const auto parsed = parse_device(wrong);
    ASSERT_FALSE(parsed.ok()) << wrong;
    EXPECT_THAT(parsed.error().to_string(), HasSubstr(std::string("'") + wrong + "'"));
    EXPECT_THAT(parsed.error().to_string(), HasSubstr("there are cpu; cuda: "));
  }
}

TEST(DeviceNames, a_device_that_is_not_there_is_refused_with_what_is) {
  if (!cuda::devices().empty() && ops::has_cuda())
    GTEST_SKIP() << "there is a CUDA device: " << cuda::status();
  const auto used = use_device({DeviceKind::cuda, 2});
  ASSERT_FALSE(used.ok());
  EXPECT_EQ(used.error().code, ErrorCode::unsupported);
  EXPECT_THAT(used.error().to_string(), HasSubstr("cuda:2 was asked for"));
  EXPECT_THAT(used.error().to_string(), HasSubstr(cuda::status()));
}

std::vector<std::string> golden_names() {
  std::ifstream file(fixtures::golden("index.json"));
  std::vector<std::string> names;
  for (const auto& row : nlohmann::json::parse(file)) names.push_back(row["name"]);
  return names;
}

// Float32 of the same sums in another order: the CPU has products of its own.
constexpr float bound = 3e-5F;

void expect_equal(const HostTensor& a, const HostTensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  float largest = 1.0F;
  for (const float value : b.values()) largest = std::max(largest, std::abs(value));
  for (int64_t i = 0; i < a.size(); ++i)
    ASSERT_NEAR(a.data()[i], b.data()[i], bound * largest) << what << ", " << i;
}

void expect_equal_runs(const Run& a, const Run& b) {
  expect_equal(a.capture->last_logits, b.capture->last_logits, "logits");
  ASSERT_EQ(a.capture->loss.size(), b.capture->loss.size());
  for (size_t i = 0; i < a.capture->loss.size(); ++i)
    if (!std::isnan(b.capture->loss[i])) {
      EXPECT_NEAR(a.capture->loss[i], b.capture->loss[i], 1e-3) << i;
    }
  expect_equal(a.capture->final_resid, b.capture->final_resid, "final residual");
  ASSERT_EQ(a.capture->layers.size(), b.capture->layers.size());
  for (size_t l = 0; l < a.capture->layers.size(); ++l) {
    const LayerCapture &x = *a.capture->layers[l], &y = *b.capture->layers[l];
    expect_equal(x.resid_pre, y.resid_pre, "residual");
    expect_equal(x.q, y.q, "q");
    expect_equal(x.k, y.k, "k");
    expect_equal(x.lse, y.lse, "lse");
    expect_equal(x.statistics.received, y.statistics.received, "received");
  }
  ASSERT_EQ(a.capture->sites.size(), b.capture->sites.size());
  for (const auto& [site, kept] : a.capture->sites) expect_equal(kept, b.capture->sites.at(site), "a site");
}

class Devices : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    opened_ = fixtures::open(fixtures::golden(GetParam()).string());
    ASSERT_NE(opened_.runner, nullptr);
  }
  std::vector<int32_t> ids_{5, 9, 2, 7, 7, 3, 11, 4, 6};
  fixtures::Opened opened_;

  [[nodiscard]] RunRequest request(const std::string& device, const std::vector<std::string>& edits) const {
    RunRequest made = fixtures::request(opened_, ids_, edits);
    made.device = device;
    return made;
  }
};

TEST_P(Devices, runs_are_those_of_the_cpu) {
  for (const std::vector<std::string>& edits : {std::vector<std::string>{},
                                                {"zero 0.1"},
                                                {"scale 1.* by=0.5", "scale blocks.0.hook_attn_out by=2"}}) {
    RunRequest there = request("rehearsal", edits), here = request("cpu", edits);
    for (RunRequest* one : {&there, &here})
      one->capture.sites = {{HookSite::attn_out, 0},
                            {HookSite::mlp_post, 0},
                            {HookSite::v, 1},
                            {HookSite::ln_final_normalized, -1},
                            {HookSite::embed, -1}};
    const auto a = fixtures::run(opened_, there), b = fixtures::run(opened_, here);
    ASSERT_TRUE(a && b);
    expect_equal_runs(*a, *b);
    EXPECT_EQ(a->capture->provenance.device, "rehearsal");
    EXPECT_NE(a->digest, b->digest);
  }
}

TEST_P(Devices, bfloat16_products_and_batches_are_those_of_the_cpu) {
  std::vector<std::vector<HostTensor>> answers;
  for (const char* device : {"rehearsal", "cpu"}) {
    std::vector<RunRequest> requests{request(device, {}), request(device, {"zero 0.0"}),
                                     request(device, {"zero 1.1"})};
    const auto made = opened_.runner->answers(requests, {});
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    answers.push_back(*made);
    RunRequest narrow = request(device, {});
    narrow.dtype = "bf16";
    const auto run = fixtures::run(opened_, narrow);
    ASSERT_NE(run, nullptr);
    answers.back().push_back(run->capture->last_logits);
  }
  for (size_t i = 0; i < answers[0].size(); ++i)
    expect_equal(answers[0][i], answers[1][i], std::to_string(i));
}

TEST_P(Devices, generated_tokens_are_those_of_the_cpu) {
  if (!opened_.model->spec().causal) GTEST_SKIP() << GetParam() << " does not generate";
  std::vector<std::vector<int32_t>> tokens;
  for (const char* device : {"rehearsal", "cpu"}) {
    SamplingOptions options;
    options.max_tokens = 6;
    options.stop_at_eos = false;
    const auto made = opened_.runner->generate(request(device, {"zero 1.0"}), options, {}, {});
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    tokens.emplace_back();
    for (const Token& token : made->tokens) tokens.back().push_back(token.id);
  }
  EXPECT_EQ(tokens[0], tokens[1]);
}

INSTANTIATE_TEST_SUITE_P(Goldens, Devices, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

TEST(DeviceWeights, are_copied_once_and_again_when_they_were_forgotten) {
  const fixtures::Opened opened = fixtures::open(fixtures::golden("gpt2").string());
  RunRequest request = fixtures::request(opened, {1, 2, 3});
  request.device = "rehearsal";
  ops::forget_device_weights();
  const int64_t before = ops::weights_copied();
  const auto first = fixtures::run(opened, request);
  const int64_t once = ops::weights_copied() - before;
  EXPECT_GT(once, 2 * opened.model->spec().n_layer);
  const auto second = fixtures::run(opened, request);
  EXPECT_EQ(ops::weights_copied() - before, once);
  ops::forget_device_weights();
  const auto third = fixtures::run(opened, request);
  EXPECT_EQ(ops::weights_copied() - before, 2 * once);
  expect_equal_runs(*first, *third);
  // On the CPU nothing is copied.
  request.device = "cpu";
  const auto here = fixtures::run(opened, request);
  EXPECT_EQ(ops::weights_copied() - before, 2 * once);
  expect_equal_runs(*first, *here);
}

TEST(DeviceBench, compares_what_it_times) {
  const auto benches = measure_device_attention({DeviceKind::rehearsal, 0}, {33, 100});
  ASSERT_TRUE(benches.ok()) << benches.error().to_string();
  ASSERT_EQ(benches->size(), 2u);
  for (const DeviceAttentionBench& bench : *benches) {
    EXPECT_LT(bench.largest_difference, 0.03);  // weights of the peer are rounded to bfloat16
    EXPECT_GT(bench.largest_difference, 0.0);
    EXPECT_GT(bench.peer_seconds, 0.0);
  }
}

TEST(DeviceWeights, a_batch_for_two_devices_is_refused) {
  const fixtures::Opened opened = fixtures::open(fixtures::golden("gpt2").string());
  std::vector<RunRequest> requests{fixtures::request(opened, {1, 2}), fixtures::request(opened, {1, 3})};
  requests[1].device = "rehearsal";
  const auto answers = opened.runner->answers(requests, {});
  ASSERT_FALSE(answers.ok());
  EXPECT_THAT(answers.error().to_string(), HasSubstr("f32 on rehearsal"));
}

}  // namespace
}  // namespace saccade
