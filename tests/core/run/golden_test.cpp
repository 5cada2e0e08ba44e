// The forward pass against Transformers' own numbers (tests/data/make_goldens.py wrote them).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/capture/attention_map.h"
#include "tests/core/run/fixtures.h"
#include "tests/core/run/golden_page.h"

namespace saccade {
namespace {

// Bounds for float32 at these sizes: the project's rule for goldens.
constexpr double logit_bound = 1e-4;
constexpr double map_bound = 1e-5;

struct Expected {
  std::shared_ptr<const Checkpoint> file;
  [[nodiscard]] std::span<const float> floats(const std::string& name) const {
    const TensorView* tensor = file->find(name);
    if (!tensor) return {};
    return {reinterpret_cast<const float*>(tensor->data), static_cast<size_t>(tensor->elements())};
  }
  [[nodiscard]] std::vector<int32_t> ids() const {
    const TensorView* tensor = file->find("ids");
    const auto* values = reinterpret_cast<const int64_t*>(tensor->data);
    return {values, values + tensor->elements()};
  }
};

// A variant of tests/data/goldens/index.json, and how far we are from it.
struct Variant {
  std::string name, model_type, special;
  double logits = 0.0, maps = 0.0, residuals = 0.0, decoding = 0.0;
};

std::vector<Variant>& variants() {
  static std::vector<Variant> list = fixtures::variants_in<Variant>(fixtures::golden("index.json"));
  return list;
}

using fixtures::rounded_up;

// Writes the page of measured differences beside the build; scripts/update_families.sh copies it to
// core/model/FAMILIES.md.
class Page : public testing::Environment {
 public:
  void TearDown() override {
    std::ofstream page(std::string(SACCADE_BINARY_DIR) + "/FAMILIES.md");
    page << "# Families, and how far their numbers are from Transformers'\n\n"
            "Tiny random models (tests/data/make_goldens.py), 24 tokens, float32, eager attention of "
            "Transformers 5.23. "
            "The largest\ndifferences of logits, of every attention map and of the residual that enters each "
            "layer, "
            "rounded up to one digit;\nand of the logits of decoding with a cache from 5 to 30 tokens to "
            "those "
            "of runs over the whole text. Bounds: logits 1e-4, maps\n1e-5. Written by core_run_tests; "
            "scripts/update_families.sh puts it here.\n\n"
            "| variant | `model_type` | what is special | logits | maps | residuals | decoding |\n"
            "| --- | --- | --- | --- | --- | --- | --- |\n";
    for (const Variant& v : variants())
      page << fmt::format("| {} | `{}` | {} | {} | {} | {} | {} |\n", v.name, v.model_type, v.special,
                          rounded_up(v.logits), rounded_up(v.maps), rounded_up(v.residuals),
                          v.decoding > 0.0 ? rounded_up(v.decoding) : "-");
  }
};
const testing::Environment* const page = testing::AddGlobalTestEnvironment(new Page);

class Golden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::filesystem::path folder = fixtures::golden(GetParam());
    opened_ = fixtures::open(folder.string());
    auto file = Checkpoint::open(folder / "expected.safetensors");
    ASSERT_TRUE(file.ok()) << file.error().to_string();
    expected_.file = *file;
    ASSERT_NE(opened_.runner, nullptr);
  }
  Variant& variant() const {
    return *std::find_if(variants().begin(), variants().end(),
                         [](const Variant& v) { return v.name == GetParam(); });
  }
  // Row i of the recorded logits is the answer to the first i + 1 tokens.
  void expect_equal_answers_of_every_beginning(const std::vector<int32_t>& ids,
                                               std::span<const float> logits) {
    std::vector<RunRequest> beginnings;
    for (size_t n = 1; n <= ids.size(); ++n)
      beginnings.push_back(
          fixtures::request(opened_, {ids.begin(), ids.begin() + static_cast<ptrdiff_t>(n)}));
    const auto answers = opened_.runner->answers(beginnings, {});
    ASSERT_TRUE(answers.ok()) << answers.error().to_string();
    for (size_t row = 0; row < ids.size(); ++row) {
      const std::span<const float> ours = (*answers)[row].values();
      for (size_t i = 0; i < ours.size(); ++i) {
        const double difference = std::abs(static_cast<double>(ours[i]) - logits[row * ours.size() + i]);
        variant().logits = std::max(variant().logits, difference);
        ASSERT_LE(difference, logit_bound) << "token " << row << ", logit " << i;
      }
    }
  }
  // Whether the beginning of a longer text is computed otherwise than the same text alone.
  static bool depends_on_length(const ModelSpec& spec) {
    return spec.rotary.scaling == RotaryScaling::dynamic || spec.rotary.scaling == RotaryScaling::longrope;
  }
  fixtures::Opened opened_;
  Expected expected_;
};

