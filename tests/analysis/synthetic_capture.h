// Captures for tests without a model: from random q and k, or from wanted attention patterns. What a run
// would keep (lse, statistics) is computed by the kernels themselves.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/capture/capture.h"
#include "kernels/attention.h"

namespace saccade::synthetic {

using Pattern = std::vector<std::vector<double>>;  // row i holds the weights of keys 0..i, summing to 1

inline std::vector<Token> tokens_of(const std::vector<std::string>& texts) {
  std::vector<Token> tokens;
  for (const std::string& text : texts) {
    int32_t id = 0;  // equal texts get equal ids
    while (id < static_cast<int32_t>(tokens.size()) && tokens[static_cast<size_t>(id)].text != text) ++id;
    Token token;
    token.id = id;
    token.text = text;
    tokens.push_back(token);
  }
  return tokens;
}

// Runs the forward kernel over the layer's q and k and keeps lse and statistics, as a run does.
inline void fill_statistics(LayerCapture& layer, const Capture& capture) {
  const int64_t n = capture.n_token(), heads = capture.spec.n_head, d = capture.spec.d_head;
  const HostTensor v({n, heads, d});
  HostTensor z({n, heads, d});
  layer.lse = HostTensor({heads, n});
  HeadStatistics& kept = layer.statistics;
  for (HostTensor* tensor : {&kept.entropy, &kept.max_weight, &kept.sink_mass, &kept.local_mass,
                             &kept.mean_distance, &kept.received, &kept.received_max})
    *tensor = HostTensor({heads, n});
  kept.max_key.assign(static_cast<size_t>(heads * n), -1);
  AttentionInput input;
  input.shape = {n, n, heads, heads, d, 0};
  input.mask.knockouts = layer.knockouts;
  input.edits = layer.plans;
  input.scores.scale = static_cast<float>(capture.spec.attention_scale);
  input.q = {layer.q.data(), heads * d, d};
  input.k = {layer.k.data(), heads * d, d};
  input.v = {v.data(), heads * d, d};
  AttentionOutput output;
  output.z = {z.mutable_values().data(), heads * d, d};
  output.lse = layer.lse.mutable_values().data();
  output.entropy = kept.entropy.mutable_values().data();
  output.max_weight = kept.max_weight.mutable_values().data();
  output.max_key = kept.max_key.data();
  output.sink_mass = kept.sink_mass.mutable_values().data();
  output.local_mass = kept.local_mass.mutable_values().data();
  output.mean_distance = kept.mean_distance.mutable_values().data();
  output.received = kept.received.mutable_values().data();
  output.received_max = kept.received_max.mutable_values().data();
  std::vector<float*> factors;
  layer.row_factors.clear();
  for (const HeadPlan& plan : layer.plans) {
    layer.row_factors.emplace_back(std::vector<int64_t>{row_factor_count(plan), n});
    HostTensor& made = layer.row_factors.back();
    factors.push_back(made.empty() ? nullptr : made.mutable_values().data());
  }
  output.row_factors = factors;
  output.sink_keys = capture.sink_keys;
  output.local_width = capture.local_width;
  const auto done = kernel_sets().front().forward(input, output, serial());
  ASSERT_TRUE(done.ok()) << done.error().to_string();
}

inline std::shared_ptr<Capture> empty_capture(const std::vector<std::string>& texts, int32_t layers,
                                              int32_t heads, int32_t d_head) {
  auto capture = std::make_shared<Capture>();
  capture->provenance = {.request = "0123456789abcdef0123456789abcdef",
                         .model_name = "synthetic",
                         .model_where = "nowhere",
                         .model_digest = "00",
                         .edits = {},
                         .prompt = "a <prompt> & \"more\"",
                         .kernels = kernel_sets().front().name,
                         .dtype = "f32",
                         .device = "cpu",
                         .program = "saccade test",
                         .created = "2026-01-02T03:04:05Z",
                         .seconds = 0.25};
  capture->spec.n_layer = layers;
  capture->spec.n_head = capture->spec.n_kv_head = heads;
  capture->spec.d_head = d_head;
  capture->spec.d_model = heads * d_head;
  capture->spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(d_head));
  capture->tokens = tokens_of(texts);
  return capture;
}

// q and k normal with the given spread (large = peaked attention), the same for the same seed.
inline std::shared_ptr<Capture> random_capture(const std::vector<std::string>& texts, int32_t layers,
                                               int32_t heads, uint32_t seed, float spread = 1.0F) {
  auto capture = empty_capture(texts, layers, heads, 8);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, spread);
  for (int32_t l = 0; l < layers; ++l) {
    auto layer = std::make_shared<LayerCapture>();
    for (HostTensor* tensor : {&layer->q, &layer->k}) {
      *tensor = HostTensor({capture->n_token(), heads, 8});
      for (float& value : tensor->mutable_values()) value = normal(random);
    }
    fill_statistics(*layer, *capture);
    capture->layers.push_back(layer);
  }
  return capture;
}

// One layer whose heads have exactly these patterns: q is one-hot in the row, k_j[i] = ln A[i][j].
inline std::shared_ptr<Capture> capture_of(const std::vector<std::string>& texts,
                                           const std::vector<Pattern>& heads) {
  const auto n = static_cast<int64_t>(texts.size());
  const auto count = static_cast<int64_t>(heads.size());
  auto capture = empty_capture(texts, 1, static_cast<int32_t>(count), static_cast<int32_t>(n));
  capture->spec.attention_scale = 1.0;
  auto layer = std::make_shared<LayerCapture>();
  layer->q = HostTensor({n, count, n});
  layer->k = HostTensor({n, count, n});
  for (int64_t h = 0; h < count; ++h)
    for (int64_t i = 0; i < n; ++i) {
      layer->q.mutable_values()[static_cast<size_t>((i * count + h) * n + i)] = 1.0F;
      for (int64_t j = 0; j <= i; ++j) {
        const double weight = heads[static_cast<size_t>(h)][static_cast<size_t>(i)][static_cast<size_t>(j)];
        layer->k.mutable_values()[static_cast<size_t>((j * count + h) * n + i)] =
            static_cast<float>(std::log(std::max(weight, 1e-30)));
      }
    }
  fill_statistics(*layer, *capture);
  capture->layers.push_back(layer);
  return capture;
}

inline std::vector<std::string> words(int count) {
  std::vector<std::string> texts{"<s>"};
  for (int i = 1; i < count; ++i) texts.push_back(" w" + std::to_string(i));
  return texts;
}

}  // namespace saccade::synthetic
