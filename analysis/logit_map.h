// LogitMap: what a write into the residual stream adds to a logit, once the final norm's statistics are
// frozen at their actual values (direct logit attribution).
//
// With r the final residual at one position, t a direction over the vocabulary (a token, or right minus
// wrong):
//   LayerNorm: contribution(c) = sum_x (c_x - mean c) / sigma(r) gamma_x U_x     U = sum_t t W_U[:, t]
//   RMSNorm:   contribution(c) = sum_x c_x / rms(r) gamma_x U_x
// The contributions of all writes, plus constant(), sum to the logit of the direction exactly. Weights are
// raw: no folded LayerNorm, no centred unembedding; for a difference of two tokens centring changes nothing.
// Source: nostalgebraist 2020 (logit lens); Elhage et al. 2021 ("A Mathematical Framework for Transformer
// Circuits").
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/model/weight_reader.h"

namespace saccade {

// Logit weights of tokens; a logit difference has positive and negative ones.
struct VocabularyDirection {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};
// mean of right minus mean of wrong; wrong may be empty.
[[nodiscard]] VocabularyDirection direction_of(const std::vector<int32_t>& right,
                                               const std::vector<int32_t>& wrong);

// The final norm, its statistics taken from one residual.
struct FrozenNorm {
  std::optional<NormKind> kind;  // nothing: no norm
  double epsilon = 0.0;
  HostTensor weight, bias;  // [d_model], or empty
};

class LogitMap {
 public:
  // final_resid: [d_model], before the final norm. Refuses models whose logits are not linear in the normed
  // residual (a soft cap, a prediction head) or whose heads do not write into it directly (norms after
  // attention).
  static Result<LogitMap> make(const WeightReader& weights, const ModelSpec& spec,
                               std::span<const float> final_resid, const VocabularyDirection& direction);

  // unembed: the direction's U, [d_model].
  [[nodiscard]] static LogitMap frozen(const FrozenNorm& norm, std::span<const float> final_resid,
                                       std::span<const double> unembed);

  [[nodiscard]] double contribution(std::span<const float> write) const;  // [d_model]
  // Of a head's z [d_head] through its W_O (and the factor that the model puts on what it adds).
  [[nodiscard]] double contribution(std::span<const float> z, const HostTensor& output) const;
  [[nodiscard]] double constant() const { return constant_; }  // the norm's bias and the unembedding's

 private:
  std::vector<double> gain_;  // [d_model]
  double constant_ = 0.0, residual_scale_ = 1.0;
};

}  // namespace saccade
