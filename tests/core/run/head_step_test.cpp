// What heads did while tokens were generated, and runs in bfloat16: against the captures of plain runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using fixtures::Opened;

const std::vector<int32_t> prompt{5, 9, 23, 5, 9, 40, 11, 5};

class HeadStepTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { opened_ = fixtures::open(fixtures::golden(GetParam()).string()); }
  Opened opened_;
};

TEST_P(HeadStepTest, every_step_is_the_row_that_a_captured_run_has_there) {
  SamplingOptions sampling;
  sampling.max_tokens = 6;
  sampling.stop_at_eos = false;
  sampling.keep_heads = true;
  sampling.watched = PositionSet(std::vector<PositionRange>{{0, 2}, {4, 6}});
  for (const std::vector<std::string>& edits :
       {std::vector<std::string>{}, {"mean 1.0 over=positions", "zero 0.1"}}) {
    const RunRequest request = fixtures::request(opened_, prompt, edits);
    const auto generated = opened_.runner->generate(request, sampling, {}, {});
    ASSERT_TRUE(generated.ok()) << generated.error().to_string();
    ASSERT_EQ(generated->steps.size(), 6U);
    SamplingOptions plain = sampling;
    plain.keep_heads = false;
    const auto again = opened_.runner->generate(request, plain, {}, {});
    EXPECT_TRUE(again->steps.empty());
    for (size_t i = 0; i < 6; ++i)
      EXPECT_EQ(again->tokens[i].id, generated->tokens[i].id) << "watching changes nothing";
    if (!edits.empty())
      continue;  // a mean over positions is frozen at the prompt's: another run than the whole text's
    std::vector<int32_t> ids = prompt;
    for (size_t i = 0; i + 1 < 6; ++i) ids.push_back(generated->tokens[i].id);
    const auto whole = fixtures::run(opened_, fixtures::request(opened_, ids));
    const ModelSpec& spec = opened_.model->spec();
    for (int32_t l = 0; l < spec.n_layer; ++l)
      for (int32_t h = 0; h < spec.n_head; ++h) {
        const HeadStatistics& s = whole->capture->layers[static_cast<size_t>(l)]->statistics;
        const auto map =
            AttentionMap::of(whole->capture, {LayerIndex{l}, HeadIndex{h}}, opened_.runner->kernels());
        for (size_t i = 0; i < 6; ++i) {
          const auto row = static_cast<int64_t>(prompt.size() + i) - 1;
          const auto at = static_cast<size_t>(l * spec.n_head + h);
          const HeadStep& step = generated->steps[i];
          EXPECT_NEAR(step.max_weight[at], s.max_weight.at({h, row}), 1e-5);
          EXPECT_NEAR(*map->weight(row, step.max_key[at]), step.max_weight[at], 1e-5);
          double mass = 0.0;
          for (const int64_t key : {0, 1, 4, 5}) mass += *map->weight(row, key);
          EXPECT_NEAR(step.key_mass[at], mass, 1e-5);
        }
      }
  }
}

TEST_P(HeadStepTest, a_run_in_bfloat16_keeps_half_and_its_maps_are_exactly_what_it_saw) {
  RunRequest request = fixtures::request(opened_, prompt);
  const auto wide = fixtures::run(opened_, request);
  request.dtype = "bf16";
  const auto narrow = fixtures::run(opened_, request);
  ASSERT_TRUE(wide && narrow);
  const ModelSpec& spec = opened_.model->spec();
  const auto n = static_cast<int64_t>(prompt.size());
  EXPECT_EQ(wide->capture->bytes() - narrow->capture->bytes(),
            spec.n_layer * n * (spec.n_head + spec.n_kv_head) * spec.d_head * 2);
  EXPECT_EQ(opened_.runner->forecast(request).captures,
            forecast_run(*opened_.model, n).captures - (wide->capture->bytes() - narrow->capture->bytes()));
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const LayerCapture& layer = *narrow->capture->layers[static_cast<size_t>(l)];
    EXPECT_TRUE(layer.q.empty());
    for (int32_t h = 0; h < spec.n_head; ++h) {
      const HeadId head{LayerIndex{l}, HeadIndex{h}};
      const auto map = AttentionMap::of(narrow->capture, head, opened_.runner->kernels());
      ASSERT_TRUE(map.ok()) << map.error().to_string();
      const auto tile = map->tile(0, n, 0, n, 1);
      for (int64_t i = 0; i < n; ++i) {
        double sum = 0.0, highest = 0.0;
        for (int64_t j = 0; j <= i; ++j) {
          sum += tile->block_max.at({i, j});
          highest = std::max<double>(highest, tile->block_max.at({i, j}));
        }
        EXPECT_NEAR(sum, 1.0, 1e-5) << "lse is of the very q and k that were kept";
        EXPECT_NEAR(highest, layer.statistics.max_weight.at({h, i}), 1e-5);
      }
      // bfloat16 has 8 bits: products of rounded numbers are off by some 2^-8 of their size.
      const auto exact = AttentionMap::of(wide->capture, head, opened_.runner->kernels());
      for (int64_t j = 0; j < n; ++j) EXPECT_NEAR(*map->weight(n - 1, j), *exact->weight(n - 1, j), 0.05);
    }
  }
}

TEST_P(HeadStepTest, a_dump_of_a_run_in_bfloat16_reads_back_to_the_same_maps) {
  RunRequest request = fixtures::request(opened_, prompt);
  request.dtype = "bf16";
  const auto run = fixtures::run(opened_, request);
  const std::string path = (std::filesystem::temp_directory_path() / "saccade_bf16.h5").string();
  ASSERT_TRUE(write_dump(*run->capture, path, {}, opened_.runner->kernels(), {}).ok());
  const auto read = read_dump(path);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  const HeadId head{LayerIndex{1}, HeadIndex{1}};
  const auto before = AttentionMap::of(run->capture, head, opened_.runner->kernels());
  const auto after = AttentionMap::of(*read, head, opened_.runner->kernels());
  ASSERT_TRUE(after.ok()) << after.error().to_string();
  for (int64_t i = 0; i < before->size(); ++i)
    for (int64_t j = 0; j <= i; ++j) EXPECT_NEAR(*before->weight(i, j), *after->weight(i, j), 1e-6);
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Families, HeadStepTest, testing::Values("gpt2", "llama_llama3_rope"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace saccade
