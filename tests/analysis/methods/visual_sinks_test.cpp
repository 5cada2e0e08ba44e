// VAR and visual-sinks: the worked example, slow references on the random models, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/methods/var.h"
#include "core/capture/attention_map.h"
#include "core/run/edit_plan.h"
#include "core/run/edit_regions.h"
#include "tests/analysis/methods/seeing_lab.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using seeing::llava;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

TEST(Var, worked_example_phi) {
  const std::vector<float> x{0, 4, 0, 0};
  const std::vector<int64_t> d{1}, other{0, 2};
  EXPECT_NEAR(var::phi(x, d), 2.0, 1e-6);  // 1e-6 under the root
  EXPECT_EQ(var::phi(x, other), 0.0);
}

// A map whose last row is [BOS* .4, v1* .2, v2 .1, v3 .1, t .2], three patches after BOS.
std::vector<float> changed_row(const var::Settings& settings) {
  const synthetic::Pattern rows{
      {1.0}, {0.5, 0.5}, {0.2, 0.5, 0.3}, {0.2, 0.2, 0.3, 0.3}, {0.4, 0.2, 0.1, 0.1, 0.2}};
  auto capture = synthetic::capture_of(synthetic::words(5), {rows});
  ImageRegion region;
  region.begin = 1;
  region.grid_height = 1;
  region.grid_width = 3;
  capture->images = {region};
  var::LayerSinks sinks;
  sinks.text = {0};
  sinks.visual = {1};
  const auto edit = var::edit_of(sinks, capture->images, settings);
  EXPECT_TRUE(edit.has_value());
  const std::vector<Edit> edits{with_numbers(*edit, capture->places()).value()};
  EXPECT_TRUE(check_edits(edits, capture->spec, capture->places()).ok());
  auto layer = std::make_shared<LayerCapture>(*capture->layers[0]);
  layer->plans = plan_of(edits, 0, capture->spec, {}).value().heads;
  synthetic::fill_statistics(*layer, *capture);
  capture->layers[0] = layer;
  const AttentionMap map = AttentionMap::of(capture, {}, kernel_sets().front()).value();
  std::vector<float> row(5), before(4);
  EXPECT_TRUE(map.rows(4, 5, 5, row).ok());
  EXPECT_TRUE(map.rows(3, 4, 4, before).ok());
  EXPECT_THAT(before, Pointwise(FloatNear(1e-6F), {0.2F, 0.2F, 0.3F, 0.3F})) << "rows of the picture stay";
  return row;
}

constexpr double rounding = 1e-4;  // of weights made from their logarithms

TEST(Var, worked_example_redistribution) {
  var::Settings settings;
  settings.rho = 0.5 - rounding;
  EXPECT_THAT(changed_row(settings), Pointwise(FloatNear(1e-6F), {0.16F, 0.08F, 0.28F, 0.28F, 0.2F}));
  settings.code_compat = true;
  settings.rho = 0.5 + rounding;  // at most so much on sinks
  EXPECT_THAT(changed_row(settings), Pointwise(FloatNear(1e-6F), {0.24F, 0.12F, 0.22F, 0.22F, 0.2F}));
}

TEST(Var, rows_that_look_too_little_or_mostly_at_sinks_stay) {
  const std::vector<float> as_it_was{0.4F, 0.2F, 0.1F, 0.1F, 0.2F};
  var::Settings settings;
  settings.rho = 0.5 + rounding;  // r = 0.5
  EXPECT_THAT(changed_row(settings), Pointwise(FloatNear(1e-6F), as_it_was));
  settings.rho = 0.4;
  settings.least_mass = 0.4 + rounding;  // B = 0.4, BOS not counted
  EXPECT_THAT(changed_row(settings), Pointwise(FloatNear(1e-6F), as_it_was));
  settings.code_compat = true;
  settings.least_mass = 0.2;
  settings.rho = 0.5 - rounding;
  EXPECT_THAT(changed_row(settings), Pointwise(FloatNear(1e-6F), as_it_was));
}

