// Models that read pictures against Transformers' own numbers (tests/data/make_vision_goldens.py wrote them).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/capture/attention_map.h"
#include "core/run/similarity.h"
#include "tests/core/run/golden_page.h"
#include "tests/core/run/vision_fixtures.h"

namespace saccade {
namespace {

// Bounds for float32 at these sizes: the project's rule for goldens.
constexpr double answer_bound = 1e-4;
constexpr double map_bound = 1e-5;

struct Variant {
  std::string name, model_type, special;
  double answers = 0.0, maps = 0.0, residuals = 0.0;
};

std::vector<Variant>& variants() {
  static std::vector<Variant> list = fixtures::variants_in<Variant>(fixtures::vision_golden("index.json"));
  return list;
}

using fixtures::rounded_up;

// The second part of core/model/FAMILIES.md; scripts/update_families.sh puts it there.
class Page : public testing::Environment {
 public:
  void TearDown() override {
    std::ofstream page(std::string(SACCADE_BINARY_DIR) + "/FAMILIES_PICTURES.md");
    page << "\n## Models that read pictures\n\n"
            "Tiny random models (tests/data/make_vision_goldens.py), pictures of 13 to 60 pixels a side, "
            "float32, "
            "eager attention of Transformers 5.23.\nThe largest differences of answers (logits, features, "
            "and of "
            "pairs also the text's features and the similarity logit), of every attention map\nand of the "
            "residual that enters each layer, rounded up to one digit; of pairs in both towers. Bounds: "
            "answers "
            "1e-4, maps 1e-5.\n\n"
            "| variant | `model_type` | what is special | answers | maps | residuals |\n"
            "| --- | --- | --- | --- | --- | --- |\n";
    for (const Variant& v : variants())
      page << fmt::format("| {} | `{}` | {} | {} | {} | {} |\n", v.name, v.model_type, v.special,
                          rounded_up(v.answers), rounded_up(v.maps), rounded_up(v.residuals));
  }
};
const testing::Environment* const page = testing::AddGlobalTestEnvironment(new Page);

class VisionGolden : public testing::TestWithParam<std::string> {
 protected:
  VisionGolden() : numbers_(GetParam()) {}
  Variant& variant() const {
    return *std::find_if(variants().begin(), variants().end(),
                         [](const Variant& v) { return v.name == GetParam(); });
  }
  void expect_near(std::span<const float> ours, std::span<const float> theirs, double bound,
                   double& largest) {
    ASSERT_EQ(ours.size(), theirs.size());
    for (size_t i = 0; i < ours.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(ours[i]) - theirs[i]));
      ASSERT_NEAR(ours[i], theirs[i], bound) << "number " << i;
    }
  }
  void expect_layers(const saccade::Run& run, const KernelSet& kernels, const std::string& prefix) {
    const ModelSpec& spec = run.capture->spec;
    const int64_t n = run.capture->n_token();
    for (int32_t l = 0; l < spec.n_layer; ++l) {
      SCOPED_TRACE(fmt::format("layer {}", l));
      const auto number = std::to_string(l);
      expect_near(run.capture->layers[static_cast<size_t>(l)]->resid_pre.values(),
                  numbers_.floats(prefix + "hidden." + number), answer_bound, variant().residuals);
      const std::span<const float> maps = numbers_.floats(prefix + "attn." + number);
      ASSERT_EQ(maps.size(), static_cast<size_t>(spec.n_head * n * n));
      for (int32_t h = 0; h < spec.n_head; ++h) {
        const auto map = AttentionMap::of(run.capture, {LayerIndex{l}, HeadIndex{h}}, kernels);
        ASSERT_TRUE(map.ok());
        const auto tile = map->tile(0, n, 0, n, 1);
        ASSERT_TRUE(tile.ok());
        expect_near(tile->block_max.values(),
                    maps.subspan(static_cast<size_t>(h * n * n), static_cast<size_t>(n * n)), map_bound,
                    variant().maps);
      }
    }
  }
  fixtures::Numbers numbers_;
};

