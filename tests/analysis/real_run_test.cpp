// The analysis side on runs of really trained models: the demo in resources/ and the small Llama of the test
// data.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "analysis/compare.h"
#include "analysis/export/figure.h"
#include "analysis/method.h"
#include "core/model/model.h"
#include "core/run/runner.h"
#include "tests/analysis/font_cache.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;

struct Bench {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;

  static Bench open(const std::string& where) {
    auto model = Model::open(where);
    EXPECT_TRUE(model.ok()) << model.error().to_string();
    if (!model.ok()) return {};
    auto runner = Runner::create(*model, {&kernel_sets().front(), 1});
    EXPECT_TRUE(runner.ok());
    return {*model, std::move(*runner)};
  }

  [[nodiscard]] std::shared_ptr<const Capture> run(const std::string& prompt,
                                                   const std::vector<std::string>& edits) const {
    auto tokens = model->tokenizer().encode(prompt, {});
    EXPECT_TRUE(tokens.ok());
    RunRequest request = runner->request(*tokens);
    for (const std::string& text : edits) request.edits.push_back(parse_edit(text).value());
    auto done = runner->run(request, nullptr, {});
    EXPECT_TRUE(done.ok()) << done.error().to_string();
    return done.ok() ? (*done)->capture : nullptr;
  }

  [[nodiscard]] AnalysisResult head_table(const std::shared_ptr<const Capture>& capture) const {
    MethodInput input;
    input.capture = capture;
    input.kernels = &runner->kernels();
    auto result = (*find_method("head-table"))->compute(input, {});
    EXPECT_TRUE(result.ok()) << result.error().to_string();
    return std::move(*result);
  }
};

const std::string words = " house goat moon table door paper cake guitar river stone garden camera";

std::string small_llama() {
  const char* data = std::getenv("SACCADE_TEST_DATA");
  const fs::path beside = fs::path(SACCADE_SOURCE_DIR).parent_path() / "shared" / "data";
  return ((data != nullptr ? fs::path(data) : beside) / "stories260K").string();
}

TEST(RealRun, head_table_finds_the_demos_previous_token_and_induction_heads) {
  const Bench bench = Bench::open("demo:induction");
  ASSERT_TRUE(bench.model);
  const auto result = bench.head_table(bench.run(words + words, {}));
  // As its page says: 0.2 looks back one token, all of layer 1 does induction; nothing in layer 0 does.
  EXPECT_GT(result.field("previous_token")->values.at({0, 2}), 0.9F);
  for (int64_t head = 0; head < 4; ++head) {
    EXPECT_GT(result.field("induction")->values.at({1, head}), 0.6F) << head;
    EXPECT_LT(result.field("induction")->values.at({0, head}), 0.2F) << head;
  }
  EXPECT_EQ(result.findings[0].substr(0, 7), "Head 1.") << result.findings[0];
  EXPECT_NE(result.findings[1].find("Head 0.2"), std::string::npos) << result.findings[1];
}

TEST(RealRun, zeroing_the_demos_induction_heads_costs_the_repeat_and_the_comparison_says_so) {
  const Bench bench = Bench::open("demo:induction");
  ASSERT_TRUE(bench.model);
  const auto a = bench.run(words + words.substr(0, words.rfind(' ')), {});
  const auto b = bench.run(words + words.substr(0, words.rfind(' ')), {"zero 1.*"});
  const auto comparison = compare(*a, *b, &bench.model->tokenizer());
  ASSERT_TRUE(comparison.ok()) << comparison.error().to_string();
  EXPECT_EQ(comparison->top.front().text, " camera");
  EXPECT_GT(comparison->top.front().probability_a, 0.5);
  EXPECT_LT(comparison->top.front().probability_b, 0.5 * comparison->top.front().probability_a);
  EXPECT_GT(comparison->kl, 0.5);
  EXPECT_GT(b->mean_loss(), a->mean_loss() + 0.5);
  EXPECT_NE(comparison->findings[0].find("' camera' falls from"), std::string::npos)
      << comparison->findings[0];
  // Zeroing z in layer 1 cannot touch the patterns of layers 0 and 1.
  for (int64_t layer = 0; layer < 2; ++layer)
    for (float moved : comparison->pattern_change.values.slice(layer)) EXPECT_EQ(moved, 0.0F);
  const auto last = comparison->pattern_change.values.slice(2);
  EXPECT_GT(*std::max_element(last.begin(), last.end()), 0.01F);

  const fs::path folder = fs::temp_directory_path() / "saccade_real_run_figures";
  fs::create_directories(folder);
  for (const char* name : {"comparison.png", "comparison.svg", "comparison.pdf"}) {
    const auto written = write_comparison_figure(*comparison, *a, *b, {}, folder / name);
    EXPECT_TRUE(written.ok()) << written.error().to_string();
  }
  EXPECT_TRUE(write_grid_figure(a, bench.runner->kernels(), nullptr, {}, folder / "grid.png").ok());
  auto map = AttentionMap::of(a, {LayerIndex{1}, HeadIndex{0}}, bench.runner->kernels());
  ASSERT_TRUE(map.ok());
  const MapFigure figure{*map, 0, map->size(), 0, map->size(), nullptr};
  EXPECT_NE(map_caption(figure, {}).find("head 1.0 of demo:induction"), std::string::npos);
  EXPECT_TRUE(write_map_figure(figure, {}, folder / "map.png").ok());
  if (std::getenv("SACCADE_KEEP_FIGURES") == nullptr) fs::remove_all(folder);
}

TEST(RealRun, statistics_of_a_grouped_query_model_agree_with_its_regenerated_maps) {
  if (!fs::exists(small_llama())) GTEST_SKIP() << "the stories260K test model is not here";
  const Bench bench = Bench::open(small_llama());
  ASSERT_TRUE(bench.model);
  const auto capture = bench.run("Lily saw a big red ball.", {});
  const auto result = bench.head_table(capture);
  const int64_t n = capture->n_token();
  for (int32_t layer = 0; layer < capture->spec.n_layer; ++layer)
    for (int32_t head = 0; head < capture->spec.n_head; ++head) {
      auto map = AttentionMap::of(capture, {LayerIndex{layer}, HeadIndex{head}}, bench.runner->kernels());
      ASSERT_TRUE(map.ok());
      const auto tile = map->tile(0, n, 0, n, 1);
      ASSERT_TRUE(tile.ok());
      double entropy = 0.0, previous = 0.0, distance = 0.0;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j) {
          const double p = tile->block_max.at({i, j});
          if (p > 0.0) entropy -= p * std::log(p);
          distance += p * static_cast<double>(i - j);
          if (j == i - 1) previous += p;
        }
      const auto rows = static_cast<double>(n);
      EXPECT_NEAR(result.field("entropy")->values.at({layer, head}), entropy / rows, 1e-4);
      EXPECT_NEAR(result.field("mean_distance")->values.at({layer, head}), distance / rows, 1e-4);
      EXPECT_NEAR(result.field("previous_token")->values.at({layer, head}), previous / (rows - 1.0), 1e-5);
    }
}

}  // namespace
}  // namespace saccade