TEST(Var, knows_published_models_by_their_shape_and_marks_what_it_finds_itself) {
  auto capture = synthetic::random_capture(synthetic::words(3), 4, 2, 5);
  for (auto& layer : capture->layers) {
    auto with = std::make_shared<LayerCapture>(*layer);
    with->resid_pre = HostTensor({3, 16});
    for (float& x : with->resid_pre.mutable_values()) x = 0.1F;
    with->resid_pre.mutable_values()[7] = -250.0F;  // the first token's
    with->resid_pre.mutable_values()[16 + 3] = 999.0F;
    layer = with;
  }
  const auto found = var::dimensions_of(*capture, {});
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_THAT(found->indices, ElementsAre(7));
  EXPECT_FALSE(found->verified);
  EXPECT_THAT(found->source, HasSubstr("not verified"));
  var::Settings given;
  given.dimensions = {2, 5};
  EXPECT_THAT(var::dimensions_of(*capture, given)->indices, ElementsAre(2, 5));
  capture->spec.n_layer = 32;
  capture->spec.d_model = 4096;
  capture->spec.n_head = capture->spec.n_kv_head = 32;
  capture->spec.d_mlp = 11008;
  EXPECT_THAT(var::dimensions_of(*capture, {})->indices, ElementsAre(1415, 2533));
  EXPECT_TRUE(var::dimensions_of(*capture, {})->verified);
}

TEST(Var, layers_are_all_but_the_first_two_and_the_last) {
  ModelSpec spec;
  spec.n_layer = 6;
  EXPECT_THAT(*var::layers_of({}, spec), ElementsAre(2, 3, 4));
  var::Settings settings;
  settings.code_compat = true;
  EXPECT_THAT(*var::layers_of(settings, spec), ElementsAre(2, 3, 4, 5));
  settings.layers = "4,0-1,1";
  EXPECT_THAT(*var::layers_of(settings, spec), ElementsAre(0, 1, 4));
  for (const char* text : {"6", "", "a", "3-1", "1,", "-1"}) {
    settings.layers = text;
    EXPECT_THAT(var::layers_of(settings, spec).error().message, HasSubstr("from 0 to 5")) << text;
  }
}

const nlohmann::json tiny{{"tau", 1.5}, {"layers", "0-1"}, {"least_mass", 0.1}, {"rho", 0.3}};

TEST(VisualSinks, agrees_with_a_slow_reference_on_the_random_models) {
  for (const seeing::Seeing* model : {&llava(), &seeing::llava_siglip()}) {
    const auto result = model->method("visual-sinks", tiny);
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const Capture& capture = *model->run->capture;
    const ImageRegion& image = capture.images[0];
    const int64_t n = capture.n_token(), heads = capture.spec.n_head;
    const auto dimensions = var::dimensions_of(capture, {}).value().indices;
    const Table* edits = table_of(*result, "var");
    ASSERT_NE(edits, nullptr);
    size_t next_edit = 0;
    for (int64_t l = 0; l < capture.spec.n_layer; ++l) {
      const HostTensor& x = capture.layers[static_cast<size_t>(l)]->resid_pre;
      std::vector<bool> sink(static_cast<size_t>(n));
      for (int64_t t = 0; t < n; ++t) {
        double squares = 0.0, largest = 0.0;
        for (const float v : x.slice(t)) squares += double{v} * v;
        for (const int64_t d : dimensions) largest = std::max(largest, std::abs(double{x.at({t, d})}));
        const double phi = largest / std::sqrt(squares / static_cast<double>(x.shape()[1]) + 1e-6);
        EXPECT_NEAR(result->field("phi")->values.at({l, t}), phi, 1e-5);
        sink[static_cast<size_t>(t)] = phi >= 1.5;
      }
      bool any = false, all = true;
      for (int64_t t = image.begin; t < image.end(); ++t) {
        any = any || sink[static_cast<size_t>(t)];
        all = all && sink[static_cast<size_t>(t)];
      }
      if (any && !all) {
        ASSERT_LT(next_edit, edits->rows.size());
        EXPECT_EQ(std::get<int64_t>(edits->rows[next_edit++][0]), l);
      }
      for (int32_t h = 0; h < heads; ++h) {
        const AttentionMap map =
            AttentionMap::of(model->run->capture, {LayerIndex{static_cast<int32_t>(l)}, HeadIndex{h}},
                             model->lab.runner->kernels())
                .value();
        double mass = 0.0, share = 0.0, selected = 0.0, moved = 0.0;
        std::vector<float> row(static_cast<size_t>(n));
        for (int64_t i = image.end(); i < n; ++i) {
          ASSERT_TRUE(map.rows(i, i + 1, n, row).ok());
          double b = 0.0, off = 0.0, given = 0.0;
          for (int64_t j = 0; j < n; ++j) {
            const bool visual = j >= image.begin && j < image.end();
            if (visual) b += row[static_cast<size_t>(j)];
            if (visual && !sink[static_cast<size_t>(j)]) off += row[static_cast<size_t>(j)];
            if (sink[static_cast<size_t>(j)]) given += row[static_cast<size_t>(j)];
          }
          mass += b;
          share += off / b;
          if (!any || b < 0.1 || off / b < 0.3) continue;
          selected += 1.0;
          moved += 0.6 * given;
        }
        const auto rows = static_cast<double>(n - image.end());
        EXPECT_NEAR(result->field("visual_mass")->values.at({l, h}), mass / rows, 1e-5);
        EXPECT_NEAR(result->field("non_sink_share")->values.at({l, h}), share / rows, 1e-5);
        EXPECT_NEAR(result->field("selected_rows")->values.at({l, h}), selected / rows, 1e-5);
        EXPECT_NEAR(result->field("moved")->values.at({l, h}), moved / rows, 1e-5);
      }
    }
    EXPECT_EQ(next_edit, edits->rows.size());
    EXPECT_GT(next_edit, 0U) << "the threshold marks something";
  }
}