TEST_P(VisionGolden, answers_maps_and_residuals_equal_those_of_transformers) {
  const fixtures::Opened opened = fixtures::open(fixtures::vision_golden(GetParam()).string());
  ASSERT_NE(opened.runner, nullptr);
  const RunRequest request = fixtures::vision_request(opened, numbers_);
  const auto run = fixtures::run(opened, request);
  ASSERT_NE(run, nullptr);
  expect_layers(*run, opened.runner->kernels(), "");
  std::span<const float> answer = numbers_.floats("answer");
  if (answer.empty())
    answer = numbers_.floats("logits").last(static_cast<size_t>(opened.model->spec().n_vocab));
  expect_near(run->capture->last_logits.values(), answer, answer_bound, variant().answers);
  const auto batched = opened.runner->answers(std::vector{request, request}, {});
  ASSERT_TRUE(batched.ok()) << batched.error().to_string();
  expect_near((*batched)[1].values(), answer, answer_bound, variant().answers);
}

TEST_P(VisionGolden, decoding_with_a_cache_goes_on_as_transformers_does) {
  if (!numbers_.has("decoded.ids")) GTEST_SKIP() << "nothing was decoded";
  const fixtures::Opened opened = fixtures::open(fixtures::vision_golden(GetParam()).string());
  ASSERT_NE(opened.runner, nullptr);
  const std::vector<int32_t> theirs = numbers_.ids("decoded.ids");
  SamplingOptions options;
  options.max_tokens = static_cast<int>(theirs.size());
  options.stop_at_eos = false;
  options.keep_logits = true;
  const auto made = opened.runner->generate(fixtures::vision_request(opened, numbers_), options, {}, {});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  const auto n_vocab = static_cast<size_t>(opened.model->spec().n_vocab);
  for (size_t i = 0; i < theirs.size(); ++i) {
    EXPECT_EQ(made->tokens[i].id, theirs[i]);
    expect_near(made->logits[i].values(), numbers_.floats("decoded.logits").subspan(i * n_vocab, n_vocab),
                answer_bound, variant().answers);
  }
}

TEST_P(VisionGolden, texts_of_a_pair_and_their_similarity_equal_those_of_transformers) {
  if (!numbers_.has("similarity")) GTEST_SKIP() << "not a pair";
  const fixtures::Opened opened = fixtures::open(fixtures::vision_golden(GetParam()).string());
  ASSERT_NE(opened.runner, nullptr);
  const auto where = text_tower_of(*opened.model);
  ASSERT_TRUE(where.ok()) << where.error().to_string();
  const fixtures::Opened texts = fixtures::open(*where);
  ASSERT_NE(texts.runner, nullptr);
  const RunRequest request = fixtures::request(texts, numbers_.ids("text.ids"));
  const auto read = fixtures::run(texts, request);
  ASSERT_NE(read, nullptr);
  expect_layers(*read, texts.runner->kernels(), "text.");
  expect_near(read->capture->last_logits.values(), numbers_.floats("text.answer"), answer_bound,
              variant().answers);
  EXPECT_TRUE(read->capture->loss.empty());
  const auto logits =
      text_logits(*opened.model, numbers_.floats("answer"), *texts.runner, {request.tokens}, {});
  ASSERT_TRUE(logits.ok()) << logits.error().to_string();
  const auto logit = static_cast<float>((*logits)[0].logit);
  expect_near({&logit, 1}, numbers_.floats("similarity"), answer_bound, variant().answers);
}

INSTANTIATE_TEST_SUITE_P(Families, VisionGolden, testing::ValuesIn(fixtures::names_of(variants())),
                         [](const auto& info) { return info.param; });

TEST(FamiliesPage, names_every_variant_that_reads_pictures) {
  std::ifstream file(std::string(SACCADE_SOURCE_DIR) + "/core/model/FAMILIES.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const Variant& v : variants())
    EXPECT_THAT(text, testing::HasSubstr("| " + v.name + " | `" + v.model_type + "` |"));
}

}  // namespace
}  // namespace saccade
