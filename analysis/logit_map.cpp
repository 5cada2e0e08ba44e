#include "analysis/logit_map.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace saccade {
namespace {

Result<void> check(const ModelSpec& spec, const WeightReader& weights) {
  if (spec.logit_softcap > 0.0)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} caps its logits: they are no sum of what heads write", spec.family));
  if (!spec.predicts_next_token() || (spec.d_embed != 0 && spec.d_embed != spec.d_model))
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} has a head or a projection before its logits: direct attribution is defined "
                    "for models that unembed the normed residual",
                    spec.family));
  if (weights.has_output_norms())
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} normalises what attention gives before adding it: a head's write is no sum",
                    spec.family));
  return {};
}

}  // namespace

VocabularyDirection direction_of(const std::vector<int32_t>& right, const std::vector<int32_t>& wrong) {
  VocabularyDirection direction;
  const auto add = [&](const std::vector<int32_t>& ids, float sign) {
    for (const int32_t id : ids) {
      direction.ids.push_back(id);
      direction.weights.push_back(sign / static_cast<float>(ids.size()));
    }
  };
  add(right, 1.0f);
  add(wrong, -1.0f);
  return direction;
}

Result<LogitMap> LogitMap::make(const WeightReader& weights, const ModelSpec& spec,
                                std::span<const float> final_resid, const VocabularyDirection& direction) {
  SACCADE_CHECK(check(spec, weights));
  const auto width = static_cast<size_t>(spec.d_model);
  std::vector<double> unembed(width, 0.0);
  const HostTensor rows = weights.unembed(direction.ids);
  LogitMap map;
  for (size_t t = 0; t < direction.ids.size(); ++t) {
    for (size_t x = 0; x < width; ++x)
      unembed[x] += double{direction.weights[t]} * rows.slice(static_cast<int64_t>(t))[x];
    map.constant_ += spec.logit_scale * double{direction.weights[t]} * weights.unembed_bias(direction.ids[t]);
  }
  for (double& value : unembed) value *= spec.logit_scale;
  const double constant = map.constant_;
  map = frozen(spec.no_norms ? FrozenNorm{}
                             : FrozenNorm{spec.norm, spec.norm_epsilon, weights.final_norm_weight(),
                                          weights.final_norm_bias()},
               final_resid, unembed);
  map.constant_ += constant;
  map.residual_scale_ = spec.residual_scale;
  return map;
}

LogitMap LogitMap::frozen(const FrozenNorm& norm, std::span<const float> final_resid,
                          std::span<const double> unembed) {
  const auto width = static_cast<double>(final_resid.size());
  const bool centred = norm.kind == NormKind::layer_norm;
  const double mean = centred ? std::accumulate(final_resid.begin(), final_resid.end(), 0.0) / width : 0.0;
  double squares = 0.0;
  for (const float value : final_resid) squares += (value - mean) * (value - mean);
  const double scale = norm.kind ? std::sqrt(squares / width + norm.epsilon) : 1.0;
  LogitMap map;
  for (size_t x = 0; x < unembed.size(); ++x) {
    map.gain_.push_back(unembed[x] * (norm.weight.empty() ? 1.0 : norm.weight.data()[x]) / scale);
    if (!norm.bias.empty()) map.constant_ += unembed[x] * norm.bias.data()[x];
  }
  if (centred) {
    const double shift = std::accumulate(map.gain_.begin(), map.gain_.end(), 0.0) / width;
    for (double& gain : map.gain_) gain -= shift;
  }
  return map;
}

double LogitMap::contribution(std::span<const float> write) const {
  double sum = 0.0;
  for (size_t x = 0; x < gain_.size(); ++x) sum += gain_[x] * write[x];
  return sum;
}

double LogitMap::contribution(std::span<const float> z, const HostTensor& output) const {
  double sum = 0.0;
  for (size_t e = 0; e < z.size(); ++e) sum += z[e] * contribution(output.slice(static_cast<int64_t>(e)));
  return sum * residual_scale_;
}

}  // namespace saccade
