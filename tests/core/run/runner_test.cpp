#include "core/run/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/files.h"
#include "core/capture/attention_map.h"
#include "core/run/runner_state.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

const std::vector<int32_t> ids{5, 17, 60, 3, 17, 60, 3, 44, 9, 17, 60, 2};

class RunnerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    opened_ = fixtures::open(fixtures::golden(GetParam()).string());
    ASSERT_NE(opened_.runner, nullptr);
    baseline_ = run({});
    ASSERT_NE(baseline_, nullptr);
  }
  std::shared_ptr<const saccade::Run> run(const std::vector<std::string>& edits,
                                          const std::shared_ptr<const saccade::Run>& base = nullptr,
                                          const std::string& sites = {}) {
    RunRequest request = fixtures::request(opened_, ids, edits);
    for (const Edit& edit : request.edits)
      if (!edit.from.empty()) request.references[edit.from] = baseline_->capture;
    if (!sites.empty()) {
      auto matched = match_sites(sites, opened_.model->spec());
      EXPECT_TRUE(matched.ok());
      request.capture.sites = *matched;
    }
    return fixtures::run(opened_, request, base);
  }
  static std::vector<float> logits(const std::shared_ptr<const saccade::Run>& run) {
    const auto values = run->capture->last_logits.values();
    return {values.begin(), values.end()};
  }
  std::string error_of(const RunRequest& request) {
    auto outcome = opened_.runner->run(request, nullptr, {});
    return outcome.ok() ? "no error" : outcome.error().to_string();
  }
  fixtures::Opened opened_;
  std::shared_ptr<const saccade::Run> baseline_;
};

TEST_P(RunnerTest, the_same_request_gives_the_same_bits) { EXPECT_EQ(logits(run({})), logits(baseline_)); }

TEST_P(RunnerTest, edits_that_do_nothing_leave_every_bit_and_the_digest_alone) {
  for (const auto& edits : std::vector<std::vector<std::string>>{{"scale 1.2 by=1"}, {"# zero 0.1"}}) {
    const auto edited = run(edits);
    EXPECT_EQ(logits(edited), logits(baseline_)) << edits[0];
    EXPECT_EQ(edited->digest, baseline_->digest);
    const auto resumed = run(edits, baseline_);
    EXPECT_EQ(logits(resumed), logits(baseline_));
    EXPECT_EQ(resumed->reused_layers, opened_.model->spec().n_layer);
  }
}

TEST_P(RunnerTest, a_change_at_a_layer_reuses_everything_below_and_gives_the_same_bits_as_from_scratch) {
  for (const std::string edit : {"zero 1.2", "scale 0.1 by=0.25", "mean 1.0 over=positions",
                                 "knockout 1.1 query=11 key=1:3", "zero blocks.1.hook_mlp_out",
                                 "scale blocks.1.hook_resid_pre by=0.5", "zero blocks.0.hook_attn_out"}) {
    const auto scratch = run({edit});
    const auto resumed = run({edit}, baseline_);
    EXPECT_EQ(logits(scratch), logits(resumed)) << edit;
    EXPECT_NE(logits(scratch), logits(baseline_)) << edit;
    EXPECT_EQ(scratch->capture->loss, resumed->capture->loss) << edit;
  }
  EXPECT_EQ(run({"zero 1.2"}, baseline_)->reused_layers, 1);
  EXPECT_EQ(run({"scale blocks.1.hook_resid_pre by=0.5"}, baseline_)->reused_layers, 0);
  // A second edit list on top of an edited run shares what both have.
  const auto one = run({"zero 0.1"});
  EXPECT_EQ(logits(run({"zero 0.1", "zero 1.0"}, one)), logits(run({"zero 0.1", "zero 1.0"})));
  EXPECT_EQ(run({"zero 0.1", "zero 1.0"}, one)->reused_layers, 1);
}

TEST_P(RunnerTest, a_site_edited_in_both_runs_is_not_edited_twice_when_resuming) {
  const std::vector<std::string> first{"scale blocks.1.hook_resid_pre by=0.5"};
  const std::vector<std::string> second{"scale blocks.1.hook_resid_pre by=0.5", "zero 1.3"};
  EXPECT_EQ(logits(run(second, run(first))), logits(run(second)));
}

