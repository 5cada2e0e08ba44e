// activation-patching at a head's q, k, v and map, and by role where prompts have different lengths.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/methods/metric.h"
#include "core/base/files.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

std::shared_ptr<const Run> run_with(const TokenSequence& tokens, const std::vector<std::string>& edits,
                                    const std::shared_ptr<const Capture>& other = nullptr) {
  RunRequest request = demo().runner->request(tokens);
  for (const std::string& text : edits) request.edits.push_back(parse_edit(text).value());
  if (other) request.references["other"] = other;
  for (int32_t l = 0; l < 3; ++l)
    for (const HookSite site : {HookSite::q, HookSite::k, HookSite::v, HookSite::z})
      request.capture.sites.push_back({site, l});
  return demo().run(request);
}

double metric_of(const Run& run, const PromptPair& pair) {
  return value_of(Metric::logit_difference, run.capture->last_logits, pair, nullptr);
}

TEST(ActivationPatching, parts_of_heads_are_patched_like_plain_runs_with_that_edit) {
  const auto prompts = preset("repeat", *demo().model, 1, 1);
  const PromptPair& pair = prompts->pairs[0];
  const auto clean = run_with(pair.clean, {}), corrupt = run_with(pair.corrupt, {});
  for (const std::string& part : std::vector<std::string>{"q", "k", "v", "pattern"}) {
    const auto result = demo().method("activation-patching",
                                      {{"count", 1}, {"at", "heads-" + part}, {"direction", "denoising"}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const auto patched = run_with(
        pair.corrupt, {part == "pattern" ? "pattern 1.2 from=other" : "replace 1.2 from=other at=" + part},
        clean->capture);
    EXPECT_NEAR(
        result->field("effect")->values.at({1, 2}),
        normalised_effect(metric_of(*patched, pair), metric_of(*corrupt, pair), metric_of(*clean, pair)),
        1e-4)
        << part;
  }
}

TEST(ActivationPatching, all_three_parts_of_every_head_of_a_layer_are_the_layers_z) {
  const auto prompts = preset("repeat", *demo().model, 1, 1);
  const PromptPair& pair = prompts->pairs[0];
  const auto clean = run_with(pair.clean, {});
  const auto parts =
      run_with(pair.corrupt,
               {"replace 1.* from=other at=q", "replace 1.* from=other at=k", "replace 1.* from=other at=v"},
               clean->capture);
  const HostTensor &z = parts->capture->sites.at({HookSite::z, 1}),
                   &own = clean->capture->sites.at({HookSite::z, 1});
  for (int64_t i = 0; i < z.size(); ++i) ASSERT_NEAR(z.data()[i], own.data()[i], 1e-6);
}

TEST(ActivationPatching, the_average_can_be_taken_before_normalising) {
  const auto result = demo().method("activation-patching",
                                    {{"count", 2}, {"average", "prompts"}, {"direction", "denoising"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto prompts = preset("repeat", *demo().model, 2, 1);
  double from = 0.0, to = 0.0, patched = 0.0;
  for (const PromptPair& pair : prompts->pairs) {
    const auto clean = run_with(pair.clean, {}), corrupt = run_with(pair.corrupt, {});
    from += metric_of(*corrupt, pair);
    to += metric_of(*clean, pair);
    patched += metric_of(*run_with(pair.corrupt, {"replace 1.0 from=other"}, clean->capture), pair);
  }
  EXPECT_NEAR(result->field("effect")->values.at({1, 0}), (patched - from) / (to - from), 1e-4);
}

// The corrupted prompt is three tokens longer: only roles say what corresponds.
TEST(ActivationPatching, prompts_of_different_lengths_are_patched_role_by_role) {
  const auto file = std::filesystem::temp_directory_path() / "saccade_roles.json";
  ASSERT_TRUE(
      write_text_file(file, R"([{"clean": "The old sailor found a silver key. The old sailor found a silver",
    "corrupt": "Mary and Tom sat. The old sailor found a golden ring. The old sailor found a golden",
    "right": " key", "wrong": " ring", "roles": {"start": "The old", "end": "found a"}}])")
          .ok());
  const auto result = demo().method(
      "activation-patching", {{"prompts", file.string()}, {"at", "resid_pre"}, {"direction", "denoising"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Field& effect = *result->field("effect");
  EXPECT_EQ(effect.axes[1].name, "role");
  EXPECT_EQ(effect.axes[1].labels, (std::vector<std::string>{"end", "start"}));
  const auto prompts = read_prompt_set(file, *demo().model);
  const PromptPair& pair = prompts->pairs[0];
  ASSERT_NE(pair.clean.size(), pair.corrupt.size());
  const auto clean = run_with(pair.clean, {}), corrupt = run_with(pair.corrupt, {});
  // By hand: the clean residual of the role's token, written where the role is in the corrupted prompt.
  auto other = std::make_shared<Capture>(*corrupt->capture);
  HostTensor rows = HostTensor(corrupt->capture->layers[2]->resid_pre.shape());
  const int64_t to = pair.corrupt_roles.at("end"), from = pair.clean_roles.at("end");
  std::copy_n(clean->capture->layers[2]->resid_pre.slice(from).data(), rows.shape()[1],
              rows.mutable_values().data() + to * rows.shape()[1]);
  other->sites[{HookSite::resid_pre, 2}] = rows;
  const auto patched = run_with(
      pair.corrupt, {"replace blocks.2.hook_resid_pre from=other query=" + std::to_string(to)}, other);
  EXPECT_NEAR(
      effect.values.at({2, 0}),
      normalised_effect(metric_of(*patched, pair), metric_of(*corrupt, pair), metric_of(*clean, pair)), 1e-4);
  std::filesystem::remove(file);
}

TEST(ActivationPatching, prompts_of_different_lengths_without_roles_are_refused_with_what_to_do) {
  const auto file = std::filesystem::temp_directory_path() / "saccade_no_roles.csv";
  ASSERT_TRUE(write_text_file(file, "clean,corrupt,right,wrong\nThe old sailor,The old, key, ring\n").ok());
  const auto refusal = [&](const nlohmann::json& more) {
    nlohmann::json parameters = {{"prompts", file.string()}};
    parameters.update(more);
    const auto result = demo().method("activation-patching", parameters);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(refusal({{"at", "resid_pre"}}), HasSubstr("or roles that say which tokens correspond"));
  EXPECT_THAT(refusal({{"at", "heads"}}), HasSubstr("patch at a role"));
  EXPECT_THAT(refusal({{"at", "heads-pattern"}}), HasSubstr("tokens clean and"));
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace saccade
