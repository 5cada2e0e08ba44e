// A capture made from random q, k and v by the kernels, without a model: several layers, grouped heads,
// knocked-out edges, tokens that are awkward to write down.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/capture/capture.h"
#include "kernels/attention.h"

namespace saccade::fixtures {

inline const KernelSet& kernels() { return kernel_sets().front(); }

inline HostTensor random_tensor(std::vector<int64_t> shape, std::mt19937& random, float spread = 1.0F) {
  std::normal_distribution<float> normal(0.0F, spread);
  HostTensor tensor(std::move(shape), false);
  for (float& value : tensor.mutable_values()) value = normal(random);
  return tensor;
}

inline ModelSpec spec_of(int32_t layers, int32_t heads, int32_t kv_heads) {
  ModelSpec spec;
  spec.family = "llama";
  spec.model_type = "llama";
  spec.n_layer = layers;
  spec.n_head = heads;
  spec.n_kv_head = kv_heads;
  spec.d_head = 8;
  spec.d_model = 24;
  spec.d_mlp = 40;
  spec.n_vocab = 300;
  spec.n_context = 4096;
  spec.norm = NormKind::rms_norm;
  spec.norm_epsilon = 1.0 / 3.0;
  spec.position = PositionKind::rotary;
  spec.rotary.dimensions = 8;
  spec.rotary.scaling = RotaryScaling::llama3;
  spec.rotary.factor = 8.0;
  spec.activation = Activation::silu;
  spec.gated_mlp = true;
  spec.qkv_bias = false;
  spec.attention_scale = 1.0 / std::sqrt(8.0);
  spec.bos_ids = {1};
  spec.weight_dtype = "bfloat16";
  return spec;
}

inline std::vector<Token> awkward_tokens(int64_t n) {
  const std::vector<std::string> texts{"<s>",  " cat", "\xe2", "\x82",   std::string("\0", 1),
                                       "a\\b", "日本", "\n",   "\xff\\", ""};
  std::vector<Token> tokens;
  for (int64_t i = 0; i < n; ++i) {
    const std::string& text = texts[static_cast<size_t>(i) % texts.size()];
    const int64_t begin = i == 0 ? 0 : tokens.back().end;
    tokens.push_back({static_cast<int32_t>(i % 300), text, begin,
                      begin + (i == 0 ? 0 : static_cast<int64_t>(text.size())), i == 0});
  }
  return tokens;
}

inline LayerCapture random_layer(const ModelSpec& spec, int64_t n, std::mt19937& random,
                                 std::vector<std::vector<EdgeRect>> knockouts,
                                 std::vector<HeadPlan> plans = {}) {
  LayerCapture layer;
  layer.resid_pre = random_tensor({n, spec.d_model}, random);
  layer.q = random_tensor({n, spec.n_head, spec.d_head}, random, 2.0F);
  layer.k = random_tensor({n, spec.n_kv_head, spec.d_head}, random, 2.0F);
  layer.knockouts = std::move(knockouts);
  layer.plans = std::move(plans);
  const HostTensor v = random_tensor({n, spec.n_kv_head, spec.d_head}, random);
  HostTensor z({n, spec.n_head, spec.d_head});
  const int64_t d = spec.d_head;
  AttentionInput input;
  input.shape = {n, n, spec.n_head, spec.n_kv_head, d, 0};
  input.mask.knockouts = layer.knockouts;
  input.edits = layer.plans;
  input.scores.scale = static_cast<float>(spec.attention_scale);
  input.q = {layer.q.data(), spec.n_head * d, d};
  input.k = {layer.k.data(), spec.n_kv_head * d, d};
  input.v = {v.data(), spec.n_kv_head * d, d};
  AttentionOutput output;
  output.z = {z.mutable_values().data(), spec.n_head * d, d};
  const auto make = [&](HostTensor& tensor) {
    tensor = HostTensor({spec.n_head, n});
    return tensor.mutable_values().data();
  };
  HeadStatistics& s = layer.statistics;
  output.lse = make(layer.lse);
  output.entropy = make(s.entropy);
  output.max_weight = make(s.max_weight);
  output.sink_mass = make(s.sink_mass);
  output.local_mass = make(s.local_mass);
  output.mean_distance = make(s.mean_distance);
  output.received = make(s.received);
  output.received_max = make(s.received_max);
  s.max_key.resize(static_cast<size_t>(spec.n_head * n));
  output.max_key = s.max_key.data();
  std::vector<float*> row_factors(layer.plans.size(), nullptr);
  layer.row_factors.resize(layer.plans.size());
  for (size_t h = 0; h < layer.plans.size(); ++h)
    if (const int64_t count = row_factor_count(layer.plans[h]); count > 0) {
      layer.row_factors[h] = HostTensor({count, n});
      row_factors[h] = layer.row_factors[h].mutable_values().data();
    }
  output.row_factors = row_factors;
  const auto done = kernels().forward(input, output, serial());
  EXPECT_TRUE(done.ok()) << done.error().to_string();
  return layer;
}

inline std::shared_ptr<Capture> random_capture(int64_t n = 70, int32_t layers = 3, int32_t heads = 4,
                                               int32_t kv_heads = 2, double sharpness = 1.0) {
  std::mt19937 random(7);
  auto capture = std::make_shared<Capture>();
  capture->spec = spec_of(layers, heads, kv_heads);
  capture->spec.attention_scale *= sharpness;
  const ModelSpec& spec = capture->spec;
  capture->tokens = awkward_tokens(n);
  capture->sink_keys = 2;
  capture->local_width = 5;
  for (int32_t l = 0; l < layers; ++l) {
    std::vector<std::vector<EdgeRect>> knockouts;
    if (l == 1) {
      knockouts.resize(static_cast<size_t>(heads));
      knockouts.back() = {{n / 2, n / 2 + 2, 0, n}, {5, 9, 3, 4}};  // the first leaves rows without keys
    }
    capture->layers.push_back(
        std::make_shared<LayerCapture>(random_layer(spec, n, random, std::move(knockouts))));
  }
  capture->final_resid = random_tensor({n, spec.d_model}, random);
  capture->last_logits = random_tensor({spec.n_vocab}, random, 4.0F);
  for (int64_t i = 0; i + 1 < n; ++i) capture->loss.push_back(static_cast<float>(i) * 0.25F);
  const SiteRef z{HookSite::z, 0}, embed{HookSite::embed, -1}, mid{HookSite::resid_mid, layers - 1};
  for (const SiteRef& site : {z, embed, mid})
    capture->sites[site] = random_tensor(shape_of(site.site, spec, n), random);
  Provenance& p = capture->provenance;
  p = {"0123456789abcdef0123456789abcdef",
       "little",
       "/models/li\xfftle",  // a path may be any bytes
       "digest",
       {"zero 2.3", "# scale 0.* by=0.5"},
       std::string("Lily \xe2\x86\x92 a\0b", 12),
       kernels().name,
       "f32",
       "cpu",
       "saccade 0.1.0",
       "2025-01-02T03:04:05Z",
       0.125};
  return capture;
}

// A folder of this test's own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "saccade-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace saccade::fixtures
