#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/mechanisms/catalogue.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"
#include "tests/analysis/lab.h"
#include "tests/analysis/synthetic_capture.h"
#include "tests/core/run/vision_fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

constexpr const char* prompt = "The old sailor found a silver key. The old sailor found a silver";

Result<AnalysisResult> imposed(nlohmann::json parameters, const JobContext& job = {}) {
  return run_method(**find_method("mechanism"), parameters, demo().run(prompt),
                    {demo().model, demo().runner.get(), {}}, job);
}

std::vector<std::string> edits_in(const AnalysisResult& result) {
  std::vector<std::string> edits;
  if (const Table* table = table_of(result, "edits"))
    for (const auto& row : table->rows) edits.push_back(std::get<std::string>(row[1]));
  return edits;
}

std::shared_ptr<const Run> run_with(const Lab& lab, const std::vector<std::string>& edits) {
  auto tokens = lab.model->tokenizer().encode(prompt, {});
  RunRequest request = lab.runner->request(*tokens);
  for (const std::string& text : edits) {
    const auto edit = parse_edit(text);
    EXPECT_TRUE(edit.ok()) << text << ": " << edit.error().to_string();
    if (edit.ok()) request.edits.push_back(*edit);
  }
  for (int32_t l = 0; l < lab.model->spec().n_layer; ++l) request.capture.sites.push_back({HookSite::z, l});
  return lab.run(request);
}

// In the first layer, whose q, k and v no edit moves, a run under the edits has the map and the output that
// were foretold.
void check_edits(const nlohmann::json& parameters) {
  const auto result = imposed(parameters);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto edits = edits_in(*result);
  ASSERT_FALSE(edits.empty());
  const auto before = run_with(demo(), {}), after = run_with(demo(), edits);
  const ModelSpec& spec = demo().model->spec();
  const int64_t n = before->capture->n_token();
  for (int32_t h = 0; h < spec.n_head; ++h) {
    const HeadId head{LayerIndex{0}, HeadIndex{h}};
    std::vector<float> old_map(static_cast<size_t>(n * n)), new_map(old_map);
    ASSERT_TRUE(
        AttentionMap::of(before->capture, head, demo().runner->kernels())->rows(0, n, n, old_map).ok());
    ASSERT_TRUE(
        AttentionMap::of(after->capture, head, demo().runner->kernels())->rows(0, n, n, new_map).ok());
    double kept = 0.0;
    for (size_t at = 0; at < old_map.size(); ++at) kept += std::min(old_map[at], new_map[at]);
    EXPECT_NEAR(result->field("kept")->values.at({0, h}), kept / static_cast<double>(n), 1e-4);
    const HostTensor &z = before->capture->sites.at({HookSite::z, 0}),
                     &moved = after->capture->sites.at({HookSite::z, 0});
    double difference = 0.0, length = 0.0;
    for (int64_t t = 0; t < n; ++t)
      for (int64_t x = 0; x < spec.d_head; ++x) {
        difference += std::pow(moved.at({t, h, x}) - z.at({t, h, x}), 2.0);
        length += std::pow(z.at({t, h, x}), 2.0);
      }
    EXPECT_NEAR(result->field("change")->values.at({0, h}), std::sqrt(difference / length), 1e-4);
  }
  // The answer under them is what a plain run gives.
  const Table* answer = table_of(*result, "answer");
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(std::get<std::string>(answer->rows[0][1]),
            top_next(before->capture->last_logits, demo().model->tokenizer(), 1)[0].text);
}

TEST(Mechanism, a_runs_map_under_the_edits_is_the_one_foretold_for_streams) {
  check_edits({{"mechanism", "stream"}, {"sink", 1}, {"window", 4}});
}

TEST(Mechanism, a_runs_map_under_the_edits_is_the_one_foretold_for_knockouts) {
  check_edits({{"mechanism", "shifted-groups"}, {"block", 4}, {"sink", 1}});
  check_edits({{"mechanism", "s2"}, {"block", 4}, {"window", 4}, {"period", 2}});
}

TEST(Mechanism, a_runs_map_under_the_edits_is_the_one_foretold_for_sharpening) {
  check_edits({{"mechanism", "sharpen"}, {"power", 2.0}});
}

