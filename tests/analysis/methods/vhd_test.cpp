// VHD and VHR: the worked examples, slow references on the random models, cost, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/methods/picture_input.h"
#include "analysis/methods/vhd.h"
#include "tests/analysis/methods/seeing_lab.h"

namespace saccade {
namespace {

using seeing::llava;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<float> with{3, 4, 1, 0, 0, 2, 1, 1};

TEST(Vhd, worked_example_without_outlier) {
  const std::vector<float> without{0, 0, 1, 0, 0, 1, 1, -2};
  for (const bool sample : {true, false}) {
    vhd::Options options;
    options.sample_sd = sample;
    const vhd::Divergence found = vhd::divergence(with, without, 4, options);
    EXPECT_THAT(found.vhd, ElementsAre(5, 0, 1, 3));
    EXPECT_THAT(found.outlier, ElementsAre(false, false, false, false));
    EXPECT_THAT(vhd::above_median(found.vhd), ElementsAre(0, 3));
  }
  // output 0 becomes (6, 8)
  EXPECT_EQ(to_text(vhd::reinforcement(3, {0, 3}, 2.0)), "scale 3.0,3 by=2");
}

TEST(Vhd, worked_example_with_outlier) {
  const std::vector<float> without{6, 8, 1, 0, 0, 1, 1, -2};
  for (const bool sample : {true, false}) {
    vhd::Options options;
    options.sample_sd = sample;
    const vhd::Divergence found = vhd::divergence(with, without, 4, options);
    EXPECT_THAT(found.text, ElementsAre(100, 1, 1, 5));
    EXPECT_THAT(found.outlier, ElementsAre(true, false, false, false));
    EXPECT_THAT(found.vhd, ElementsAre(0, 0, 1, 3));
    EXPECT_THAT(found.raw, ElementsAre(5, 0, 1, 3));
    EXPECT_THAT(vhd::above_median(found.vhd), ElementsAre(2, 3));
  }
  vhd::Options kept;
  kept.drop_outliers = false;
  EXPECT_THAT(vhd::divergence(with, without, 4, kept).vhd, ElementsAre(5, 0, 1, 3));
}

TEST(Vhd, squares_when_asked) {
  vhd::Options options;
  options.squared = true;
  const std::vector<float> without{0, 0, 1, 0, 0, 1, 1, -2};
  EXPECT_THAT(vhd::divergence(with, without, 4, options).raw, ElementsAre(25, 0, 1, 9));
}

TEST(Vhd, worked_example_of_a_tokens_vhd) {
  EXPECT_EQ(vhd::token_vhd({{5, 0, 1, 3}, {2, 2, 0, 1}}, 2), 12.0);
  EXPECT_EQ(vhd::token_vhd({{5, 0, 1, 3}, {2, 2, 0, 1}}, 99), 14.0);
}

TEST(Vhd, reinforces_the_second_layer_and_the_last_fourteen_of_thirty_two) {
  ModelSpec spec;
  spec.n_layer = 32;
  std::vector<int32_t> wanted{1};
  for (int32_t l = 18; l < 32; ++l) wanted.push_back(l);
  EXPECT_EQ(*vhd::layers_of({}, spec), wanted);
  spec.n_layer = 2;
  EXPECT_THAT(*vhd::layers_of({}, spec), ElementsAre(1));
}

// z of the last row of a whole run.
std::vector<float> z_of(const Lab& lab, RunRequest request, int32_t layer, int64_t from_end = -1) {
  request.capture.sites = {{HookSite::z, layer}};
  const auto run = lab.run(request);
  const auto row = vhd::z_row(*run->capture, layer, from_end);
  return {row.begin(), row.end()};
}

TEST(VhdMethod, agrees_with_whole_runs_layer_by_layer) {
  for (const seeing::Seeing* model : {&llava(), &seeing::llava_siglip()}) {
    const auto result = model->method("vhd", {{"reinforce", "0-1"}, {"alpha", 3.0}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const ModelSpec& spec = model->lab.model->spec();
    RunRequest text = model->request, reinforced = model->request;
    text.tokens = without_images(model->request.tokens).value();
    std::vector<std::string> edits;
    for (int32_t l = 0; l < spec.n_layer; ++l) {
      const auto plain = z_of(model->lab, model->request, l), gone = z_of(model->lab, text, l),
                 after = z_of(model->lab, reinforced, l);
      const auto before = vhd::divergence(plain, gone, spec.n_head, {});
      for (int32_t h = 0; h < spec.n_head; ++h) {
        const auto i = static_cast<size_t>(h);
        EXPECT_NEAR(result->field("vhd")->values.at({l, h}), before.raw[i], 1e-5);
        EXPECT_NEAR(result->field("vhd_relative")->values.at({l, h}), before.raw[i] / before.size[i], 1e-5);
      }
      const auto chosen = vhd::above_median(vhd::divergence(after, gone, spec.n_head, {}).vhd);
      for (int32_t h = 0; h < spec.n_head; ++h)
        EXPECT_EQ(result->field("reinforced")->values.at({l, h}) > 0.0F,
                  std::find(chosen.begin(), chosen.end(), h) != chosen.end());
      reinforced.edits.push_back(vhd::reinforcement(l, chosen, 3.0));
      edits.push_back(to_text(reinforced.edits.back()));
    }
    const Table* table = table_of(*result, "vhr");
    ASSERT_EQ(table->rows.size(), edits.size());
    for (size_t i = 0; i < edits.size(); ++i) EXPECT_EQ(std::get<std::string>(table->rows[i][1]), edits[i]);
    const auto selected =
        vhd::select_heads(*model->lab.runner, model->request, {.alpha = 3.0, .layers = "0-1"}, {});
    ASSERT_TRUE(selected.ok()) << selected.error().to_string();
    EXPECT_EQ(*selected, reinforced.edits);
  }
}

TEST(VhdMethod, gives_the_t_vhd_of_every_generated_token) {
  const seeing::Seeing& model = llava();
  const auto result = model.method("vhd", {{"generate", 4}, {"k", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  SamplingOptions sampling;
  sampling.max_tokens = 4;
  const auto answer = model.lab.runner->generate(model.request, sampling, {}, {});
  ASSERT_TRUE(answer.ok());
  const auto count = std::ssize(answer->tokens);
  ASSERT_GT(count, 0);
  const Field* field = result->field("token_vhd");
  ASSERT_NE(field, nullptr);
  ASSERT_EQ(field->values.size(), count);
  for (int64_t t = 0; t < count; ++t) {
    RunRequest whole = model.request;
    whole.tokens = with_generated(whole.tokens, std::span(answer->tokens).first(static_cast<size_t>(t)));
    RunRequest text = whole;
    text.tokens = without_images(whole.tokens).value();
    double wanted = 0.0;
    for (int32_t l = 0; l < 2; ++l) {
      auto one = vhd::divergence(z_of(model.lab, whole, l), z_of(model.lab, text, l), 4, {}).vhd;
      std::sort(one.begin(), one.end());
      wanted += one[2] + one[3];
    }
    EXPECT_NEAR(field->values.data()[t], wanted, 1e-5) << t;
  }
}

// Positions move where a picture is taken out, so that heads differ a little even then.
TEST(VhdMethod, is_smaller_where_words_cannot_see_the_picture) {
  const seeing::Seeing& model = llava();
  RunRequest blind = model.request;
  blind.edits = {parse_edit("knockout *.* query=txt key=img").value()};
  const auto result = model.method("vhd", {}, model.lab.run(blind)), seen = model.method("vhd", {});
  ASSERT_TRUE(result.ok() && seen.ok());
  const auto sum = [](const AnalysisResult& of) {
    double all = 0.0;
    for (const float value : of.field("vhd")->values.values()) all += value;
    return all;
  };
  EXPECT_LT(sum(*result), sum(*seen));
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("1 of the current edits name positions")));
}

TEST(VhdMethod, keeps_the_map_when_it_is_stopped_during_the_selection) {
  const seeing::Seeing& model = llava();
  JobContext job;
  job.on_progress = [cancel = job.cancel](double, std::string_view what) mutable {
    if (what.find("1 of 1") != std::string_view::npos) cancel.cancel();
  };
  const auto result = model.method("vhd", {{"reinforce", "0-1"}}, job);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_TRUE(result->partial);
  EXPECT_NE(result->field("vhd"), nullptr);
}

TEST(VhdMethod, refuses_text_and_models_of_text) {
  EXPECT_THAT(seeing::refusal_on_text("vhd", {}), HasSubstr("reads text only"));
  EXPECT_THAT(llava().method("vhd", {{"reinforce", "9"}}).error().to_string(),
              HasSubstr("from 0 to 1, found '9'"));
}

}  // namespace
}  // namespace saccade