TEST_P(Golden, logits_and_losses_equal_those_of_transformers) {
  const std::vector<int32_t> ids = expected_.ids();
  const auto run = fixtures::run(opened_, fixtures::request(opened_, ids));
  ASSERT_NE(run, nullptr);
  const std::span<const float> logits = expected_.floats("logits");
  const auto vocab = static_cast<size_t>(opened_.model->spec().n_logits());
  ASSERT_EQ(logits.size(), ids.size() * vocab);
  size_t answer = ids.size() - 1;
  while (ids[answer] == opened_.model->spec().padding_id) --answer;
  for (size_t i = 0; i < vocab; ++i) {
    const double theirs = logits[answer * vocab + i], ours = run->capture->last_logits.values()[i];
    variant().logits = std::max(variant().logits, std::abs(ours - theirs));
    ASSERT_NEAR(ours, theirs, logit_bound);
  }
  if (!opened_.model->spec().predicts_next_token()) {
    EXPECT_TRUE(run->capture->loss.empty());
    return;
  }
  if (!depends_on_length(opened_.model->spec())) expect_equal_answers_of_every_beginning(ids, logits);
  for (size_t row = 0; row + 1 < ids.size(); ++row) {
    double sum = 0.0;
    for (size_t i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(logits[row * vocab + i]));
    const double loss = std::log(sum) - logits[row * vocab + static_cast<size_t>(ids[row + 1])];
    ASSERT_NEAR(run->capture->loss[row], loss, logit_bound);
  }
}

TEST_P(Golden, every_regenerated_map_and_every_residual_equal_those_of_transformers) {
  const std::vector<int32_t> ids = expected_.ids();
  const auto n = static_cast<int64_t>(ids.size());
  const auto run = fixtures::run(opened_, fixtures::request(opened_, ids));
  ASSERT_NE(run, nullptr);
  const ModelSpec& spec = opened_.model->spec();
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const std::span<const float> attention = expected_.floats("attn." + std::to_string(l));
    ASSERT_EQ(attention.size(), static_cast<size_t>(spec.n_head * n * n));
    for (int32_t h = 0; h < spec.n_head; ++h) {
      auto map = AttentionMap::of(run->capture, {LayerIndex{l}, HeadIndex{h}}, opened_.runner->kernels());
      ASSERT_TRUE(map.ok());
      auto tile = map->tile(0, n, 0, n, 1);
      ASSERT_TRUE(tile.ok());
      for (int64_t i = 0; i < n * n; ++i) {
        const double ours_at = tile->block_max.values()[static_cast<size_t>(i)];
        const double theirs = attention[static_cast<size_t>(h * n * n + i)];
        variant().maps = std::max(variant().maps, std::abs(ours_at - theirs));
        ASSERT_NEAR(ours_at, theirs, map_bound)
            << "head " << l << "." << h << " query " << i / n << " key " << i % n;
      }
    }
    const std::span<const float> hidden = expected_.floats("hidden." + std::to_string(l));
    const std::span<const float> ours = run->capture->layers[static_cast<size_t>(l)]->resid_pre.values();
    ASSERT_EQ(hidden.size(), ours.size());
    for (size_t i = 0; i < hidden.size(); ++i) {
      variant().residuals = std::max(variant().residuals, std::abs(static_cast<double>(ours[i]) - hidden[i]));
      ASSERT_NEAR(ours[i], hidden[i], logit_bound);
    }
  }
}

// From 5 tokens to 30: past the window of 8 and the original context of 16 that variants have.
TEST_P(Golden, decoding_with_a_cache_equals_a_run_over_the_whole_text) {
  std::vector<int32_t> ids = expected_.ids();
  ids.resize(5);
  SamplingOptions options;
  options.max_tokens = 25;
  options.stop_at_eos = false;
  options.keep_logits = true;
  auto generation = opened_.runner->generate(fixtures::request(opened_, ids), options, {}, {});
  if (!opened_.model->spec().causal) {
    ASSERT_FALSE(generation.ok());
    EXPECT_THAT(generation.error().message, testing::HasSubstr("does not generate"));
    return;
  }
  ASSERT_TRUE(generation.ok()) << generation.error().to_string();
  ASSERT_EQ(generation->tokens.size(), 25u);
  ASSERT_EQ(generation->logits.size(), 25u);
  for (size_t step = 0; step < generation->tokens.size(); ++step) {
    const auto run = fixtures::run(opened_, fixtures::request(opened_, ids));
    ASSERT_NE(run, nullptr);
    const std::span<const float> cached = generation->logits[step].values(),
                                 whole = run->capture->last_logits.values();
    ASSERT_EQ(cached.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      variant().decoding = std::max(variant().decoding, std::abs(static_cast<double>(cached[i]) - whole[i]));
      ASSERT_NEAR(cached[i], whole[i], logit_bound) << "after " << ids.size() << " tokens";
    }
    ids.push_back(generation->tokens[step].id);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Golden, testing::ValuesIn(fixtures::names_of(variants())),
                         [](const auto& info) { return info.param; });

TEST(FamiliesPage, names_every_variant_that_is_tested) {
  std::ifstream file(std::string(SACCADE_SOURCE_DIR) + "/core/model/FAMILIES.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const Variant& v : variants())
    EXPECT_THAT(page, testing::HasSubstr("| " + v.name + " | `" + v.model_type + "` |"));
}

}  // namespace
}  // namespace saccade
