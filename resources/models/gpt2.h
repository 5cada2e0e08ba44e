// Gpt2: the forward and backward pass of a small GPT-2, for the demo's trainer only.
//
// Architecture: Radford et al. 2019: learned positions, pre-LayerNorm, tanh GELU, tied unembedding. float32,
// CPU. One thread uses it. LibTorch stays in the .cpp; its exceptions become errors here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct Gpt2Shape {
  int32_t n_vocab = 0;
  int32_t n_context = 256, n_layer = 3, d_model = 96, n_head = 4, d_mlp = 192;

  [[nodiscard]] int32_t d_head() const { return d_model / n_head; }
};

// Texts of one length, one after the other: [text, position].
struct TokenBatch {
  std::vector<int32_t> ids;
  std::vector<float> weight;  // what foretelling this token counts in the loss; only for training
  int32_t length = 0;

  [[nodiscard]] int32_t texts() const { return static_cast<int32_t>(ids.size()) / length; }
};

struct NamedTensor {
  std::string name;  // as in a Hugging Face checkpoint
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// What a batch looks like from inside.
struct Observation {
  std::vector<float> log_prob;       // of each next token, nats, [text, position of the token predicted - 1]
  std::vector<float> last_log_prob;  // over the vocabulary at the last position, nats, [text, vocabulary]
  std::vector<float> pattern;        // [layer, text, head, query, key]
};

struct Head {
  int32_t layer = 0, head = 0;
  auto operator<=>(const Head&) const = default;
};

class Gpt2 {
 public:
  // Weights N(0, 0.02) (residual projections smaller by sqrt(2 n_layer)); the position table begins as
  // sinusoids (Vaswani et al. 2017), so that neighbouring positions are related before any training.
  static Result<Gpt2> create(const Gpt2Shape& shape, uint64_t seed);
  Gpt2(Gpt2&&) noexcept;
  Gpt2& operator=(Gpt2&&) noexcept;
  ~Gpt2();

  // One AdamW step on the weighted mean next-token loss; returns that loss, nats.
  Result<double> train_step(const TokenBatch& batch, double learning_rate);
  // The heads in `zeroed` contribute nothing: their z is 0.
  [[nodiscard]] Result<Observation> observe(const TokenBatch& batch, const std::vector<Head>& zeroed) const;
  [[nodiscard]] Result<std::vector<NamedTensor>> weights() const;
  [[nodiscard]] const Gpt2Shape& shape() const;

 private:
  struct State;
  explicit Gpt2(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace saccade
