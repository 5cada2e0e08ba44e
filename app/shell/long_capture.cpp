#include "app/shell/long_capture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace saccade {
namespace {

constexpr int64_t d_head = 64, n_head = 2;
// What the dimensions of a head are about.
constexpr int64_t word_dims = 32, place_dims = 16, chapter_dims = 8, sink_dim = 56, noise_from = 57;

// How strongly a head listens to each, in score units (after 1 / sqrt(d_head)).
struct Taste {
  double word, place, chapter, sink;
  bool after_same_word;  // keys carry the word before them
};
constexpr std::array<Taste, n_head> tastes{{{14.0, 2.0, 1.0, 10.0, true}, {2.0, 10.0, 4.0, 11.0, false}}};

// A different draw for every (what, index), from nothing but the two.
std::mt19937_64 draw(uint64_t what, int64_t index) {
  return std::mt19937_64(what * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(index));
}

// The text: a passage, then the same passage with every sixteenth word another, and so on.
std::vector<int64_t> make_words(int64_t n) {
  const int64_t passage = std::max<int64_t>(8, n / 6);
  std::vector<int64_t> words(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const bool fresh = i < passage || draw(1, i)() % 16 == 0;
    words[static_cast<size_t>(i)] = fresh ? i : words[static_cast<size_t>(i - passage)];
  }
  return words;
}

int64_t chapter_of(int64_t position) { return position / 1500; }

// A vector of +-1 over `count` dimensions, scaled so that two equal ones score `strength`.
void put_code(uint64_t what, int64_t index, int64_t count, double strength, float* to) {
  std::mt19937_64 bits = draw(what, index);
  const double size =
      std::sqrt(strength * std::sqrt(static_cast<double>(d_head)) / static_cast<double>(count));
  for (int64_t x = 0; x < count; ++x) to[x] = static_cast<float>(bits() & 1 ? size : -size);
}

void put_place(int64_t position, double strength, float* to) {
  constexpr int64_t waves = place_dims / 2;
  const double size = std::sqrt(strength * std::sqrt(static_cast<double>(d_head)) / waves);
  for (int64_t w = 0; w < waves; ++w) {
    const double angle = static_cast<double>(position) * std::pow(0.45, static_cast<double>(w));
    to[2 * w] = static_cast<float>(size * std::cos(angle));
    to[2 * w + 1] = static_cast<float>(size * std::sin(angle));
  }
}

void put_row(const Taste& taste, int64_t position, int64_t word, bool sink, uint64_t noise, float* to) {
  put_code(2, word, word_dims, taste.word, to);
  put_place(position, taste.place, to + word_dims);
  put_code(3, chapter_of(position) % 7, chapter_dims, taste.chapter, to + word_dims + place_dims);
  to[sink_dim] =
      sink ? static_cast<float>(std::sqrt(taste.sink * std::sqrt(static_cast<double>(d_head)))) : 0.0f;
  std::mt19937_64 generator = draw(noise, position);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  for (int64_t x = noise_from; x < d_head; ++x) to[x] = normal(generator);
}

std::vector<Token> make_tokens(const std::vector<int64_t>& words) {
  constexpr std::array texts{" the",  " sea",   " was",   " calm", " and",  " a",    " ship", " came",
                             " slow", " under", " grey",  " sky",  " with", " no",   " one",  " aboard",
                             " to",   " say",   " where", " it",   " had",  " been", " all",  " winter"};
  std::vector<Token> tokens(words.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i].id = static_cast<int32_t>(words[i]);
    tokens[i].text = texts[draw(4, words[i])() % texts.size()];
  }
  tokens.front().text = "<|endoftext|>";
  tokens.front().special = true;
  return tokens;
}

ModelSpec make_spec(int64_t n) {
  ModelSpec spec;
  spec.family = spec.model_type = "long-capture";
  spec.n_layer = 1;
  spec.n_head = spec.n_kv_head = n_head;
  spec.d_head = d_head;
  spec.d_model = n_head * d_head;
  spec.n_vocab = spec.n_context = static_cast<int32_t>(n);
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(d_head));
  return spec;
}

}  // namespace

Result<std::shared_ptr<const Capture>> make_long_capture(int64_t n, const KernelSet& kernels,
                                                         const Parallel& parallel) {
  auto capture = std::make_shared<Capture>();
  const std::vector<int64_t> words = make_words(n);
  capture->spec = make_spec(n);
  capture->tokens = make_tokens(words);
  capture->provenance.request = "long-capture";
  capture->provenance.kernels = kernels.name;
  auto layer = std::make_shared<LayerCapture>();
  layer->q = HostTensor({n, n_head, d_head});
  layer->k = HostTensor({n, n_head, d_head});
  layer->lse = HostTensor({n_head, n});
  float *q = layer->q.mutable_values().data(), *k = layer->k.mutable_values().data();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t h = 0; h < n_head; ++h, q += d_head, k += d_head) {
      const Taste& taste = tastes[static_cast<size_t>(h)];
      const int64_t key_word =
          words[static_cast<size_t>(taste.after_same_word ? std::max<int64_t>(i - 1, 0) : i)];
      put_row(taste, i, words[static_cast<size_t>(i)], true, 5, q);
      put_row(taste, i, key_word, i == 0, 6, k);
    }
  HeadStatistics& statistics = layer->statistics;
  for (HostTensor* rows :
       {&statistics.entropy, &statistics.max_weight, &statistics.sink_mass, &statistics.local_mass,
        &statistics.mean_distance, &statistics.received, &statistics.received_max})
    *rows = HostTensor({n_head, n});
  statistics.max_key.resize(static_cast<size_t>(n_head * n));
  AttentionInput input;
  input.shape = {n, n, n_head, n_head, d_head, 0};
  input.scores.scale = static_cast<float>(capture->spec.attention_scale);
  input.q = input.k = input.v = {layer->k.data(), n_head * d_head, d_head};
  input.q.data = layer->q.data();
  HostTensor z({n, n_head, d_head});
  AttentionOutput output;
  output.z = {z.mutable_values().data(), n_head * d_head, d_head};
  output.lse = layer->lse.mutable_values().data();
  output.entropy = statistics.entropy.mutable_values().data();
  output.max_weight = statistics.max_weight.mutable_values().data();
  output.max_key = statistics.max_key.data();
  output.sink_mass = statistics.sink_mass.mutable_values().data();
  output.local_mass = statistics.local_mass.mutable_values().data();
  output.mean_distance = statistics.mean_distance.mutable_values().data();
  output.received = statistics.received.mutable_values().data();
  output.received_max = statistics.received_max.mutable_values().data();
  SACCADE_CHECK(kernels.forward(input, output, parallel));
  capture->layers.push_back(std::move(layer));
  return std::shared_ptr<const Capture>(std::move(capture));
}

}  // namespace saccade
