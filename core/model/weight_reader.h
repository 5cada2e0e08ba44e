// WeightReader: the matrices of single heads and the unembedding as float32, whatever layout and dtype the
// checkpoint has. For analysis: small pieces, read when asked for, copied; the forward pass has its own views
// (model_weights.h).
//
// Row-vector convention, y = x W: query, key, value are [d_model, d_head]; output is [d_head, d_model].
// Weights are as stored: norms are not folded in. Thread: any.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/host_tensor.h"
#include "core/base/ids.h"
#include "core/model/model.h"

namespace saccade {

class WeightReader {
 public:
  explicit WeightReader(std::shared_ptr<const Model> model) : model_(std::move(model)) {}

  [[nodiscard]] HostTensor query(HeadId head) const;
  [[nodiscard]] HostTensor key(HeadId head) const;    // of the KV head that this query head reads
  [[nodiscard]] HostTensor value(HeadId head) const;  // likewise
  [[nodiscard]] HostTensor output(HeadId head) const;
  [[nodiscard]] HostTensor value_bias(HeadId head) const;     // [d_head]; empty without
  [[nodiscard]] HostTensor output_bias(int32_t layer) const;  // [d_model]; empty without
  [[nodiscard]] HostTensor norm1_weight(
      int32_t layer) const;                            // [d_model], the spec's offset added; ones without
  [[nodiscard]] HostTensor final_norm_weight() const;  // likewise
  [[nodiscard]] HostTensor final_norm_bias() const;    // [d_model]; empty without
  [[nodiscard]] HostTensor embed(const std::vector<int32_t>& ids) const;  // [ids, d_embed], as stored
  [[nodiscard]] HostTensor unembed(
      const std::vector<int32_t>& ids) const;  // [ids, d_embed]: W_U's columns as rows
  [[nodiscard]] float unembed_bias(int32_t id) const;
  // Whether what attention gives is normalised before it is added to the residual (Gemma 2, OLMo 2).
  [[nodiscard]] bool has_output_norms() const;

 private:
  [[nodiscard]] HostTensor projection(Slot own, Slot fused, HeadId head, int32_t which) const;
  [[nodiscard]] HostTensor rows_of(Slot slot, const std::vector<int32_t>& rows) const;
  [[nodiscard]] HostTensor norm_weight(Slot slot, int32_t layer) const;
  [[nodiscard]] HostTensor vector(Slot slot, int32_t layer) const;

  std::shared_ptr<const Model> model_;
};

// Numbers [first, first + count) of a tensor, widened. Of tensors in blocks both must be whole blocks.
void widen(const TensorView& tensor, int64_t first, int64_t count, float* out);

}  // namespace saccade