TEST_P(RunnerTest, zeroing_a_head_takes_exactly_its_result_out_of_attn_out) {
  const auto before = run({}, nullptr, "result,attn_out,z");
  const auto after = run({"zero 1.2"}, nullptr, "result,attn_out,z");
  const ModelSpec& spec = opened_.model->spec();
  const HostTensor& result = before->capture->sites.at({HookSite::result, 1});
  const HostTensor& out_before = before->capture->sites.at({HookSite::attn_out, 1});
  const HostTensor& out_after = after->capture->sites.at({HookSite::attn_out, 1});
  for (int64_t p = 0; p < static_cast<int64_t>(ids.size()); ++p)
    for (int64_t d = 0; d < spec.d_model; ++d)  // float32 sums of a few dozen terms of order 0.1
      ASSERT_NEAR(out_after.at({p, d}), out_before.at({p, d}) - result.at({p, 2, d}), 2e-6);
  const HostTensor& z = after->capture->sites.at({HookSite::z, 1});
  for (int64_t d = 0; d < spec.d_head; ++d) ASSERT_EQ(z.at({3, 2, d}), 0.0f);
}

TEST_P(RunnerTest, scale_and_mean_do_to_z_what_they_say) {
  const auto plain = run({}, nullptr, "z")->capture->sites.at({HookSite::z, 1});
  const auto scaled = run({"scale 1.1 by=-2"}, nullptr, "z")->capture->sites.at({HookSite::z, 1});
  const auto averaged = run({"mean 1.1"}, nullptr, "z")->capture->sites.at({HookSite::z, 1});
  const auto n = static_cast<int64_t>(ids.size());
  for (int64_t d = 0; d < opened_.model->spec().d_head; ++d) {
    double mean = 0.0;
    for (int64_t p = 0; p < n; ++p) mean += plain.at({p, 1, d}) / static_cast<double>(n);
    for (int64_t p = 0; p < n; ++p) {
      ASSERT_EQ(scaled.at({p, 1, d}), -2.0f * plain.at({p, 1, d}));
      ASSERT_NEAR(averaged.at({p, 1, d}), mean, 1e-7 * std::max(1.0, std::abs(mean)));  // float32 rounding
      ASSERT_EQ(averaged.at({p, 0, d}), plain.at({p, 0, d}));
    }
  }
}

TEST_P(RunnerTest, replacing_a_head_by_itself_changes_nothing_and_by_an_edited_run_brings_that_runs_z) {
  const auto same = run({"replace 1.* from=other"});
  const auto a = logits(same), b = logits(baseline_);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], b[i]);

  const auto donor = run({"zero 0.0", "scale 1.1 by=3"});
  RunRequest request = fixtures::request(opened_, ids, {"replace 1.1 from=donor"});
  request.references["donor"] = donor->capture;
  request.capture.sites = {{HookSite::z, 1}};
  const auto patched = fixtures::run(opened_, request);
  const auto expected =
      run({"zero 0.0", "scale 1.1 by=3"}, nullptr, "z")->capture->sites.at({HookSite::z, 1});
  const auto& z = patched->capture->sites.at({HookSite::z, 1});
  for (int64_t d = 0; d < opened_.model->spec().d_head; ++d)
    ASSERT_EQ(z.at({4, 1, d}), expected.at({4, 1, d}));
}

TEST_P(RunnerTest, a_knocked_out_edge_has_no_weight_and_the_row_still_sums_to_one) {
  const auto edited = run({"knockout 1.1 query=9 key=1:3"});
  auto map = AttentionMap::of(edited->capture, {LayerIndex{1}, HeadIndex{1}}, opened_.runner->kernels());
  ASSERT_TRUE(map.ok());
  const auto n = static_cast<int64_t>(ids.size());
  auto tile = map->tile(0, n, 0, n, 1);
  ASSERT_TRUE(tile.ok());
  EXPECT_EQ(tile->block_max.at({9, 1}), 0.0f);
  EXPECT_EQ(tile->block_max.at({9, 2}), 0.0f);
  EXPECT_GT(tile->block_max.at({9, 3}), 0.0f);
  EXPECT_GT(tile->block_max.at({8, 1}), 0.0f);
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0.0;
    for (int64_t j = 0; j < n; ++j) sum += tile->block_max.at({i, j});
    ASSERT_NEAR(sum, 1.0, 1e-6);
  }
}

