#include "analysis/logit_map.h"

#include <gtest/gtest.h>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

TEST(LogitMap, the_worked_example_of_direct_attribution) {
  const std::vector<float> resid{3.0F, -1.0F}, first{2.0F, 0.0F}, second{1.0F, -1.0F};
  const std::vector<double> unembed{1.0, 0.0};
  const LogitMap map = LogitMap::frozen({NormKind::layer_norm, 0.0, {}, {}}, resid, unembed);
  EXPECT_NEAR(map.contribution(first), 0.5, 1e-12);
  EXPECT_NEAR(map.contribution(second), 0.5, 1e-12);
  EXPECT_NEAR(map.contribution(resid), 1.0, 1e-12);
}

// Writes of every part, each through the frozen norm, sum to the logit: nothing is counted twice or left out.
void check_additivity(const std::string& where, const std::string& prompt) {
  const Lab lab = Lab::open(where);
  ASSERT_TRUE(lab.model);
  const ModelSpec& spec = lab.model->spec();
  auto tokens = lab.model->tokenizer().encode(prompt, {});
  MethodInput input;
  input.model = lab.model;
  input.base = lab.runner->request(*tokens);
  RunRequest request = reference_request(input, *tokens);
  for (int32_t l = 0; l < spec.n_layer; ++l) request.capture.sites.push_back({HookSite::mlp_out, l});
  const auto run = lab.run(request);
  const Capture& capture = *run->capture;
  const int64_t last = capture.n_token() - 1;
  const int32_t token = top_next(capture.last_logits, lab.model->tokenizer(), 1)[0].id;
  const WeightReader weights(lab.model);
  const auto map = LogitMap::make(weights, spec, capture.final_resid.slice(last), direction_of({token}, {}));
  ASSERT_TRUE(map.ok()) << map.error().to_string();
  double sum = map->constant() + map->contribution(capture.layers[0]->resid_pre.slice(last));
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    sum += map->contribution(capture.sites.at({HookSite::mlp_out, l}).slice(last));
    if (const HostTensor bias = weights.output_bias(l); !bias.empty())
      sum += map->contribution(bias.values());
    for (int32_t h = 0; h < spec.n_head; ++h) {
      const HeadId head{LayerIndex{l}, HeadIndex{h}};
      sum += map->contribution(last_z(capture, head), weights.output(head));
    }
  }
  EXPECT_NEAR(sum, capture.last_logits.data()[token], 2e-4);
}

TEST(LogitMap, contributions_of_all_parts_sum_to_the_logit_with_layer_norm) {
  check_additivity("demo:induction", "The old sailor found a silver key. The old sailor");
}

TEST(LogitMap, contributions_of_all_parts_sum_to_the_logit_with_rms_norm) {
  const char* data = std::getenv("SACCADE_TEST_DATA");
  const std::filesystem::path beside =
      std::filesystem::path(SACCADE_SOURCE_DIR).parent_path() / "shared" / "data";
  const auto folder = (data != nullptr ? std::filesystem::path(data) : beside) / "stories260K";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "the stories260K test model is not here";
  check_additivity(folder.string(), "Once upon a time");
}

TEST(LogitMap, a_model_that_caps_its_logits_is_refused) {
  const Lab lab = Lab::open("demo:induction");
  ModelSpec spec = lab.model->spec();
  spec.logit_softcap = 30.0;
  const std::vector<float> resid(static_cast<size_t>(spec.d_model), 1.0F);
  const auto map = LogitMap::make(WeightReader(lab.model), spec, resid, direction_of({1}, {}));
  ASSERT_FALSE(map.ok());
  EXPECT_EQ(map.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace saccade
