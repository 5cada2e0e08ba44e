// The forward pass against Transformers' own numbers (tests/data/make_goldens.py wrote them).
#include <gtest/gtest.h>

#include <cmath>

#include "core/capture/attention_map.h"
#include "tests/core/run/fixtures.h"

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

class Golden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::filesystem::path folder = fixtures::golden(GetParam());
    opened_ = fixtures::open(folder.string());
    auto file = Checkpoint::open(folder / "expected.safetensors");
    ASSERT_TRUE(file.ok()) << file.error().to_string();
    expected_.file = *file;
    ASSERT_NE(opened_.runner, nullptr);
  }
  fixtures::Opened opened_;
  Expected expected_;
};

TEST_P(Golden, last_logits_and_losses_equal_those_of_transformers) {
  const std::vector<int32_t> ids = expected_.ids();
  const auto run = fixtures::run(opened_, fixtures::request(opened_, ids));
  ASSERT_NE(run, nullptr);
  const std::span<const float> logits = expected_.floats("logits");
  const auto vocab = static_cast<size_t>(opened_.model->spec().n_vocab);
  ASSERT_EQ(logits.size(), ids.size() * vocab);
  for (size_t i = 0; i < vocab; ++i)
    ASSERT_NEAR(run->capture->last_logits.values()[i], logits[(ids.size() - 1) * vocab + i], logit_bound);
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
      for (int64_t i = 0; i < n * n; ++i)
        ASSERT_NEAR(tile->block_max.values()[static_cast<size_t>(i)],
                    attention[static_cast<size_t>(h * n * n + i)], map_bound)
            << "head " << l << "." << h << " query " << i / n << " key " << i % n;
    }
    const std::span<const float> hidden = expected_.floats("hidden." + std::to_string(l));
    const std::span<const float> ours = run->capture->layers[static_cast<size_t>(l)]->resid_pre.values();
    ASSERT_EQ(hidden.size(), ours.size());
    for (size_t i = 0; i < hidden.size(); ++i) ASSERT_NEAR(ours[i], hidden[i], logit_bound);
  }
}

TEST_P(Golden, decoding_with_a_cache_equals_a_run_over_the_whole_text) {
  std::vector<int32_t> ids = expected_.ids();
  ids.resize(8);
  SamplingOptions options;
  options.max_tokens = 10;
  options.stop_at_eos = false;
  auto generation = opened_.runner->generate(fixtures::request(opened_, ids), options, {}, {});
  ASSERT_TRUE(generation.ok()) << generation.error().to_string();
  ASSERT_EQ(generation->tokens.size(), 10u);
  for (const Token& token : generation->tokens) {
    const auto run = fixtures::run(opened_, fixtures::request(opened_, ids));
    const std::vector<NextToken> next = top_next(run->capture->last_logits, opened_.model->tokenizer(), 1);
    ASSERT_EQ(token.id, next[0].id) << "after " << ids.size() << " tokens";
    ids.push_back(token.id);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Golden,
                         testing::Values("gpt2", "llama_llama3_rope", "llama_linear_rope_biases"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace saccade