// The handed back edits, applied, change maps as the formula says, row by row.
TEST(VisualSinks, hands_back_edits_that_do_what_var_says) {
  const seeing::Seeing& model = llava();
  const auto result = model.method("visual-sinks", tiny);
  ASSERT_TRUE(result.ok());
  const auto& row_of_edits = table_of(*result, "var")->rows.at(0);
  const auto layer = std::get<int64_t>(row_of_edits[0]);
  RunRequest edited = model.request;
  edited.edits = {parse_edit(std::get<std::string>(row_of_edits[1])).value()};
  const auto run = model.lab.run(edited);
  ASSERT_NE(run, nullptr);
  const Capture& before = *model.run->capture;
  const ImageRegion& image = before.images[0];
  const int64_t n = before.n_token();
  const auto* phi = result->field("phi");
  int changed = 0;
  for (int32_t h = 0; h < before.spec.n_head; ++h) {
    const HeadId head{LayerIndex{static_cast<int32_t>(layer)}, HeadIndex{h}};
    const auto plain = AttentionMap::of(model.run->capture, head, model.lab.runner->kernels()).value();
    const auto made = AttentionMap::of(run->capture, head, model.lab.runner->kernels()).value();
    std::vector<float> p(static_cast<size_t>(n)), got(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_TRUE(plain.rows(i, i + 1, n, p).ok() && made.rows(i, i + 1, n, got).ok());
      double b = 0.0, off = 0.0, given = 0.0;
      for (int64_t j = 0; j < n; ++j) {
        const bool visual = j >= image.begin && j < image.end(), sink = phi->values.at({layer, j}) >= 1.5;
        b += visual ? p[static_cast<size_t>(j)] : 0.0;
        off += visual && !sink ? p[static_cast<size_t>(j)] : 0.0;
        given += sink ? p[static_cast<size_t>(j)] : 0.0;
      }
      const bool acts = i >= image.end() && b >= 0.1 && off / b >= 0.3;
      changed += acts;
      for (int64_t j = 0; j < n; ++j) {
        const bool visual = j >= image.begin && j < image.end(), sink = phi->values.at({layer, j}) >= 1.5;
        double wanted = p[static_cast<size_t>(j)];
        if (acts && sink) wanted *= 0.4;
        if (acts && visual && !sink) wanted += 0.6 * given * p[static_cast<size_t>(j)] / off;
        EXPECT_NEAR(got[static_cast<size_t>(j)], wanted, 1e-5) << i << ", " << j;
      }
    }
  }
  EXPECT_GT(changed, 0);
}

TEST(VisualSinks, says_why_there_is_nothing_to_do) {
  const auto result = llava().method("visual-sinks", {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_TRUE(table_of(*result, "var")->rows.empty());
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("there are no others")));
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("No token of the picture is a sink")));
  EXPECT_THAT(result->findings[0], HasSubstr("not verified"));
}

TEST(VisualSinks, refuses_text_and_models_of_text) {
  EXPECT_THAT(seeing::refusal_on_text("visual-sinks", {}),
              HasSubstr("reads text only; open one that reads pictures"));
  const auto text = llava().lab.run(llava().lab.runner->request(
      llava().lab.model->tokenizer().sequence(std::vector<int32_t>{5, 6}).value()));
  const auto refused = llava().method("visual-sinks", {}, text);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("the prompt has none: give one with --image FILE"));
  EXPECT_THAT(llava().method("visual-sinks", {{"dimensions", "77"}}).error().message,
              HasSubstr("from 0 to 31"));
  EXPECT_THAT(llava().method("visual-sinks", {{"layers", "7"}}).error().message, HasSubstr("from 0 to 1"));
}

}  // namespace
}  // namespace saccade
