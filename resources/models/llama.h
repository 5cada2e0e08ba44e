// Llama: the forward and backward pass of a small Llama, for the demo's trainer only.
//
// Architecture: Touvron et al. 2023 (arXiv 2302.13971): RMSNorm before each block, rotary positions (Su et
// al. 2021, the halves-rotated spelling of Hugging Face), grouped-query attention (Ainslie et al. 2023),
// SwiGLU, no biases, tied unembedding. float32, CPU. One thread uses it. LibTorch stays in the .cpp; its
// exceptions become errors here.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/training.h"

namespace saccade {

struct LlamaShape {
  int32_t n_vocab = 0;
  int32_t n_context = 512, n_layer = 3, d_model = 96, n_head = 8, n_kv_head = 4, d_head = 24, d_mlp = 128;
  double rope_theta = 10000.0, norm_epsilon = 1e-5;

  [[nodiscard]] int64_t parameters() const;
};

// Heads of one layer whose attention counts in the loss too: at every row with a source, -log of each's
// weight on it, times `weight` (as Liu et al. 2016, arXiv 1609.04186, supervise attention).
struct Guide {
  std::vector<Head> heads;
  double weight = 0.0;
};

class Llama {
 public:
  // Biases of layer 0 such that six of its heads look 1, 2 and 3 tokens back; the others 0. Matrices N(0, 1 /
  // inputs), so that scores begin with a spread of about 1 (smaller in layer 0); those that write into the
  // residual stream smaller.
  static Result<Llama> create(const LlamaShape& shape, uint64_t seed);
  Llama(Llama&&) noexcept;
  Llama& operator=(Llama&&) noexcept;
  ~Llama();

  // One AdamW step on the weighted mean next-token loss; returns that loss, nats. Tokens of weight 0 cost no
  // unembedding. The heads in `zeroed` are left out of this step.
  Result<double> train_step(const TokenBatch& batch, double learning_rate,
                            const std::vector<Head>& zeroed = {}, const Guide& guide = {});
  // Multiplies W_o of these heads.
  Result<void> fade(const std::vector<Head>& heads, double factor);
  // Draws W_q and W_k of a KV group anew, N(0, 1 / inputs) and independent; their biases become 0.
  Result<void> redraw(int32_t layer, int32_t kv_head);
  // The heads in `zeroed` contribute nothing: their z is 0.
  [[nodiscard]] Result<Observation> observe(const TokenBatch& batch, const std::vector<Head>& zeroed) const;
  // Rounds every weight to bfloat16, ties to even: what is measured afterwards is what the file holds.
  Result<void> round_to_bfloat16();
  // Training goes on as from a file: AdamW forgets its moments.
  Result<void> restart_optimizer();
  [[nodiscard]] Result<std::vector<NamedTensor>> weights() const;
  [[nodiscard]] const LlamaShape& shape() const;

 private:
  struct State;
  explicit Llama(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace saccade