TEST_P(RunnerTest, statistics_agree_with_the_regenerated_map) {
  const auto n = static_cast<int64_t>(ids.size());
  const LayerCapture& layer = *baseline_->capture->layers[1];
  auto map = AttentionMap::of(baseline_->capture, {LayerIndex{1}, HeadIndex{3}}, opened_.runner->kernels());
  ASSERT_TRUE(map.ok());
  auto tile = map->tile(0, n, 0, n, 1);
  ASSERT_TRUE(tile.ok());
  for (int64_t i = 0; i < n; ++i) {
    double entropy = 0.0, received = 0.0;
    for (int64_t j = 0; j < n; ++j) {
      const double p = tile->block_max.at({i, j});
      if (p > 0) entropy -= p * std::log(p);
      received += tile->block_max.at({j, i});
    }
    ASSERT_NEAR(layer.statistics.entropy.at({3, i}), entropy, 1e-5);
    ASSERT_NEAR(layer.statistics.received.at({3, i}), received, 1e-5);
    ASSERT_NEAR(layer.statistics.sink_mass.at({3, i}), tile->block_max.at({i, 0}), 1e-6);
  }
}

TEST_P(RunnerTest, generation_obeys_edits_and_repeats_under_a_seed) {
  SamplingOptions sampling;
  sampling.max_tokens = 12;
  sampling.temperature = 1.5;
  sampling.top_k = 20;
  sampling.top_p = 0.95;
  sampling.seed = 7;
  sampling.stop_at_eos = false;
  const auto text = [&](const std::vector<std::string>& edits) {
    auto generation = opened_.runner->generate(fixtures::request(opened_, ids, edits), sampling, {}, {});
    EXPECT_TRUE(generation.ok());
    std::vector<int32_t> made;
    for (const Token& token : generation->tokens) made.push_back(token.id);
    return made;
  };
  const auto plain = text({});
  EXPECT_EQ(plain.size(), 12u);
  EXPECT_EQ(text({}), plain);
  EXPECT_EQ(text({"scale 0.0 by=1"}), plain);
  EXPECT_NE(text({"scale *.* by=-4"}), plain);
  sampling.seed = 8;
  EXPECT_NE(text({}), plain);
}

TEST_P(RunnerTest, a_cancelled_generation_keeps_what_it_made) {
  JobContext job;
  SamplingOptions sampling;
  sampling.max_tokens = 50;
  sampling.stop_at_eos = false;
  int seen = 0;
  auto generation = opened_.runner->generate(
      fixtures::request(opened_, ids), sampling,
      [&](const Token&, const std::string&) {
        if (++seen == 3) job.cancel.cancel();
      },
      job);
  ASSERT_TRUE(generation.ok());
  EXPECT_TRUE(generation->cancelled);
  EXPECT_EQ(generation->tokens.size(), 3u);
}

TEST_P(RunnerTest, a_cancelled_run_says_so) {
  JobContext job;
  job.on_progress = [&](double fraction, std::string_view) {
    if (fraction > 0.2) job.cancel.cancel();
  };
  auto outcome = opened_.runner->run(fixtures::request(opened_, ids), nullptr, job);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
}

TEST_P(RunnerTest, requests_that_make_no_sense_are_refused_with_the_numbers) {
  EXPECT_THAT(error_of(fixtures::request(opened_, {})), HasSubstr("no tokens"));
  const std::vector<int32_t> too_long(static_cast<size_t>(opened_.model->spec().n_context) + 3, 1);
  EXPECT_THAT(error_of(fixtures::request(opened_, too_long)), HasSubstr("shorten it by 3"));
  RunRequest request = fixtures::request(opened_, ids);
  request.tokens.tokens[4].id = opened_.model->spec().n_vocab;
  EXPECT_THAT(error_of(request), HasSubstr("token 4"));
  EXPECT_THAT(error_of(fixtures::request(opened_, ids, {"zero 99.0"})), HasSubstr("99"));
  EXPECT_THAT(error_of(fixtures::request(opened_, ids, {"zero 0.99"})), HasSubstr("99"));
  EXPECT_THAT(error_of(fixtures::request(opened_, ids, {"replace 0.0 from=nowhere"})), HasSubstr("nowhere"));
  RunRequest shorter = fixtures::request(opened_, {1, 2, 3}, {"replace 0.0 from=b"});
  shorter.references["b"] = baseline_->capture;
  EXPECT_THAT(error_of(shorter), HasSubstr("12 tokens"));
  RunRequest device = fixtures::request(opened_, ids);
  device.device = "cuda:0";
  EXPECT_THAT(error_of(device), HasSubstr("cuda:0"));
}

