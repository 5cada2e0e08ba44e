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
#include "resources/models/training.h"

namespace saccade {

struct Gpt2Shape {
  int32_t n_vocab = 0;
  int32_t n_context = 256, n_layer = 3, d_model = 96, n_head = 4, d_mlp = 192;

  [[nodiscard]] int32_t d_head() const { return d_model / n_head; }
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