TEST(Mechanism, masks_chosen_by_content_hand_back_edits_of_every_head) {
  const auto result = imposed({{"mechanism", "moba"}, {"block", 4}, {"keep", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto edits = edits_in(*result);
  ASSERT_FALSE(edits.empty());
  const auto after = run_with(demo(), edits);
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(table_of(*result, "answer"), nullptr) << "only edits that positions decide are tried beforehand";
}

TEST(Mechanism, induction_heads_need_more_than_their_neighbourhood) {
  const auto near = imposed({{"mechanism", "stream"}, {"sink", 0}, {"window", 3}}),
             far = imposed({{"mechanism", "stream"}, {"sink", 0}, {"window", 1000}});
  ASSERT_TRUE(near.ok() && far.ok());
  const auto least = [](const AnalysisResult& result) {
    const auto kept = result.field("kept")->values.values();
    return *std::min_element(kept.begin(), kept.end());
  };
  EXPECT_LT(least(*near), 0.6F);
  EXPECT_GT(least(*far), 0.9999F);
  EXPECT_THAT(near->findings[0], HasSubstr("of their weight or more"));
  EXPECT_THAT(near->findings.back(), HasSubstr("not trained with it"));
}

TEST(Mechanism, elastic_spans_keep_to_the_bound_and_go_to_heads_that_look_far) {
  const auto result = imposed({{"mechanism", "elastic"}, {"block", 2}, {"share", 0.6}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* spans = table_of(*result, "spans");
  ASSERT_NE(spans, nullptr);
  EXPECT_EQ(static_cast<int32_t>(spans->rows.size()), demo().model->spec().n_heads_total());
}

TEST(Mechanism, every_mechanism_for_texts_runs_on_a_model) {
  for (const auto& one : mechanisms::catalogue()) {
    const bool of_pictures =
        one.needs == mechanisms::Needs::picture || one.needs == mechanisms::Needs::two_way_picture;
    const auto result =
        imposed({{"mechanism", std::string(one.name)}, {"block", 4}, {"window", 6}, {"share", 0.8}});
    if (of_pictures) {
      ASSERT_FALSE(result.ok()) << one.name;
      EXPECT_THAT(result.error().message, HasSubstr("--image FILE"));
      continue;
    }
    ASSERT_TRUE(result.ok()) << one.name << ": " << result.error().to_string();
    for (const float kept : result->field("kept")->values.values()) {
      EXPECT_GE(kept, 0.0F) << one.name;
      EXPECT_LE(kept, 1.0001F) << one.name;
    }
  }
}

TEST(Mechanism, a_capture_alone_gives_everything_but_outputs) {
  MethodInput input;
  input.capture = synthetic::random_capture(synthetic::words(12), 2, 3, 5, 2.0F);
  input.kernels = &kernel_sets().front();
  input.parameters = {{"mechanism", "stream"}, {"window", 3}};
  const auto result = make_mechanism()->compute(input, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_TRUE(std::isnan(result->field("change")->values.at({1, 2})));
  EXPECT_GT(result->field("kept")->values.at({1, 2}), 0.0F);
  JobContext stopped;
  stopped.cancel.cancel();
  EXPECT_EQ(make_mechanism()->compute(input, stopped).error().code, ErrorCode::cancelled);
}

TEST(Mechanism, what_it_has_is_kept_when_it_is_cancelled) {
  MethodInput input;
  input.capture = synthetic::random_capture(synthetic::words(12), 2, 3, 5, 2.0F);
  input.kernels = &kernel_sets().front();
  input.parameters = {{"mechanism", "stream"}, {"window", 3}};
  JobContext job;
  job.on_progress = [&](double fraction, std::string_view) {
    if (fraction > 0.5) job.cancel.cancel();
  };
  const auto result = make_mechanism()->compute(input, job);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_TRUE(result->partial);
  EXPECT_FALSE(std::isnan(result->field("kept")->values.at({0, 0})));
  EXPECT_TRUE(std::isnan(result->field("kept")->values.at({1, 2})));
}

TEST(Mechanism, every_mechanism_for_pictures_runs_on_models_of_pictures) {
  for (const char* variant : {"vit", "llava"}) {
    const auto opened = fixtures::open(fixtures::vision_golden(variant).string());
    const auto run = fixtures::run(opened, fixtures::vision_request(opened, fixtures::Numbers(variant)));
    ASSERT_NE(run, nullptr);
    for (const auto& one : mechanisms::catalogue()) {
      const auto result = run_method(
          **find_method("mechanism"),
          {{"mechanism", std::string(one.name)}, {"block", 4}, {"window", 3}, {"side", 2}, {"share", 0.8}},
          run, {opened.model, opened.runner.get(), {}}, {});
      if (result.ok()) {
        EXPECT_FALSE(result->findings.empty()) << one.name;
        continue;
      }
      const bool causal = opened.model->spec().causal;
      const bool expected = (one.needs == mechanisms::Needs::causal && !causal) ||
                            (one.needs == mechanisms::Needs::two_way_picture && causal) ||
                            one.name == "grid";  // a grid that does not divide is refused with what does
      EXPECT_TRUE(expected) << variant << " " << one.name << ": " << result.error().to_string();
    }
  }
}

}  // namespace
}  // namespace saccade