TEST_P(RunnerTest, the_forecast_of_what_is_kept_is_what_is_kept) {
  const MemoryForecast forecast = opened_.runner->forecast(baseline_->request);
  const auto kept = static_cast<double>(baseline_->capture->bytes());
  EXPECT_NEAR(static_cast<double>(forecast.captures), kept, 0.02 * kept);
  EXPECT_EQ(forecast.longest, opened_.model->spec().n_context);  // these models fit anywhere
}

TEST_P(RunnerTest, a_forecast_that_does_not_fit_says_how_many_tokens_would) {
  const ModelSpec& spec = opened_.model->spec();
  const CapturePlan plan;
  const MemoryForecast plenty = forecast_memory(spec, 0, plan, "f32", 60, int64_t{1} << 40);
  ASSERT_TRUE(plenty.fits());
  const MemoryForecast tight = forecast_memory(spec, 0, plan, "f32", 60, plenty.needed() - 1);
  EXPECT_FALSE(tight.fits());
  EXPECT_LT(tight.longest, 60);
  EXPECT_TRUE(forecast_memory(spec, 0, plan, "f32", tight.longest, plenty.needed() - 1).fits());
  EXPECT_FALSE(forecast_memory(spec, 0, plan, "f32", tight.longest + 1, plenty.needed() - 1).fits());
}

TEST_P(RunnerTest, every_kernel_set_gives_the_same_answer) {
  for (const KernelSet& kernels : kernel_sets()) {
    auto runner = Runner::create(opened_.model, {&kernels, 1});
    ASSERT_TRUE(runner.ok());
    auto other = (*runner)->run(fixtures::request(opened_, ids), nullptr, {});
    ASSERT_TRUE(other.ok());
    const auto a = logits(*other), b = logits(baseline_);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4) << kernels.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, RunnerTest, testing::Values("gpt2", "llama_llama3_rope"),
                         [](const auto& info) { return std::string(info.param); });

// bfloat16 has 8 bits: products of 32 numbers, two layers. Measured on this model: 0.03 at most.
TEST(Precision, bf16_products_stay_near_float32_and_are_another_request) {
  const auto opened = fixtures::open(fixtures::golden("llama_bf16").string());
  ASSERT_TRUE(opened.runner);
  RunRequest exact = fixtures::request(opened, {5, 9, 13, 17, 21, 25}), coarse = exact;
  coarse.dtype = "bf16";
  EXPECT_NE(exact.digest(), coarse.digest());
  const auto a = fixtures::run(opened, exact), b = fixtures::run(opened, coarse);
  ASSERT_TRUE(a && b);
  double most = 0.0;
  for (size_t i = 0; i < 96; ++i)
    most = std::max(most, std::abs(static_cast<double>(a->capture->last_logits.values()[i]) -
                                   b->capture->last_logits.values()[i]));
  EXPECT_GT(most, 0.0);
  EXPECT_LT(most, 0.1);
  RecordProperty("largest_difference", std::to_string(most));
  coarse.dtype = "f16";
  EXPECT_FALSE(opened.runner->run(coarse, nullptr, {}).ok());
}

