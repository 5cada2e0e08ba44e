// LlamaDecoder: the forward pass of a small Llama with gradients, for the trainers (llama.h says what it is).
// What goes in are rows, so that pictures can stand among words.
//
// Includes LibTorch: only for .cpp files that include it anyway.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "resources/models/llama.h"
#include "resources/models/torch_bridge.h"

namespace saccade {

struct LlamaRotation {
  torch::Tensor cosine, sine;  // [position, 1, d_head]
};

class LlamaDecoder {
 public:
  // Appends its weights to `named`, under names that begin with `prefix`.
  LlamaDecoder(const LlamaShape& shape, const std::string& prefix, NamedWeights& named);

  [[nodiscard]] const torch::Tensor& embed() const { return embed_; }          // [vocabulary, d_model], tied
  [[nodiscard]] const LlamaRotation& positions() const { return positions_; }  // 0 to n_context - 1
  // rows x [text, position, d_model] -> the final norm's output [text * position, d_model]. `mask` [n, n] is
  // added to the scores of every part of n rows in a row; `here` holds the rotations of one text's positions;
  // `kept` [layer, head], where defined, multiplies z; `patterns` receives a [text, head, query, key] of each
  // layer and wants parts of one text.
  [[nodiscard]] torch::Tensor forward(torch::Tensor x, const torch::Tensor& mask, const LlamaRotation& here,
                                      const torch::Tensor& kept = {},
                                      std::vector<torch::Tensor>* patterns = nullptr) const;
  // W_o of a head, [d_model, d_head], and the queries, keys and their biases of a KV group: views.
  [[nodiscard]] torch::Tensor write_of(const Head& head) const;
  struct Group {
    torch::Tensor q, k, q_bias, k_bias;
  };
  [[nodiscard]] Group group(int32_t layer, int32_t kv_head) const;

 private:
  struct Layer {
    torch::Tensor norm1, q, k, v, o, norm2, gate, up, down;  // matrices are [out, in]
    torch::Tensor q_bias, k_bias, v_bias, o_bias;
  };
  void make_layer(int32_t index, const std::string& prefix, NamedWeights& named);
  [[nodiscard]] torch::Tensor norm(const torch::Tensor& x, const torch::Tensor& weight) const;
  [[nodiscard]] torch::Tensor attend_part(const torch::Tensor& q, const torch::Tensor& k,
                                          const torch::Tensor& v, const torch::Tensor& mask,
                                          std::vector<torch::Tensor>* patterns) const;
  [[nodiscard]] torch::Tensor attend(const Layer& layer, const torch::Tensor& x, const torch::Tensor& mask,
                                     const LlamaRotation& here, const torch::Tensor& kept,
                                     torch::Tensor* pattern) const;
  [[nodiscard]] torch::Tensor mlp(const Layer& layer, const torch::Tensor& x) const;

  LlamaShape shape_;
  torch::Tensor embed_, final_norm_;
  LlamaRotation positions_;
  std::vector<Layer> layers_;
};

}  // namespace saccade