class Stories260K : public testing::Test {
 protected:
  void SetUp() override {
    data_ = fixtures::test_data();
    if (data_.empty()) GTEST_SKIP() << "no ../shared/data and no $SACCADE_TEST_DATA: stories260K is not here";
    auto text = read_text_file(data_ / "stories260K" / "expected_greedy.json");
    ASSERT_TRUE(text.ok());
    expected_ = nlohmann::json::parse(*text);
  }
  // The prompt and what the model at `where` adds to it, as many ids as are expected.
  std::vector<int32_t> greedy(const std::filesystem::path& where) {
    const auto opened = fixtures::open(where.string());
    if (!opened.runner) return {};
    SamplingOptions options;
    options.max_tokens = 220;
    options.stop_at_eos = false;
    auto generation =
        opened.runner->generate(fixtures::request(opened, expected_["prompt_ids"]), options, {}, {});
    if (!generation.ok()) return {};
    std::vector<int32_t> made(expected_["prompt_ids"].begin(), expected_["prompt_ids"].end());
    for (const Token& token : generation->tokens) made.push_back(token.id);
    made.resize(wanted().size());
    return made;
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(made_, ignored);
  }
  // By tests/data/convert_checkpoint.py, which needs nothing but Python.
  std::filesystem::path converted(const std::string& out, const std::string& form) {
    const std::filesystem::path& root = made_;
    const std::string script = std::string(SACCADE_SOURCE_DIR) + "/tests/data/convert_checkpoint.py";
    const std::string command = "python3 '" + script + "' '" + (data_ / "stories260K").string() + "' '" +
                                (root / out).string() + "' " + form;
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return root / out;
  }
  [[nodiscard]] std::vector<int32_t> wanted() const { return expected_["greedy_ids"]; }
  std::filesystem::path data_,
      made_ = std::filesystem::temp_directory_path() / ("saccade-" + std::to_string(::getpid()));
  nlohmann::json expected_;
};

TEST_F(Stories260K, greedy_text_is_the_one_its_author_published) {
  EXPECT_EQ(greedy(data_ / "stories260K"), wanted());
}

TEST_F(Stories260K, greedy_text_stays_the_same_in_every_other_format) {
  EXPECT_EQ(greedy(converted("zip", "bin")), wanted());
  EXPECT_EQ(greedy(converted("legacy", "legacy")), wanted());
  EXPECT_EQ(greedy(converted("f32.gguf", "f32")), wanted());
}

TEST_F(Stories260K, a_gguf_file_carries_the_same_tokenizer) {
  const auto folder = fixtures::open((data_ / "stories260K").string());
  const auto file = fixtures::open(converted("tokens.gguf", "f32").string());
  ASSERT_TRUE(folder.runner && file.runner);
  EXPECT_TRUE(file.model->has_tokenizer());
  EXPECT_TRUE(file.model->adds_bos());
  const Tokenizer& theirs = folder.model->tokenizer();
  const Tokenizer& own = file.model->tokenizer();
  EXPECT_EQ(own.bos(), theirs.bos());
  EXPECT_EQ(own.eos(), theirs.eos());
  for (const char* text : {"", " ", "Once upon a time, there was a little girl named Lily.",
                           "two  spaces\n\t!", "<s>caf\u00E9 \u2581 \U0001F999</s> 1,234"}) {
    const auto a = theirs.encode(text, {}), b = own.encode(text, {});
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(b->ids(), a->ids()) << text;
    EXPECT_EQ(*own.decode(b->ids()), *theirs.decode(a->ids())) << text;
  }
  EXPECT_EQ(*own.decode(wanted()), *theirs.decode(wanted()));
}

// A block's scale is its largest number / 127: weights move by at most 0.4 % of the largest in their block.
// Measured: logits by 0.17 at most.
TEST_F(Stories260K, eight_bit_blocks_move_its_logits_by_less_than_a_quarter) {
  const auto plain = fixtures::open((data_ / "stories260K").string());
  const auto packed = fixtures::open(converted("q8_0.gguf", "q8_0").string());
  ASSERT_TRUE(plain.runner && packed.runner);
  EXPECT_EQ(packed.model->spec().weight_dtype, "Q8_0");
  std::vector<int32_t> ids = wanted();
  ids.resize(64);
  const auto a = fixtures::run(plain, fixtures::request(plain, ids)),
             b = fixtures::run(packed, fixtures::request(packed, ids));
  double most = 0.0;
  for (size_t i = 0; i < 512; ++i)
    most = std::max(most, std::abs(static_cast<double>(a->capture->last_logits.values()[i]) -
                                   b->capture->last_logits.values()[i]));
  EXPECT_LT(most, 0.25);
  EXPECT_GT(most, 0.0);
  RecordProperty("largest_difference", std::to_string(most));
}

}  // namespace
}  // namespace saccade
